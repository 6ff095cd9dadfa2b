// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/task.hpp"
#include "fuse/types.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <sys/uio.h>
#include <vector>

namespace dpfs::fuse {

class DirectoryWriter;

/// What both sides can do, as INIT negotiates it (bits: FUSE_* flags of fuse_init_in/out, the
/// second word shifted by 32). The session has already removed what the tenant does not offer
/// and what makes no sense over virtio; init() may remove more.
struct Capabilities {
    std::uint64_t flags = 0;
    std::uint32_t request_size_max = 0;  ///< bytes of a READ's or WRITE's data
    std::uint32_t readahead_max = 0;     ///< bytes
    std::uint32_t time_granularity = 1;  ///< nanoseconds
    Duration request_timeout;            ///< 0: none
};

/// SETATTR: the fields that are present are to be changed, all of them or none.
struct SetAttributes {
    struct Time {
        bool now;  ///< the server's clock; `seconds` and `nanoseconds` mean nothing
        std::int64_t seconds;
        std::uint32_t nanoseconds;
    };
    std::optional<FileHandle> handle;
    std::optional<std::uint32_t> mode;
    std::optional<std::uint32_t> uid;
    std::optional<std::uint32_t> gid;
    std::optional<std::uint64_t> size;
    std::optional<Time> atime;
    std::optional<Time> mtime;
    std::optional<Time> ctime;
    std::optional<LockOwner> lock_owner;
    bool kill_suid_gid = false;  ///< FATTR_KILL_SUIDGID: clear set-id bits as a write would
};

/// OPEN and OPENDIR.
struct OpenRequest {
    std::uint32_t flags;         ///< O_* of open(2), without O_CREAT, O_EXCL, O_NOCTTY
    bool kill_suid_gid = false;  ///< FUSE_OPEN_KILL_SUIDGID, with O_TRUNC
};

struct OpenReply {
    FileHandle handle;
    std::uint32_t open_flags = 0;  ///< FOPEN_*
};

/// The name, mode and origin of something to be made (MKNOD, MKDIR, SYMLINK, CREATE, TMPFILE).
struct SecurityContext {
    std::string_view name;  ///< "security.selinux"; empty: none
    std::span<const std::byte> value;
};

struct CreateRequest {
    std::uint32_t flags;  ///< O_*
    std::uint32_t mode;   ///< permissions before the umask
    std::uint32_t
        umask;  ///< the caller's; applied by the file system, because a default ACL replaces it
    bool kill_suid_gid = false;
    SecurityContext security;
};

struct MakeRequest {
    std::uint32_t mode;  ///< with the type for MKNOD
    std::uint32_t umask;
    std::uint32_t rdev = 0;  ///< MKNOD of devices; new_encode_dev
    SecurityContext security;
};

struct Created {
    Entry entry;
    OpenReply open;
};

struct ReadRequest {
    std::uint64_t offset;
    std::uint32_t size;   ///< bytes; equals the sum of the buffers
    std::uint32_t flags;  ///< O_* of the file now (O_DIRECT may have come by fcntl)
};

struct WriteRequest {
    std::uint64_t offset;
    std::uint32_t size;
    std::uint32_t flags;   ///< O_* of the file now
    bool from_page_cache;  ///< FUSE_WRITE_CACHE: not by the caller itself, uid may be anybody
    bool kill_suid_gid;    ///< FUSE_WRITE_KILL_SUIDGID
};

struct ReleaseRequest {
    std::uint32_t flags;
    std::optional<LockOwner> posix_owner;  ///< FUSE_RELEASE_FLUSH
    bool flock_unlock;  ///< FUSE_RELEASE_FLOCK_UNLOCK: this open's flock ends
};

/// struct fuse_kstatfs in our terms.
struct FileSystemStatus {
    std::uint64_t blocks, blocks_free, blocks_available;  ///< of fragment_size bytes
    std::uint64_t files, files_free;
    std::uint32_t block_size, fragment_size;
    std::uint32_t name_size_max;
};

enum class LockKind : std::uint8_t { posix, flock };

struct Lock {
    std::uint64_t start;
    std::uint64_t end;   ///< inclusive; OFFSET_MAX: to the end
    std::uint32_t type;  ///< F_RDLCK, F_WRLCK, F_UNLCK
    std::uint32_t pid;   ///< in the owner's terms; 0: unknown
};

struct LockRequest {
    LockKind kind;
    LockOwner owner;
    Lock lock;
    bool wait;  ///< SETLKW: until it is granted, cancelled (EINTR) or the wait limit is over
                ///< (EINTR)
};

struct CopyRequest {
    NodeId from;
    FileHandle from_handle;
    std::uint64_t from_offset;
    NodeId to;
    FileHandle to_handle;
    std::uint64_t to_offset;
    std::uint64_t size;
};

struct Forget {
    NodeId node;
    std::uint64_t count;
};

/// What a back end implements. Every operation is asynchronous; an answer that is there at once
/// is returned as Task::ready() and costs no suspension. Every operation has a default: ENOSYS
/// (or, where Linux then stops asking for good, what its comment says).
///
/// Arguments have been checked by the dispatcher: names, sizes, flags that do not exist.
/// Nodeids and handles have not: an unknown nodeid is ESTALE (ENOENT for forget: ignored), an
/// unknown handle EBADF, and nothing else happens.
///
/// In        references and views (Context, Name, spans) live until the reply is written.
/// Thread    the context's reactor; one object is called from several reactors at once.
/// Errors    any errno that means something to the tenant's caller.
class FileSystem {
  public:
    virtual ~FileSystem() = default;

