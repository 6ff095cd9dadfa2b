// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

/// Numbers of NFSv4.1 and 4.2. Source: RFC 5662 and RFC 7863 (the XDR of RFC 8881 and 7862),
/// RFC 8276 (extended attributes).
namespace dpfs::nfs4 {

inline constexpr std::uint32_t program = 100003;
inline constexpr std::uint32_t program_version = 4;
inline constexpr std::uint32_t procedure_compound = 1;
inline constexpr std::uint16_t default_port = 2049;

enum class Op : std::uint32_t {
    close = 4,
    commit = 5,
    create = 6,
    delegreturn = 8,
    getattr = 9,
    getfh = 10,
    link = 11,
    lock = 12,
    lockt = 13,
    locku = 14,
    lookup = 15,
    lookupp = 16,
    open = 18,
    putfh = 22,
    putrootfh = 24,
    read = 25,
    readdir = 26,
    readlink = 27,
    remove = 28,
    rename = 29,
    restorefh = 31,
    savefh = 32,
    setattr = 34,
    write = 38,
    bind_conn_to_session = 41,
    exchange_id = 42,
    create_session = 43,
    destroy_session = 44,
    free_stateid = 45,
    sequence = 53,
    test_stateid = 55,
    destroy_clientid = 57,
    reclaim_complete = 58,
    allocate = 59,
    copy = 60,
    deallocate = 62,
    offload_cancel = 66,
    offload_status = 67,
    read_plus = 68,
    seek = 69,
    clone = 71,
    getxattr = 72,
    setxattr = 73,
    listxattrs = 74,
    removexattr = 75,
};

/// Attribute numbers (RFC 8881, 5.6 and 5.7; RFC 7862, 12.1; RFC 8276, 8.2).
enum class Attribute : std::uint8_t {
    supported = 0,
    type = 1,
    change = 3,
    size = 4,
    fsid = 8,
    lease_time = 10,
    rdattr_error = 11,
    filehandle = 19,
    files_available = 21,
    files_free = 22,
    files_total = 23,
    fileid = 20,
    file_system_locations = 24,
    name_max = 29,
    read_max = 30,
    write_max = 31,
    mode = 33,
    link_count = 35,
    owner = 36,
    owner_group = 37,
    rawdev = 41,
    space_available = 42,
    space_free = 43,
    space_total = 44,
    space_used = 45,
    time_access = 47,
    time_access_set = 48,
    time_metadata = 52,
    time_modify = 53,
    time_modify_set = 54,
    mounted_on_fileid = 55,
    clone_block_size = 77,
    xattr_support = 82,
};

enum class FileType : std::uint32_t {
    regular = 1,
    directory = 2,
    block = 3,
    character = 4,
    link = 5,
    socket = 6,
    fifo = 7,
};

inline constexpr std::size_t file_handle_size_max = 128;
inline constexpr std::size_t session_id_size = 16;
inline constexpr std::size_t verifier_size = 8;
inline constexpr std::size_t opaque_max = 1024;  // NFS4_OPAQUE_LIMIT

using SessionId = std::array<std::byte, session_id_size>;
using Verifier = std::array<std::byte, verifier_size>;

/// Names a state (an open, a lock) of ours at the server (RFC 8881, 8.2).
struct StateId {
    std::uint32_t sequence = 0;
    std::array<std::byte, 12> other = {};
    bool operator==(const StateId&) const = default;
};
/// No state at all (8.2.3).
inline constexpr StateId anonymous_state = {};

namespace share {
inline constexpr std::uint32_t access_read = 1;
inline constexpr std::uint32_t access_write = 2;
inline constexpr std::uint32_t deny_none = 0;
inline constexpr std::uint32_t want_no_delegation = 0x400;
}  // namespace share

enum class Claim : std::uint32_t { null = 0, previous = 1, file_handle = 4 };
enum class CreateMode : std::uint32_t { unchecked = 0, guarded = 1, exclusive4_1 = 3 };
enum class LockType : std::uint32_t { read = 1, write = 2, read_wait = 3, write_wait = 4 };
enum class Stable : std::uint32_t { unstable = 0, data = 1, file = 2 };

namespace exchange {
inline constexpr std::uint32_t confirmed = 0x8000'0000;  // EXCHGID4_FLAG_CONFIRMED_R
}
namespace session_flag {
inline constexpr std::uint32_t back_channel = 2;  // CREATE_SESSION4_FLAG_CONN_BACK_CHAN
}
/// SEQ4_STATUS_* (RFC 8881, 18.46.3).
namespace sequence_status {
inline constexpr std::uint32_t callback_path_down = 0x1;
inline constexpr std::uint32_t expired_all_revoked = 0x8;
inline constexpr std::uint32_t expired_some_revoked = 0x10;
inline constexpr std::uint32_t admin_revoked = 0x20;
inline constexpr std::uint32_t recallable_revoked = 0x40;
inline constexpr std::uint32_t lease_moved = 0x80;
inline constexpr std::uint32_t restart_reclaim_needed = 0x100;
inline constexpr std::uint32_t callback_path_down_session = 0x200;
inline constexpr std::uint32_t backchannel_fault = 0x400;
}  // namespace sequence_status

/// Callback operations (RFC 8881, 20; RFC 7862, 16).
enum class CallbackOp : std::uint32_t {
    recall = 4,
    recall_any = 8,
    recall_slot = 10,
    sequence = 11,
    notify_lock = 13,
    offload = 15,
    illegal = 10044,
};
inline constexpr std::uint32_t callback_program = 0x4000'0000;

}  // namespace dpfs::nfs4
