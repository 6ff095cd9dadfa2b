// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/log.hpp"
#include "fs/ids/id_map.hpp"
#include "fs/mirror/inode_locks.hpp"
#include "fs/mirror/inode_table.hpp"
#include "fs/mirror/mirror_options.hpp"
#include "fs/mirror/open_file.hpp"
#include "fs/mirror/xattr_names.hpp"
#include "fuse/directory_writer.hpp"
#include "fuse/file_system.hpp"
#include "reactor/reactor.hpp"

#include <atomic>
#include <expected>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

struct open_how;

namespace dpfs::mirror {

/// Serves one local directory: the `uring` back end on io_uring reactors, the `aio` back end on
/// epoll reactors. Nothing outside the directory can be reached, whatever the tenant sends.
class MirrorFs final : public fuse::FileSystem {
  public:
    /// Opens the directory and finds out what its file system can do. Blocks: for start-up.
    /// Sets the process's umask to 0: a tenant's umask comes with its requests.
    /// Errors: one line that says what is wrong with which option.
    static std::expected<std::unique_ptr<MirrorFs>, std::string> make(MirrorOptions options,
                                                                      Logger log);
    ~MirrorFs() override;

    /// Inodes known, their descriptors, and open handles. Thread: any.
    struct Counts {
        std::size_t inodes, descriptors, open_files;
    };
    [[nodiscard]] Counts counts() noexcept;

    // --- mirror_start.cpp
    Task<Result<void>> init(fuse::Context& context, fuse::Capabilities& capabilities) override;
    Task<void> destroy(reactor::Reactor& reactor) override;

    // --- mirror_lookup.cpp
    Task<Result<fuse::Entry>> lookup(fuse::Context& context,
                                     fuse::NodeId parent,
                                     fuse::Name name) override;
    Task<void> forget(fuse::Context& context, std::span<const fuse::Forget> nodes) override;

    // --- mirror_create.cpp
    Task<Result<fuse::Entry>> mknod(fuse::Context& context,
                                    fuse::NodeId parent,
                                    fuse::Name name,
                                    fuse::MakeRequest request) override;
    Task<Result<fuse::Entry>> mkdir(fuse::Context& context,
                                    fuse::NodeId parent,
                                    fuse::Name name,
                                    fuse::MakeRequest request) override;
    Task<Result<fuse::Entry>> symlink(fuse::Context& context,
                                      fuse::NodeId parent,
                                      fuse::Name name,
                                      std::string_view target_with_nul,
                                      fuse::SecurityContext security) override;
    Task<Result<fuse::Created>> create(fuse::Context& context,
                                       fuse::NodeId parent,
                                       fuse::Name name,
                                       fuse::CreateRequest request) override;
    Task<Result<fuse::Created>> tmpfile(fuse::Context& context,
                                        fuse::NodeId parent,
                                        fuse::CreateRequest request) override;

    // --- mirror_names.cpp
    Task<Result<fuse::Entry>> link(fuse::Context& context,
                                   fuse::NodeId node,
                                   fuse::NodeId new_parent,
                                   fuse::Name new_name) override;
    Task<Result<void>> unlink(fuse::Context& context,
                              fuse::NodeId parent,
                              fuse::Name name) override;
    Task<Result<void>> rmdir(fuse::Context& context,
                             fuse::NodeId parent,
                             fuse::Name name) override;
    Task<Result<void>> rename(fuse::Context& context,
                              fuse::NodeId parent,
                              fuse::Name name,
                              fuse::NodeId new_parent,
                              fuse::Name new_name,
                              std::uint32_t flags) override;

    // --- mirror_attributes.cpp
    Task<Result<fuse::TimedAttributes>> getattr(
        fuse::Context& context,
        fuse::NodeId node,
        std::optional<fuse::FileHandle> handle) override;
    Task<Result<fuse::TimedAttributes>> setattr(fuse::Context& context,
                                                fuse::NodeId node,
                                                fuse::SetAttributes change) override;
    Task<Result<void>> statx(fuse::Context& context,
                             fuse::NodeId node,
                             std::optional<fuse::FileHandle> handle,
                             std::uint32_t flags,
                             std::uint32_t mask,
                             struct ::statx& out,
                             Duration& valid) override;
    Task<Result<void>> access(fuse::Context& context,
                              fuse::NodeId node,
                              std::uint32_t mask) override;
    Task<Result<std::size_t>> readlink(fuse::Context& context,
                                       fuse::NodeId node,
                                       std::span<char> target) override;

