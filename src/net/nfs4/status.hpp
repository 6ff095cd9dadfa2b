// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/errno.hpp"

#include <cstdint>
#include <string_view>

namespace dpfs::nfs4 {

/// What a server says about an operation. Source: RFC 8881, 15.1; RFC 7862, 11; RFC 8276, 8.5.
/// A server may send any number; those without a name here are answered as EIO.
enum class Status : std::uint32_t {
    ok = 0,
    perm = 1,
    noent = 2,
    io = 5,
    nxio = 6,
    access = 13,
    exist = 17,
    xdev = 18,
    notdir = 20,
    isdir = 21,
    inval = 22,
    fbig = 27,
    nospc = 28,
    rofs = 30,
    mlink = 31,
    nametoolong = 63,
    notempty = 66,
    dquot = 69,
    stale = 70,
    badhandle = 10001,
    bad_cookie = 10003,
    notsupp = 10004,
    toosmall = 10005,
    serverfault = 10006,
    badtype = 10007,
    delay = 10008,
    same = 10009,
    denied = 10010,
    expired = 10011,
    locked = 10012,
    grace = 10013,
    fhexpired = 10014,
    share_denied = 10015,
    wrongsec = 10016,
    clid_inuse = 10017,
    resource = 10018,
    moved = 10019,
    nofilehandle = 10020,
    minor_vers_mismatch = 10021,
    stale_clientid = 10022,
    stale_stateid = 10023,
    old_stateid = 10024,
    bad_stateid = 10025,
    bad_seqid = 10026,
    not_same = 10027,
    lock_range = 10028,
    symlink = 10029,
    restorefh = 10030,
    lease_moved = 10031,
    attrnotsupp = 10032,
    no_grace = 10033,
    reclaim_bad = 10034,
    reclaim_conflict = 10035,
    badxdr = 10036,
    locks_held = 10037,
    openmode = 10038,
    badowner = 10039,
    badchar = 10040,
    badname = 10041,
    bad_range = 10042,
    lock_notsupp = 10043,
    op_illegal = 10044,
    deadlock = 10045,
    file_open = 10046,
    admin_revoked = 10047,
    cb_path_down = 10048,
    badiomode = 10049,
    badlayout = 10050,
    bad_session_digest = 10051,
    badsession = 10052,
    badslot = 10053,
    complete_already = 10054,
    conn_not_bound_to_session = 10055,
    deleg_already_wanted = 10056,
    back_chan_busy = 10057,
    layouttrylater = 10058,
    layoutunavailable = 10059,
    nomatching_layout = 10060,
    recallconflict = 10061,
    unknown_layouttype = 10062,
    seq_misordered = 10063,
    sequence_pos = 10064,
    req_too_big = 10065,
    rep_too_big = 10066,
    rep_too_big_to_cache = 10067,
    retry_uncached_rep = 10068,
    unsafe_compound = 10069,
    too_many_ops = 10070,
    op_not_in_session = 10071,
    hash_alg_unsupp = 10072,
    clientid_busy = 10074,
    pnfs_io_hole = 10075,
    seq_false_retry = 10076,
    bad_high_slot = 10077,
    deadsession = 10078,
    encr_alg_unsupp = 10079,
    pnfs_no_layout = 10080,
    not_only_op = 10081,
    wrong_cred = 10082,
    wrong_type = 10083,
    dirdeleg_unavail = 10084,
    reject_deleg = 10085,
    returnconflict = 10086,
    deleg_revoked = 10087,
    partner_notsupp = 10088,
    partner_no_auth = 10089,
    union_notsupp = 10090,
    offload_denied = 10091,
    wrong_lfs = 10092,
    badlabel = 10093,
    offload_no_reqs = 10094,
    noxattr = 10095,
    xattr2big = 10096,
};

/// "NFS4ERR_STALE"-like, without its prefix and in small letters; "unknown" for the rest.
[[nodiscard]] std::string_view name_of(Status status) noexcept;

/// What a tenant's program is told. `status` is not ok.
[[nodiscard]] Errno to_errno(Status status) noexcept;

/// Whether the state that a request named (an open, a lock) is not, or no more, the server's.
[[nodiscard]] bool is_state_lost(Status status) noexcept;
/// The server has taken it from us, and remembers that until FREE_STATEID (RFC 8881, 8.5).
[[nodiscard]] bool is_state_revoked(Status status) noexcept;

/// Whether the session, or the client id, has to be made anew. For statuses of SEQUENCE.
[[nodiscard]] bool is_session_lost(Status status) noexcept;

}  // namespace dpfs::nfs4