    /// Before the device can be connected to, on its control reactor: gets what is needed
    /// before anything can be served (a server's session). After an error stop() is not called.
    virtual Task<Result<void>> start(reactor::Reactor& reactor);
    /// After the device has gone, on the same reactor: gives it back. Nothing else is called
    /// after it.
    virtual Task<void> stop(reactor::Reactor& reactor);

    /// Answers INIT when the back end is ready, whatever that takes.
    virtual Task<Result<void>> init(Context& context, Capabilities& capabilities);
    /// A mount has ended, or its device was reset: every nodeid but the root, every handle and
    /// every lock of the tenant is void. No operation is in flight.
    virtual Task<void> destroy(reactor::Reactor& reactor);

    /// Lines of KEY=VALUE pairs about what has been done since start(), which the log gets
    /// behind the device's tag. Thread: any.
    [[nodiscard]] virtual std::vector<std::string> statistics() const { return {}; }

    // --- names
    virtual Task<Result<Entry>> lookup(Context& context, NodeId parent, Name name);
    /// Takes references back; unknown nodes and too large counts are ignored (a hostile
    /// tenant).
    virtual Task<void> forget(Context& context, std::span<const Forget> nodes);
    virtual Task<Result<Entry>> mknod(Context& context,
                                      NodeId parent,
                                      Name name,
                                      MakeRequest request);
    virtual Task<Result<Entry>> mkdir(Context& context,
                                      NodeId parent,
                                      Name name,
                                      MakeRequest request);
    virtual Task<Result<Entry>> symlink(Context& context,
                                        NodeId parent,
                                        Name name,
                                        std::string_view target_with_nul,
                                        SecurityContext security);
    virtual Task<Result<Entry>> link(Context& context,
                                     NodeId node,
                                     NodeId new_parent,
                                     Name new_name);
    virtual Task<Result<void>> unlink(Context& context, NodeId parent, Name name);
    virtual Task<Result<void>> rmdir(Context& context, NodeId parent, Name name);
    /// `flags`: RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT.
    virtual Task<Result<void>> rename(Context& context,
                                      NodeId parent,
                                      Name name,
                                      NodeId new_parent,
                                      Name new_name,
                                      std::uint32_t flags);

    // --- inodes
    virtual Task<Result<TimedAttributes>> getattr(Context& context,
                                                  NodeId node,
                                                  std::optional<FileHandle> handle);
    virtual Task<Result<TimedAttributes>> setattr(Context& context,
                                                  NodeId node,
                                                  SetAttributes change);
    /// Gives the number of bytes put into `target` (no NUL).
    virtual Task<Result<std::size_t>> readlink(Context& context,
                                               NodeId node,
                                               std::span<char> target);
    /// `mask`: R_OK, W_OK, X_OK, F_OK.
    virtual Task<Result<void>> access(Context& context, NodeId node, std::uint32_t mask);
    virtual Task<Result<FileSystemStatus>> statfs(Context& context, NodeId node);
    virtual Task<Result<void>> syncfs(Context& context, NodeId node);
    /// `flags`: AT_STATX_*, `mask`: STATX_*.
    virtual Task<Result<void>> statx(Context& context,
                                     NodeId node,
                                     std::optional<FileHandle> handle,
                                     std::uint32_t flags,
                                     std::uint32_t mask,
                                     struct ::statx& out,
                                     Duration& valid);