    // --- mirror_status.cpp
    Task<Result<fuse::FileSystemStatus>> statfs(fuse::Context& context,
                                                fuse::NodeId node) override;
    Task<Result<void>> syncfs(fuse::Context& context, fuse::NodeId node) override;
    Task<Result<std::size_t>> ioctl(fuse::Context& context,
                                    fuse::NodeId node,
                                    fuse::FileHandle handle,
                                    std::uint32_t command,
                                    std::uint64_t argument,
                                    std::span<const std::byte> in,
                                    std::span<std::byte> out,
                                    std::int32_t& value) override;

    // --- mirror_open.cpp
    Task<Result<fuse::OpenReply>> open(fuse::Context& context,
                                       fuse::NodeId node,
                                       fuse::OpenRequest request) override;
    Task<Result<void>> flush(fuse::Context& context,
                             fuse::NodeId node,
                             fuse::FileHandle handle,
                             fuse::LockOwner owner) override;
    Task<Result<void>> release(fuse::Context& context,
                               fuse::NodeId node,
                               fuse::FileHandle handle,
                               fuse::ReleaseRequest request) override;
    Task<Result<void>> fsync(fuse::Context& context,
                             fuse::NodeId node,
                             fuse::FileHandle handle,
                             bool data_only) override;

    // --- mirror_io.cpp
    Task<Result<std::size_t>> read(fuse::Context& context,
                                   fuse::NodeId node,
                                   fuse::FileHandle handle,
                                   fuse::ReadRequest request,
                                   std::span<const iovec> to) override;
    Task<Result<std::size_t>> write(fuse::Context& context,
                                    fuse::NodeId node,
                                    fuse::FileHandle handle,
                                    fuse::WriteRequest request,
                                    std::span<const iovec> from) override;

    // --- mirror_space.cpp
    Task<Result<void>> fallocate(fuse::Context& context,
                                 fuse::NodeId node,
                                 fuse::FileHandle handle,
                                 std::uint32_t mode,
                                 std::uint64_t offset,
                                 std::uint64_t length) override;
    Task<Result<std::uint64_t>> lseek(fuse::Context& context,
                                      fuse::NodeId node,
                                      fuse::FileHandle handle,
                                      std::uint64_t offset,
                                      std::uint32_t whence) override;
    Task<Result<std::size_t>> copy_file_range(fuse::Context& context,
                                              fuse::CopyRequest request) override;

    // --- mirror_directory.cpp
    Task<Result<fuse::OpenReply>> opendir(fuse::Context& context,
                                          fuse::NodeId node,
                                          fuse::OpenRequest request) override;
    Task<Result<void>> readdir(fuse::Context& context,
                               fuse::NodeId node,
                               fuse::FileHandle handle,
                               std::uint64_t offset,
                               fuse::DirectoryWriter& out) override;
    Task<Result<void>> readdirplus(fuse::Context& context,
                                   fuse::NodeId node,
                                   fuse::FileHandle handle,
                                   std::uint64_t offset,
                                   fuse::DirectoryWriter& out) override;
    Task<Result<void>> releasedir(fuse::Context& context,
                                  fuse::NodeId node,
                                  fuse::FileHandle handle) override;
    Task<Result<void>> fsyncdir(fuse::Context& context,
                                fuse::NodeId node,
                                fuse::FileHandle handle,
                                bool data_only) override;

    // --- mirror_xattr.cpp
    Task<Result<void>> setxattr(fuse::Context& context,
                                fuse::NodeId node,
                                std::string_view name,
                                std::span<const std::byte> value,
                                std::uint32_t flags,
                                bool acl_kill_sgid) override;
    Task<Result<std::size_t>> getxattr(fuse::Context& context,
                                       fuse::NodeId node,
                                       std::string_view name,
                                       std::span<std::byte> value) override;
    Task<Result<std::size_t>> listxattr(fuse::Context& context,
                                        fuse::NodeId node,
                                        std::span<std::byte> names) override;
    Task<Result<void>> removexattr(fuse::Context& context,
                                   fuse::NodeId node,
                                   std::string_view name) override;

