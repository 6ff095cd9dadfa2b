// SPDX-License-Identifier: Apache-2.0
#include "daemon/schema.hpp"
#include "daemon/text_forms.hpp"

#include <algorithm>
#include <array>

namespace dpfs::daemon {
namespace {

using Device = DeviceConfig;
using fs::NullOptions;
using fuse::SessionOptions;
using hal::vhost_user::DeviceOptions;
using hal::vhost_user::SocketOwnership;
using mirror::MirrorOptions;
using nfs::NfsOptions;
using nfs4::ClientOptions;
using rpc::TlsOptions;

// Choices stand in the order of their enum.
constexpr std::array<std::string_view, 3> readdirplus_modes = {"never", "adaptive", "always"};
constexpr std::array<std::string_view, 3> cache_policies = {"never", "auto", "always"};
constexpr std::array<std::string_view, 3> direct_policies = {"passthrough", "never", "always"};
constexpr std::array<std::string_view, 3> data_paths = {"auto", "async", "in_place"};
constexpr std::array<std::string_view, 2> silly_renames = {"never", "auto"};
constexpr std::array<std::string_view, 2> write_modes = {"unstable", "stable"};
constexpr std::array<std::string_view, 3> squash_policies = {"none", "root", "all"};
constexpr std::array<std::string_view, 3> submount_policies = {"announce", "cross", "refuse"};

constexpr std::array<std::string_view, 2> tls_modes = {"off", "on"};

constexpr std::int64_t ns_per_ms = 1'000'000;
constexpr std::int64_t ns_per_s = 1'000'000'000;
constexpr std::int64_t id_max = 4'294'967'294;    // the id of all ones means "none"
constexpr std::int64_t year_ms = 31'536'000'000;  // longer than any mount

constexpr ValueRange path_size = {.min = 1, .max = 4095};  // PATH_MAX
constexpr ValueRange optional_path_size = {.min = 0, .max = 4095};
constexpr ValueRange map_entry_size = {.min = 1, .max = 64};

constexpr std::array device_rows = {
    option<&Device::backend>({.key = "backend",
                              .placeholder = "NAME",
                              .help = "null: answers at once, for measuring. uring: a local "
                                      "directory by io_uring. aio: the same where io_uring is "
                                      "forbidden. nfs: an NFS server's export.",
                              .range = {.choices = backend_names},
                              .required = true}),
    option<&Device::transport, &DeviceOptions::tag>(
        {.key = "tag",
         .placeholder = "NAME",
         .help = "What the tenant mounts: mount -t virtiofs NAME /mnt. QEMU takes the tag from "
                 "its own command line; write the same there.",
         .range = {.min = 1, .max = 36}}),
    option<&Device::transport, &DeviceOptions::socket_path>(
        {.key = "socket",
         .placeholder = "PATH",
         .help = "UNIX socket that the virtual machine monitor connects to.",
         .range = {.min = 1, .max = 107},
         .required = true}),
    option<&Device::socket_mode>({.key = "socket_mode",
                                  .placeholder = "MODE",
                                  .help = "Permissions of the socket, octal: who may connect.",
                                  .range = {.min = 1, .max = 4}}),
    option<&Device::transport, &DeviceOptions::socket_ownership, &SocketOwnership::uid>(
        {.key = "socket_uid",
         .placeholder = "UID",
         .help = "Owner of the socket. -1: who runs dpfs.",
         .range = {.min = unset_number, .max = id_max}}),
    option<&Device::transport, &DeviceOptions::socket_ownership, &SocketOwnership::gid>(
        {.key = "socket_gid",
         .placeholder = "GID",
         .help = "Group of the socket. -1: that of who runs dpfs.",
         .range = {.min = unset_number, .max = id_max}}),
    option<&Device::transport, &DeviceOptions::request_queue_count>(
        {.key = "queues",
         .placeholder = "N",
         .help =
             "Request queues; the high-priority queue comes on top. Linux 6.12 and later use "
             "several, one for each group of CPUs. QEMU: num-request-queues=N.",
         .range = {.min = 1, .max = 64}}),
    option<&Device::transport, &DeviceOptions::queue_size_max>(
        {.key = "queue_size",
         .placeholder = "N",
         .help = "Entries that a queue may have. The tenant's requests of 1 MiB want 1024. "
                 "QEMU: queue-size=N.",
         .range = {.min = 4, .max = 1024, .power_of_two = true}}),

    option<&Device::transport, &DeviceOptions::fixed_buffers>(
        {.key = "fixed_buffers",
         .help = "The tenant's memory is registered with io_uring (Linux 6.13): cheaper direct "
                 "I/O. All of it is then brought in and stays: it counts against "
                 "RLIMIT_MEMLOCK, and no balloon or swap takes it back.",
         .backends = only(Backend::uring)}),

    // --- what the session offers to the tenant
    option<&Device::session, &SessionOptions::request_size_max>(
        {.key = "request_size_max",
         .placeholder = "BYTES",
         .help =
             "Data of one READ or WRITE, a multiple of 4096. The tenant's own limit is 1 MiB.",
         .range = {.min = 4096, .max = 256 << 20, .multiple_of = 4096}}),
    option<&Device::session, &SessionOptions::readahead_max>(
        {.key = "readahead_max",
         .placeholder = "BYTES",
         .help = "Readahead that the tenant may do; its own setting is smaller as a rule.",
         .range = {.min = 0, .max = 1 << 30}}),
    option<&Device::session, &SessionOptions::background_max>(
        {.key = "background_max",
         .placeholder = "N",
         .help = "Requests of readahead, writeback and asynchronous direct I/O that the tenant "
                 "may have under way at once.",
         .range = {.min = 1, .max = 65535}}),
    option<&Device::session, &SessionOptions::held_count_max>(
        {.key = "held_count_max",
         .placeholder = "N",
         .help = "Requests on each reactor that may wait for a slow mount or unmount to end; "
                 "more get EIO.",
         .range = {.min = 0, .max = 1 << 20}}),
    option<&Device::session, &SessionOptions::readdirplus>(
        {.key = "readdirplus",
         .placeholder = "MODE",
         .help =
             "When listings bring attributes along. adaptive: when the tenant looks up what "
             "it lists.",
         .range = {.choices = readdirplus_modes}}),
    option<&Device::session, &SessionOptions::id_mapped_mounts>(
        {.key = "id_mapped_mounts",
         .help = "Allows id-mapped mounts in the tenant (Linux 6.12). Only requests that make "
                 "something then name their caller; all others act as nobody (65534)."}),
    option<&Device::session, &SessionOptions::request_timeout>(
        {.key = "request_timeout_s",
         .placeholder = "S",
         .help =
             "The tenant gives up the whole mount when an answer takes longer (Linux 6.16). "
             "0: never.",
         .range = {.min = 0, .max = 65535},
         .unit_ns = ns_per_s}),
};

constexpr std::array null_rows = {
    option<&Device::null, &NullOptions::file_size>(
        {.key = "null_file_size",
         .placeholder = "BYTES",
         .help = "Size of every file of the null back end.",
         .range = {.min = 0, .max = std::int64_t{1} << 62},
         .backends = only(Backend::null)}),
    option<&Device::null, &NullOptions::valid>(
        {.key = "null_valid_ms",
         .placeholder = "MS",
         .help =
             "How long the tenant may believe names and attributes of the null back end, in "
             "milliseconds.",
         .range = {.min = 0, .max = year_ms},
         .unit_ns = ns_per_ms,
         .backends = only(Backend::null)}),
};

constexpr std::array mirror_rows = {
    option<&Device::mirror, &MirrorOptions::directory>(
        {.key = "dir",
         .placeholder = "DIR",
         .help = "The directory to serve. Nothing outside of it can be reached.",
         .range = path_size,
         .backends = mirror_backends,
         .required = true}),
    option<&Device::mirror, &MirrorOptions::read_only>(
        {.key = "read_only",
         .help = "The tenant can change nothing (EROFS).",
         .backends = file_backends}),
    option<&Device::mirror, &MirrorOptions::cache>(
        {.key = "cache",
         .placeholder = "POLICY",
         .help = "What the tenant may keep. never: nothing; auto: names and attributes for a "
                 "second, data until the file has changed; always: everything, for a day: only "
                 "where nobody else changes the directory.",
         .range = {.choices = cache_policies},
         .backends = file_backends}),
    option<&Device::mirror, &MirrorOptions::entry_valid>(
        {.key = "entry_valid_ms",
         .placeholder = "MS",
         .help = "How long the tenant may believe a name, in milliseconds. -1: as cache says.",
         .range = {.min = unset_number, .max = year_ms},
         .unit_ns = ns_per_ms,
         .backends = file_backends}),
    option<&Device::mirror, &MirrorOptions::attributes_valid>(
        {.key = "attributes_valid_ms",
         .placeholder = "MS",
         .help =
             "How long the tenant may believe attributes, in milliseconds. -1: as cache says.",
         .range = {.min = unset_number, .max = year_ms},
         .unit_ns = ns_per_ms,
         .backends = file_backends}),
    option<&Device::mirror, &MirrorOptions::negative_valid>(
        {.key = "negative_valid_ms",
         .placeholder = "MS",
         .help = "How long the tenant may believe that a name does not exist, in milliseconds. "
                 "-1: not at all, with every cache policy.",
         .range = {.min = unset_number, .max = year_ms},
         .unit_ns = ns_per_ms,
         .backends = mirror_backends}),
    option<&Device::mirror, &MirrorOptions::direct>(
        {.key = "direct",
         .placeholder = "POLICY",
         .help = "O_DIRECT on the host. passthrough: as the tenant's program asked; never: "
                 "through the host's page cache; always: wherever alignment allows.",
         .range = {.choices = direct_policies},
         .backends = mirror_backends}),
    option<&Device::mirror, &MirrorOptions::writeback>(
        {.key = "writeback",
         .help = "The tenant may collect writes before it sends them: faster, and wrong where "
                 "somebody else uses the same files.",
         .backends = mirror_backends}),
    option<&Device::mirror, &MirrorOptions::submounts>(
        {.key = "submounts",
         .placeholder = "POLICY",
         .help = "Mount points below the directory. announce: the tenant sees a file system of "
                 "its own there; cross: it sees none, and inode numbers may collide; refuse: "
                 "EXDEV.",
         .range = {.choices = submount_policies},
         .backends = mirror_backends}),
    option<&Device::mirror, &MirrorOptions::posix_acl>(
        {.key = "posix_acl",
         .help = "The tenant's kernel evaluates and edits POSIX ACLs; false: it decides by the "
                 "mode bits alone.",
         .backends = mirror_backends}),
    option<&Device::mirror, &MirrorOptions::xattr>(
        {.key = "xattr",
         .help = "Extended attributes; false: EOPNOTSUPP to all of them.",
         .backends = mirror_backends}),
    option<&Device::mirror, &MirrorOptions::xattr_rules>(
        {.key = "xattr_rules",
         .placeholder = "RULE",
         .help =
             "How names of extended attributes are stored; the first rule whose MATCH begins "
             "the tenant's name decides. pass:MATCH, refuse:MATCH, "
             "prefix:MATCH:HOST_PREFIX.",
         .range = {.min = 1, .max = 1024},
         .backends = mirror_backends}),
    option<&Device::mirror, &MirrorOptions::uid_map>(
        {.key = "uid_map",
         .placeholder = "RANGE",
         .help =
             "User ids of the tenant on the host (nfs: at the server), as GUEST:HOST:COUNT. "
             "None: the same on both sides.",
         .range = map_entry_size,
         .backends = file_backends}),
    option<&Device::mirror, &MirrorOptions::gid_map>({.key = "gid_map",
                                                      .placeholder = "RANGE",
                                                      .help = "The same for group ids.",
                                                      .range = map_entry_size,
                                                      .backends = file_backends}),
    option<&Device::mirror, &MirrorOptions::inode_count_max>(
        {.key = "inode_count_max",
         .placeholder = "N",
         .help = "Inodes that the tenant may know at once; more get ENFILE.",
         .range = {.min = 16, .max = 1'000'000'000},
         .backends = file_backends}),
    option<&Device::mirror, &MirrorOptions::inode_descriptor_count_max>(
        {.key = "inode_descriptor_count_max",
         .placeholder = "N",
         .help = "Descriptors kept for known inodes. 0: this device's share of half of "
                 "RLIMIT_NOFILE.",
         .range = {.min = 0, .max = 1'000'000'000},
         .backends = mirror_backends}),
    option<&Device::mirror, &MirrorOptions::open_file_count_max>(
        {.key = "open_file_count_max",
         .placeholder = "N",
         .help =
             "Files and directories that the tenant may have open. 0: this device's share of "
             "a quarter of RLIMIT_NOFILE.",
         .range = {.min = 0, .max = 1'000'000'000},
         .backends = mirror_backends}),
    option<&Device::mirror, &MirrorOptions::lock_count_max>(
        {.key = "lock_count_max",
         .placeholder = "N",
         .help = "Lock owners and waiting lock requests; more get ENOLCK.",
         .range = {.min = 1, .max = 1'000'000},
         .backends = mirror_backends}),
    option<&Device::mirror, &MirrorOptions::lock_wait_max>(
        {.key = "lock_wait_s",
         .placeholder = "S",
         .help = "A blocked lock request ends with EDEADLK after so many seconds: nothing can "
                 "interrupt it earlier over virtio-fs. 0: never.",
         .range = {.min = 0, .max = 86400},
         .unit_ns = ns_per_s,
         .backends = file_backends}),
    option<&Device::mirror, &MirrorOptions::data_path>(
        {.key = "data_path",
         .placeholder = "PATH",
         .help =
             "How file data moves. auto: in place from the host's page cache, asynchronously "
             "where a device or server may have to be waited for; async: never in place; "
             "in_place: never asynchronously, and every tenant of the thread waits too.",
         .range = {.choices = data_paths},
         .backends = mirror_backends}),
    option<&Device::mirror, &MirrorOptions::async_getattr>(
        {.key = "async_getattr",
         .help = "Attributes by the ring, also where a call in place cannot block.",
         .backends = mirror_backends}),
    option<&Device::mirror, &MirrorOptions::async_fsync>(
        {.key = "async_fsync",
         .help = "fsync by the ring; false: in place, for memory file systems only.",
         .backends = mirror_backends}),
    option<&Device::mirror, &MirrorOptions::always_async>(
        {.key = "always_async",
         .help =
             "Every call by the ring or the pool, never in place: for measuring, and for very "
             "slow disks.",
         .backends = mirror_backends}),
};

constexpr std::array nfs_rows = {
    option<&Device::nfs, &NfsOptions::client, &ClientOptions::servers>(
        {.key = "server",
         .placeholder = "HOST[:PORT]",
         .help = "The NFS server. Several addresses of the same one are tried in turn.",
         .range = {.min = 1, .max = 255},
         .backends = only(Backend::nfs),
         .required = true}),
    option<&Device::nfs, &NfsOptions::export_path>(
        {.key = "export",
         .placeholder = "PATH",
         .help = "What to serve, as a path from the server's root.",
         .range = path_size,
         .backends = only(Backend::nfs),
         .required = true}),
    option<&Device::nfs, &NfsOptions::client, &ClientOptions::minor_version>(
        {.key = "nfs_minor_version",
         .placeholder = "N",
         .help = "2: NFS 4.2; 1: NFS 4.1.",
         .range = {.min = 1, .max = 2},
         .backends = only(Backend::nfs)}),
    option<&Device::nfs, &NfsOptions::client, &ClientOptions::slot_count>(
        {.key = "nfs_slots",
         .placeholder = "N",
         .help = "Requests that may be with the server at once, over all connections; the "
                 "server may grant fewer.",
         .range = {.min = 1, .max = 4096},
         .backends = only(Backend::nfs)}),
    option<&Device::nfs, &NfsOptions::client, &ClientOptions::data_size_max>(
        {.key = "nfs_data_size_max",
         .placeholder = "BYTES",
         .help = "Data of one READ or WRITE at the server, a multiple of 4096; larger requests "
                 "of the tenant are split.",
         .range = {.min = 32768, .max = 16 << 20, .multiple_of = 4096},
         .backends = only(Backend::nfs)}),
    option<&Device::nfs, &NfsOptions::shared_client>(
        {.key = "nfs_share",
         .placeholder = "NAME",
         .help = "Devices of one NAME share a client of their server: one session with its "
                 "slots, connections and lease, so that one of them can use up what the others "
                 "need. Their server, and nfs_ options that are about it, must be the same. "
                 "Empty: each device has its own.",
         .range = {.min = 0, .max = 255},
         .backends = only(Backend::nfs)}),
    option<&Device::nfs, &NfsOptions::client, &ClientOptions::owner>(
        {.key = "nfs_owner",
         .placeholder = "TEXT",
         .help =
             "This client's name at the server, which must be no other's. Empty: host name, "
             "tag and socket.",
         .range = {.min = 0, .max = 255},
         .backends = only(Backend::nfs)}),
    option<&Device::nfs, &NfsOptions::client, &ClientOptions::verifier>(
        {.key = "nfs_verifier",
         .placeholder = "N",
         .help = "Tells one start of this client from the next. 0: random, so that the server "
                 "drops what the start before had open and locked; the same number again: it "
                 "keeps that until the lease is over.",
         .range = {.min = 0, .max = INT64_MAX},
         .backends = only(Backend::nfs)}),
    option<&Device::nfs, &NfsOptions::delegations>(
        {.key = "nfs_delegations",
         .help = "Takes read delegations where the server gives them: what is asked about such "
                 "a file, and opening it again, then needs no request, until the server wants "
                 "it back. Devices with nfs_share take none.",
         .backends = only(Backend::nfs)}),
    option<&Device::nfs, &NfsOptions::client, &ClientOptions::privileged_port>(
        {.key = "nfs_privileged_port",
         .help = "Connects from a port below 1024, as servers may ask that trust root only.",
         .backends = only(Backend::nfs)}),
    option<&Device::nfs, &NfsOptions::client, &ClientOptions::tls, &TlsOptions::mode>(
        {.key = "nfs_tls",
         .placeholder = "MODE",
         .help = "on: RPC-with-TLS (RFC 9289, TLS 1.3); a server without it, or with a "
                 "certificate that is not right, is refused. off: everybody on the way can "
                 "read and change everything.",
         .range = {.choices = tls_modes},
         .backends = only(Backend::nfs)}),
    option<&Device::nfs, &NfsOptions::client, &ClientOptions::tls, &TlsOptions::ca_file>(
        {.key = "nfs_tls_ca_file",
         .placeholder = "PATH",
         .help = "PEM file of the CAs that may have signed the server's certificate. Empty: "
                 "those that the system trusts.",
         .range = optional_path_size,
         .backends = only(Backend::nfs)}),
    option<&Device::nfs,
           &NfsOptions::client,
           &ClientOptions::tls,
           &TlsOptions::certificate_file>(
        {.key = "nfs_tls_certificate_file",
         .placeholder = "PATH",
         .help = "PEM file with this client's certificate and its chain, for servers that ask "
                 "for one. Empty: none.",
         .range = optional_path_size,
         .backends = only(Backend::nfs)}),
    option<&Device::nfs, &NfsOptions::client, &ClientOptions::tls, &TlsOptions::key_file>(
        {.key = "nfs_tls_key_file",
         .placeholder = "PATH",
         .help = "PEM file with the key of that certificate, without a password.",
         .range = optional_path_size,
         .backends = only(Backend::nfs)}),
    option<&Device::nfs, &NfsOptions::client, &ClientOptions::tls, &TlsOptions::server_name>(
        {.key = "nfs_tls_server_name",
         .placeholder = "NAME",
         .help = "The name, or numeric address, that the server's certificate must be for. "
                 "Empty: that of server.",
         .range = {.min = 0, .max = 255},
         .backends = only(Backend::nfs)}),
    option<&Device::nfs,
           &NfsOptions::client,
           &ClientOptions::tls,
           &TlsOptions::unchecked_server>(
        {.key = "nfs_tls_insecure_unchecked_server",
         .help = "DANGEROUS: any certificate will do, so whoever gets between can read and "
                 "change everything. For tests only.",
         .backends = only(Backend::nfs)}),
    option<&Device::nfs, &NfsOptions::client, &ClientOptions::answer_time_max>(
        {.key = "nfs_answer_time_s",
         .placeholder = "S",
         .help =
             "A connection without an answer for so many seconds is made anew, and what was "
             "sent is sent again.",
         .range = {.min = 1, .max = 3600},
         .unit_ns = ns_per_s,
         .backends = only(Backend::nfs)}),
    option<&Device::nfs, &NfsOptions::client, &ClientOptions::request_time_max>(
        {.key = "nfs_request_time_s",
         .placeholder = "S",
         .help = "A request that the server has not answered after so many seconds fails with "
                 "ETIMEDOUT (\"soft\"). 0: it waits for the server (\"hard\").",
         .range = {.min = 0, .max = 86400},
         .unit_ns = ns_per_s,
         .backends = only(Backend::nfs)}),
    option<&Device::nfs, &NfsOptions::client, &ClientOptions::start_time_max>(
        {.key = "nfs_start_time_s",
         .placeholder = "S",
         .help = "How long to try to reach the server before the start fails.",
         .range = {.min = 1, .max = 86400},
         .unit_ns = ns_per_s,
         .backends = only(Backend::nfs)}),
    option<&Device::nfs, &NfsOptions::read_plus>(
        {.key = "nfs_read_plus",
         .help = "Reads with READ_PLUS where the server has it, so that holes of sparse files "
                 "are not sent. Its data are copied where they are mixed with holes.",
         .backends = only(Backend::nfs)}),
    option<&Device::nfs, &NfsOptions::silly_rename>(
        {.key = "nfs_silly_rename",
         .placeholder = "WHEN",
         .help = "What becomes of an open file that is removed. never: it lives until it is "
                 "closed or the server restarts; auto: it also survives that, under a hidden "
                 "name (.nfs...) in its directory, unless the server keeps such files itself.",
         .range = {.choices = silly_renames},
         .backends = only(Backend::nfs)}),
    option<&Device::nfs, &NfsOptions::writes>(
        {.key = "nfs_writes",
         .placeholder = "WHEN",
         .help = "When written data are on the server's disk. unstable: after fsync and "
                 "close, and kept here until then, to be sent again to a server that "
                 "restarts; stable: before a write is answered.",
         .range = {.choices = write_modes},
         .backends = only(Backend::nfs)}),
    option<&Device::nfs, &NfsOptions::uncommitted_size_max>(
        {.key = "nfs_uncommitted_max",
         .placeholder = "BYTES",
         .help = "How much is kept to be sent again, over all files; what goes beyond is "
                 "written stably.",
         .range = {.min = 0, .max = std::int64_t{1} << 40},
         .backends = only(Backend::nfs)}),
    option<&Device::nfs, &NfsOptions::user_names>(
        {.key = "nfs_user_names",
         .placeholder = "NAME:UID",
         .help = "Users whom the server calls by names, such as alice@example.org:1000, with "
                 "their ids there. Numbers and root@... need none.",
         .range = {.min = 1, .max = 255},
         .backends = only(Backend::nfs)}),
    option<&Device::nfs, &NfsOptions::group_names>({.key = "nfs_group_names",
                                                    .placeholder = "NAME:GID",
                                                    .help = "The same for groups.",
                                                    .range = {.min = 1, .max = 255},
                                                    .backends = only(Backend::nfs)}),
    option<&Device::nfs, &NfsOptions::groups>(
        {.key = "nfs_groups",
         .placeholder = "UID:GID,...",
         .help = "Supplementary groups of a user of the tenant, up to 16, which its requests "
                 "go to the server with: FUSE does not tell them.",
         .range = {.min = 1, .max = 255},
         .backends = only(Backend::nfs)}),
    option<&Device::nfs, &NfsOptions::squash>(
        {.key = "nfs_squash",
         .placeholder = "WHO",
         .help = "Whose requests go to the server as the anonymous user. none; root: uid 0 and "
                 "gid 0 of the tenant; all: everybody.",
         .range = {.choices = squash_policies},
         .backends = only(Backend::nfs)}),
    option<&Device::nfs, &NfsOptions::anonymous_uid>({.key = "nfs_anonymous_uid",
                                                      .placeholder = "UID",
                                                      .help = "The anonymous user.",
                                                      .range = {.min = 0, .max = id_max},
                                                      .backends = only(Backend::nfs)}),
    option<&Device::nfs, &NfsOptions::anonymous_gid>({.key = "nfs_anonymous_gid",
                                                      .placeholder = "GID",
                                                      .help = "The anonymous group.",
                                                      .range = {.min = 0, .max = id_max},
                                                      .backends = only(Backend::nfs)}),
};

/// All tables as one, so that who asks for options need not know how they are written down.
constexpr auto rows = [] {
    constexpr std::size_t count =
        device_rows.size() + null_rows.size() + mirror_rows.size() + nfs_rows.size();
    std::array<Option<DeviceConfig>, count> all = {};
    auto end = std::ranges::copy(device_rows, all.begin()).out;
    end = std::ranges::copy(mirror_rows, end).out;
    end = std::ranges::copy(nfs_rows, end).out;
    std::ranges::copy(null_rows, end);
    return all;
}();

}  // namespace

std::span<const Option<DeviceConfig>> device_options() {
    return rows;
}

}  // namespace dpfs::daemon