    // --- files
    /// ENOSYS here (with FUSE_NO_OPEN_SUPPORT) means: files need no open, ever.
    virtual Task<Result<OpenReply>> open(Context& context, NodeId node, OpenRequest request);
    virtual Task<Result<Created>> create(Context& context,
                                         NodeId parent,
                                         Name name,
                                         CreateRequest request);
    virtual Task<Result<Created>> tmpfile(Context& context,
                                          NodeId parent,
                                          CreateRequest request);
    /// Puts data into `to` from its start; fewer bytes than asked mean the end of the file.
    virtual Task<Result<std::size_t>> read(Context& context,
                                           NodeId node,
                                           FileHandle handle,
                                           ReadRequest request,
                                           std::span<const iovec> to);
    /// Takes all of `from`, or says how much it took.
    virtual Task<Result<std::size_t>> write(Context& context,
                                            NodeId node,
                                            FileHandle handle,
                                            WriteRequest request,
                                            std::span<const iovec> from);
    /// On each close(2): drops the owner's POSIX locks; reports delayed errors. Default:
    /// success.
    virtual Task<Result<void>> flush(Context& context,
                                     NodeId node,
                                     FileHandle handle,
                                     LockOwner owner);
    virtual Task<Result<void>> release(Context& context,
                                       NodeId node,
                                       FileHandle handle,
                                       ReleaseRequest request);
    virtual Task<Result<void>> fsync(Context& context,
                                     NodeId node,
                                     FileHandle handle,
                                     bool data_only);
    virtual Task<Result<void>> fallocate(Context& context,
                                         NodeId node,
                                         FileHandle handle,
                                         std::uint32_t mode,
                                         std::uint64_t offset,
                                         std::uint64_t length);
    /// `whence`: SEEK_DATA or SEEK_HOLE.
    virtual Task<Result<std::uint64_t>> lseek(Context& context,
                                              NodeId node,
                                              FileHandle handle,
                                              std::uint64_t offset,
                                              std::uint32_t whence);
    virtual Task<Result<std::size_t>> copy_file_range(Context& context, CopyRequest request);

    // --- directories
    virtual Task<Result<OpenReply>> opendir(Context& context, NodeId node, OpenRequest request);
    /// Adds entries from `offset` (0, or one that an earlier entry gave) until `out` is full.
    virtual Task<Result<void>> readdir(Context& context,
                                       NodeId node,
                                       FileHandle handle,
                                       std::uint64_t offset,
                                       DirectoryWriter& out);
    /// The same with an Entry for each name; references are taken for those that were added.
    virtual Task<Result<void>> readdirplus(Context& context,
                                           NodeId node,
                                           FileHandle handle,
                                           std::uint64_t offset,
                                           DirectoryWriter& out);
    virtual Task<Result<void>> releasedir(Context& context, NodeId node, FileHandle handle);
    virtual Task<Result<void>> fsyncdir(Context& context,
                                        NodeId node,
                                        FileHandle handle,
                                        bool data_only);

    // --- extended attributes; names are NUL-terminated, 1 to 255 bytes
    virtual Task<Result<void>> setxattr(Context& context,
                                        NodeId node,
                                        std::string_view name,
                                        std::span<const std::byte> value,
                                        std::uint32_t flags,
                                        bool acl_kill_sgid);
    /// An empty `value` asks for the size. Errors: ERANGE (does not fit), ENODATA.
    virtual Task<Result<std::size_t>> getxattr(Context& context,
                                               NodeId node,
                                               std::string_view name,
                                               std::span<std::byte> value);
    virtual Task<Result<std::size_t>> listxattr(Context& context,
                                                NodeId node,
                                                std::span<std::byte> names);
    virtual Task<Result<void>> removexattr(Context& context,
                                           NodeId node,
                                           std::string_view name);

    // --- locks, and the rest
    virtual Task<Result<Lock>> getlk(Context& context,
                                     NodeId node,
                                     FileHandle handle,
                                     LockRequest request);
    virtual Task<Result<void>> setlk(Context& context,
                                     NodeId node,
                                     FileHandle handle,
                                     LockRequest request);
    virtual Task<Result<std::uint64_t>> bmap(Context& context,
                                             NodeId node,
                                             std::uint64_t block,
                                             std::uint32_t block_size);
    /// Gives the number of bytes put into `out`; `value` is the call's return value.
    virtual Task<Result<std::size_t>> ioctl(Context& context,
                                            NodeId node,
                                            FileHandle handle,
                                            std::uint32_t command,
                                            std::uint64_t argument,
                                            std::span<const std::byte> in,
                                            std::span<std::byte> out,
                                            std::int32_t& value);
    virtual Task<Result<std::uint32_t>> poll(Context& context,
                                             NodeId node,
                                             FileHandle handle,
                                             std::uint32_t events);
};

}  // namespace dpfs::fuse