    // --- mirror_locks.cpp
    Task<Result<fuse::Lock>> getlk(fuse::Context& context,
                                   fuse::NodeId node,
                                   fuse::FileHandle handle,
                                   fuse::LockRequest request) override;
    Task<Result<void>> setlk(fuse::Context& context,
                             fuse::NodeId node,
                             fuse::FileHandle handle,
                             fuse::LockRequest request) override;

  private:
    struct Found {
        UniqueFd fd;  // O_PATH
        struct statx attributes;
    };
    struct Start;  // what make() has found out; mirror_start.cpp
    MirrorFs(MirrorOptions options, Logger log, Start start);

    // --- reaching inodes: mirror_reach.cpp

    /// The inode, with a descriptor for as long as it is pinned. Errors: ESTALE, EMFILE….
    Task<Result<InodePin>> reach(fuse::Context& context, fuse::NodeId node);
    /// Gives `inode` its descriptor. `inode` outlives the task.
    Task<Result<void>> open_again(fuse::Context& context, InodePin& inode);
    Task<Result<InodePin>> reach_slowly(fuse::Context& context, InodePin inode);
    Task<Result<void>> open_by_name(fuse::Context& context, InodePin& inode);
    /// Opens one name in `dir` (reached; outlives the task), following nothing.
    Task<Result<Found>> find_name(fuse::Context& context, InodePin& dir, const char* name);
    /// What statx(2) says about `fd`, which lies on `mount`.
    Task<Result<struct statx>> attributes_through(fuse::Context& context, Mount& mount, int fd);
    /// The mount that `found` lies on.
    Task<Result<std::shared_ptr<Mount>>> mount_of(fuse::Context& context,
                                                  InodePin& dir,
                                                  Found& found);
    /// The answer about an inode that find_name() or the like found in `dir`, with a reference.
    Task<Result<fuse::Entry>> enter(fuse::Context& context, InodePin& dir, Found found);
    Task<Result<InodePin>> reference(fuse::Context& context, InodePin& dir, Found found);
    Task<Result<fuse::Entry>> lookup_slowly(fuse::Context& context,
                                            InodePin dir,
                                            fuse::Name name);
    /// The answer about a directory that a listing has brought along, and that is used now.
    Task<Result<fuse::Entry>> enter_listed(fuse::Context& context,
                                           InodePin inode,
                                           InodePin dir,
                                           struct statx found);
    /// Before a name goes: what it stands for must be reachable without it, if the tenant knows
    /// it. Errors are ignored: the inode is then stale afterwards.
    Task<void> keep_reachable(fuse::Context& context, InodePin& dir, fuse::Name name);

    [[nodiscard]] fuse::Attributes attributes_of(const struct statx& found) const noexcept;
    [[nodiscard]] fuse::Entry entry_of(const InodePin& inode,
                                       const Mount& parent_mount,
                                       const struct statx& found) const noexcept;
    /// What the failed lookup of a name is answered with.
    [[nodiscard]] Result<fuse::Entry> no_entry(Errno error) const noexcept;

    // --- on whose behalf: mirror_reach.cpp

    /// Whom the host shall take the request to come from; `mapped` holds it if ids are mapped
    /// (ids that the map does not know become nobody's). nullptr: the daemon itself.
    const reactor::Credentials* host_caller(const fuse::Context& context,
                                            reactor::Credentials& mapped) const;
    /// The same for what makes an inode. Errors: EOVERFLOW (an id that the map does not know).
    Result<const reactor::Credentials*> host_creator(const fuse::Context& context,
                                                     reactor::Credentials& mapped) const;

    /// Makes a call that asks and changes nothing, in place or on the pool as its mount's pace
    /// says. `call` may refer to the caller's frame; name it before the co_await.
    template <class Call>
    auto look(fuse::Context& context, Mount& mount, CallKind kind, Call call)
        -> Task<std::invoke_result_t<Call&>>;
    /// The same for a call whose effect depends on who makes it.
    template <class Call>
    auto change(fuse::Context& context,
                Mount& mount,
                const reactor::Credentials* who,
                Call call) -> Task<std::invoke_result_t<Call&>>;
    template <class Call>
    auto on_pool(fuse::Context& context,
                 PacedCall paced,
                 const reactor::Credentials* who,
                 Call call) -> Task<std::invoke_result_t<Call&>>;

    // --- opening and making: mirror_open.cpp, mirror_create.cpp

    [[nodiscard]] int host_open_flags(std::uint32_t guest_flags) const noexcept;
    Result<fuse::OpenReply> publish_open(InodePin inode, UniqueFd fd, std::uint32_t flags);
    Task<Result<UniqueFd>> open_regular(fuse::Context& context,
                                        InodePin& inode,
                                        fuse::OpenRequest request);
    Task<Result<UniqueFd>> open_waiting(fuse::Context& context,
                                        const reactor::Credentials* who,
                                        int fd,
                                        int flags,
                                        PacedCall paced);
    /// `mode` as it is to be passed on: without what the umask takes away, unless the parent's
    /// default ACL is to decide.
    Task<Result<std::uint32_t>> creation_mode(fuse::Context& context,
                                              InodePin& dir,
                                              std::uint32_t mode,
                                              std::uint32_t umask);
    Task<Result<fuse::Entry>> enter_made(fuse::Context& context,
                                         InodePin& dir,
                                         fuse::Name name,
                                         fuse::SecurityContext security);
    Task<Result<fuse::Created>> open_made(fuse::Context& context,
                                          InodePin& dir,
                                          UniqueFd fd,
                                          fuse::CreateRequest request);
    Task<Result<fuse::Created>> open_existing(fuse::Context& context,
                                              InodePin& dir,
                                              fuse::Name name,
                                              fuse::CreateRequest request);
    Task<Result<void>> set_security(fuse::Context& context,
                                    Mount& mount,
                                    int fd,
                                    fuse::SecurityContext security);
    Task<Result<void>> remove(fuse::Context& context,
                              fuse::NodeId parent,
                              fuse::Name name,
                              std::uint32_t at_flags);
    /// Lets go of what may take long to free.
    Task<void> close_elsewhere(reactor::Reactor& reactor, OpenFilePin file);
    Task<void> forget_slowly(fuse::Context& context,
                             InodePin large,
                             std::span<const fuse::Forget> nodes);
    /// Still pinned, if freeing it may take long.
    InodePin forget_one(const fuse::Forget& forget);

    // --- handles
    Result<OpenFilePin> handle_of(fuse::NodeId node, fuse::FileHandle handle) noexcept;
    Result<OpenFilePin> file_of(fuse::NodeId node, fuse::FileHandle handle) noexcept;
    Result<OpenFilePin> directory_of(fuse::NodeId node, fuse::FileHandle handle) noexcept;
    /// A descriptor for fstat-like calls: the handle's, or the inode's. At least one is valid.
    struct Target {
        InodePin inode;
        OpenFilePin file;
        [[nodiscard]] int fd() const noexcept {
            return file ? file->descriptor.get() : inode->descriptor();
        }
    };
    Task<Result<Target>> target_of(fuse::Context& context,
                                   fuse::NodeId node,
                                   std::optional<fuse::FileHandle> handle);
    Task<Result<fuse::TimedAttributes>> getattr_slowly(fuse::Context& context,
                                                       fuse::NodeId node,
                                                       std::optional<fuse::FileHandle> handle);
    Result<void> apply(const Target& target, const fuse::SetAttributes& wanted) const;
    Result<void> resize(const Target& target, std::uint64_t wanted, bool kill_set_id) const;

    // --- data
    Task<Result<std::size_t>> read_slowly(fuse::Context& context,
                                          OpenFilePin file,
                                          fuse::ReadRequest request,
                                          std::span<const iovec> to,
                                          std::size_t done);
    Task<Result<std::size_t>> write_slowly(fuse::Context& context,
                                           OpenFilePin file,
                                           fuse::WriteRequest request,
                                           std::span<const iovec> from,
                                           std::size_t done);
    Task<Result<std::size_t>> write_keeping_set_id(fuse::Context& context,
                                                   OpenFilePin file,
                                                   fuse::WriteRequest request,
                                                   std::span<const iovec> from);
    [[nodiscard]] std::uint32_t write_flags(const fuse::WriteRequest& request) const noexcept;
    Task<Result<void>> sync(fuse::Context& context, OpenFilePin file, bool data_only);

    // --- directories
    static Result<void> error_after(const fuse::DirectoryWriter& out, Errno error);
    Task<Result<void>> list(fuse::Context& context,
                            fuse::NodeId node,
                            fuse::FileHandle handle,
                            std::uint64_t offset,
                            fuse::DirectoryWriter& out);
    /// Adds the stream's next entry, `entry`, or several from it on; false: one did not fit.
    Task<bool> add_next(fuse::Context& context,
                        OpenFile& dir,
                        DirectoryStream::Entry entry,
                        fuse::DirectoryWriter& out);
    struct Listed;
    Task<bool> add_several(fuse::Context& context, OpenFile& dir, fuse::DirectoryWriter& out);
    Task<void> ask_about(fuse::Context& context, OpenFile& dir, Listed& one);
    /// Takes a reference for a listing, without opening anything.
    /// Errors: EAGAIN (only opening it tells which inode it is), ENFILE.
    Result<InodePin> reference_listed(const InodePin& dir,
                                      const struct statx& found,
                                      std::string_view name);
    bool add_referenced(const Result<InodePin>& inode,
                        const Mount& mount,
                        const struct statx& found,
                        fuse::DirectoryWriter::Item item,
                        fuse::DirectoryWriter& out);

    // --- extended attributes

    /// The host's name for it. Errors: `refused` (by the rules), EOPNOTSUPP (by an option).
    Result<std::string> host_xattr(std::string_view name, Errno refused) const;
    Result<void> clear_set_group_id(const Inode& inode) const;
    [[nodiscard]] bool is_listed(std::string_view name, const fuse::Context& context) const;
    [[nodiscard]] bool maps_ids() const noexcept {
        return !uid_map_.empty() || !gid_map_.empty();
    }

    // --- locks
    Task<Result<LockDescription>> lock_description(fuse::Context& context,
                                                   OpenFile& file,
                                                   fuse::FileHandle handle,
                                                   fuse::LockOwner owner);
    Task<Result<void>> set_lock(fuse::Context& context,
                                OpenFile& file,
                                LockAttempt attempt,
                                bool wait);
    Task<Result<void>> wait_for_lock(fuse::Context& context,
                                     OpenFile& file,
                                     LockAttempt attempt);
    void drop_posix_locks(Inode& inode, fuse::LockOwner owner);

    const MirrorOptions options_;
    const Logger log_;
    const UniqueFd proc_fd_;  // of /proc/self/fd
    const bool acts_as_caller_;
    const Duration entry_valid_;
    const Duration attributes_valid_;
    const Duration negative_valid_;
    const ids::IdMap uid_map_;
    const ids::IdMap gid_map_;
    const XattrNames xattr_names_;

    // What INIT agreed on; read by all reactors.
    std::atomic<bool> writeback_ = false;
    std::atomic<bool> posix_acl_ = false;
    std::atomic<bool> announces_submounts_ = false;

    LockBudget lock_budget_;  // before the inodes, whose locks count
    Mounts mounts_;
    InodeTable inodes_;
    SlotTable<OpenFile> open_files_;  // after the inodes: handles pin them
};

template <class Call>
auto MirrorFs::look(fuse::Context& context, Mount& mount, CallKind kind, Call call)
    -> Task<std::invoke_result_t<Call&>> {
    using Value = std::invoke_result_t<Call&>;
    PacedCall paced = mount.call(kind);
    if (!paced.in_place()) {
        return on_pool(
            context, paced, acts_as_caller_ ? &context.caller : nullptr, std::move(call));
    }
    Value value = call();
    paced.end();
    return Task<Value>::ready(std::move(value));
}

template <class Call>
auto MirrorFs::change(fuse::Context& context,
                      Mount& mount,
                      const reactor::Credentials* who,
                      Call call) -> Task<std::invoke_result_t<Call&>> {
    using Value = std::invoke_result_t<Call&>;
    PacedCall paced = mount.call(CallKind::change);
    if (!paced.in_place()) return on_pool(context, paced, who, std::move(call));
    if (const auto acting = reactor::act_as(who); !acting) {
        return Task<Value>::ready(fail(acting.error()));
    }
    Value value = call();
    paced.end();
    return Task<Value>::ready(std::move(value));
}

template <class Call>
auto MirrorFs::on_pool(fuse::Context& context,
                       PacedCall paced,
                       const reactor::Credentials* who,
                       Call call) -> Task<std::invoke_result_t<Call&>> {
    auto value = co_await context.reactor.blocking(std::move(call), who);
    paced.end();
    co_return value;
}

}  // namespace dpfs::mirror
