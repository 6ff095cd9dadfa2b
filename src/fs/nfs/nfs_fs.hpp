// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/log.hpp"
#include "fs/nfs/copies.hpp"
#include "fs/nfs/copy_buffers.hpp"
#include "fs/nfs/delegations.hpp"
#include "fs/nfs/file_systems.hpp"
#include "fs/nfs/identities.hpp"
#include "fs/nfs/inode_table.hpp"
#include "fs/nfs/nfs_options.hpp"
#include "fs/nfs/open_file.hpp"
#include "fs/nfs/state_owners.hpp"
#include "fuse/directory_writer.hpp"
#include "fuse/file_system.hpp"
#include "net/nfs4/client.hpp"
#include "net/nfs4/copy.hpp"
#include "reactor/reactor.hpp"

#include <atomic>
#include <expected>
#include <memory>
#include <mutex>
#include <set>
#include <string>

namespace dpfs::nfs {

template <class T>
class Unattended;
struct CopyResult;
/// How a copy went. Nothing: the server knows nothing of it.
using CopyNews = Result<std::optional<CopyResult>>;

/// What is asked about each file.
inline constexpr nfs4::AttributeSet file_attributes = {
    nfs4::Attribute::type,
    nfs4::Attribute::change,
    nfs4::Attribute::size,
    nfs4::Attribute::fsid,
    nfs4::Attribute::fileid,
    nfs4::Attribute::mode,
    nfs4::Attribute::link_count,
    nfs4::Attribute::owner,
    nfs4::Attribute::owner_group,
    nfs4::Attribute::rawdev,
    nfs4::Attribute::space_used,
    nfs4::Attribute::time_access,
    nfs4::Attribute::time_modify,
    nfs4::Attribute::time_metadata,
};

/// Serves one export of an NFSv4.1 or 4.2 server. Each request of the tenant is one compound at
/// the server, made as the tenant's user, wherever the protocol allows it.
class NfsFs final : public fuse::FileSystem, nfs4::StateHolder {
  public:
    /// Resolves the server's name; blocks. `reactors`: all that requests come on. Errors: one
    /// line.
    static std::expected<std::unique_ptr<NfsFs>, std::string> make(
        NfsOptions options, const std::vector<reactor::Reactor*>& reactors, Logger log);
    /// The same with a client that others may use too, on the same reactors, made with the
    /// options' client options.
    static std::expected<std::unique_ptr<NfsFs>, std::string> make(
        NfsOptions options,
        std::shared_ptr<nfs4::Client> client,
        const std::vector<reactor::Reactor*>& reactors,
        Logger log);
    ~NfsFs() override;

    // --- nfs_fs.cpp
    Task<Result<void>> init(fuse::Context& context, fuse::Capabilities& capabilities) override;
    Task<void> destroy(reactor::Reactor& reactor) override;
    Task<Result<void>> start(reactor::Reactor& reactor) override;
    Task<void> stop(reactor::Reactor& reactor) override;
    /// A line for each connection.
    [[nodiscard]] std::vector<std::string> statistics() const override;

    // --- nfs_names.cpp
    Task<Result<fuse::Entry>> lookup(fuse::Context& context,
                                     fuse::NodeId parent,
                                     fuse::Name name) override;
    Task<void> forget(fuse::Context& context, std::span<const fuse::Forget> nodes) override;
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

    // --- nfs_attributes.cpp
    Task<Result<fuse::TimedAttributes>> getattr(
        fuse::Context& context,
        fuse::NodeId node,
        std::optional<fuse::FileHandle> handle) override;
    Task<Result<fuse::TimedAttributes>> setattr(fuse::Context& context,
                                                fuse::NodeId node,
                                                fuse::SetAttributes change) override;
    Task<Result<std::size_t>> readlink(fuse::Context& context,
                                       fuse::NodeId node,
                                       std::span<char> target) override;
    Task<Result<fuse::FileSystemStatus>> statfs(fuse::Context& context,
                                                fuse::NodeId node) override;

    // --- nfs_open.cpp
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

    // --- nfs_io.cpp
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

    // --- nfs_copy.cpp
    Task<Result<std::size_t>> copy_file_range(fuse::Context& context,
                                              fuse::CopyRequest request) override;

    // --- nfs_directory.cpp
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

    // --- nfs_locks.cpp
    Task<Result<fuse::Lock>> getlk(fuse::Context& context,
                                   fuse::NodeId node,
                                   fuse::FileHandle handle,
                                   fuse::LockRequest request) override;
    Task<Result<void>> setlk(fuse::Context& context,
                             fuse::NodeId node,
                             fuse::FileHandle handle,
                             fuse::LockRequest request) override;

    // --- nfs_xattr.cpp
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

  private:
    using Lane = nfs4::Lane;
    using Request = nfs4::Request;

    NfsFs(NfsOptions options, Logger log);

    // --- nfs_fs.cpp
    [[nodiscard]] ServerIdentity as(const reactor::Credentials& who) const noexcept {
        return identities_.of(who);
    }
    [[nodiscard]] Lane& lane(const fuse::Context& context) noexcept {
        return client_->lane(context.reactor);
    }
    struct Place;
    [[nodiscard]] Place& place(const reactor::Reactor& reactor) noexcept;
    [[nodiscard]] Place& place(const fuse::Context& context) noexcept {
        return place(context.reactor);
    }
    /// Where the client calls its holders.
    [[nodiscard]] Place& home_place() noexcept { return place(client_->home().reactor()); }
    /// Of lines that a tenant can cause again and again, or that come for each open file: few
    /// at once, then one a second. `reactor`: the caller's.
    [[nodiscard]] bool may_log(const reactor::Reactor& reactor) noexcept;
    /// When the tenant is told ETIMEDOUT, whatever becomes of its request.
    [[nodiscard]] Instant deadline_from_now(const fuse::Context& context) const noexcept;
    /// Runs `task`, which ends `work`, in the background: it goes on when the tenant has given
    /// up, or `deadline` is over. Errors: Unattended::outcome()'s; ESHUTDOWN.
    template <class T>
    Task<Result<T>> run_unattended(fuse::Context& context,
                                   std::shared_ptr<Unattended<T>> work,
                                   Task<void> task,
                                   Instant deadline);
    /// With the deadline that a tenant's requests have.
    template <class T>
    Task<Result<T>> run_unattended(fuse::Context& context,
                                   std::shared_ptr<Unattended<T>> work,
                                   Task<void> task);
    /// What the tenant has left open when its mount ends.
    Task<void> close_all(std::shared_ptr<Unattended<void>> work);
    /// Fires `closed` when nothing is under way in the background of any reactor.
    Task<void> close_places(reactor::CancelSource& closed);
    /// Looks the export up. Errors: ENOTDIR; the server's.
    Task<Result<void>> find_root(reactor::Reactor& reactor);
    /// A handle that the tenant has open on `node`. Errors: EBADF; EISDIR, ENOTDIR: it is one
    /// of the other kind.
    [[nodiscard]] Result<OpenFilePin> file_of(fuse::NodeId node, fuse::FileHandle handle);
    [[nodiscard]] Result<OpenFilePin> directory_of(fuse::NodeId node, fuse::FileHandle handle);
    /// What the tenant is told about a file.
    [[nodiscard]] fuse::Attributes attributes_of(const nfs4::Attributes& found) const noexcept;
    /// The same, with a reference to it; `above` is the file system of its directory.
    [[nodiscard]] Result<fuse::Entry> enter(const nfs4::FileHandle& handle,
                                            const nfs4::Attributes& found,
                                            const nfs4::FileSystemId& above);

    // --- nfs_attributes.cpp
    /// Who changes a file, and by which open.
    struct Actor {
        nfs4::StateId state = {};
        reactor::Credentials who = {};
    };
    /// Takes a GETATTR of `file_attributes`, behind a SETATTR if there `was_set` anything.
    Result<Seen> take_seen(Request& request, Inode& inode, bool was_set);
    /// A file's attributes: from its delegation, or from the server, with all that was answered
    /// to the tenant's writes in them.
    Task<Result<Seen>> see(fuse::Context& context, Inode& inode);
    /// From the server as it is now.
    Task<Result<Seen>> see_once(fuse::Context& context, Inode& inode);
    /// Changes attributes, behind all data that were written before. set_once(): without
    /// looking at these.
    Task<Result<Seen>> set_and_see(fuse::Context& context,
                                   Inode& inode,
                                   Actor actor,
                                   nfs4::NewAttributes wanted);
    Task<Result<Seen>> set_once(fuse::Context& context,
                                Inode& inode,
                                Actor actor,
                                nfs4::NewAttributes wanted);
    /// set_and_see() of a size through an open file. Errors: run_with_state()'s.
    Task<Result<Seen>> resize(fuse::Context& context,
                              OpenFile& file,
                              nfs4::NewAttributes wanted);
    /// Clears the set-id bits that `seen` has, as a local file system does when somebody else
    /// writes: as the file's owner, because who writes may be another.
    Task<void> clear_set_id(fuse::Context& context, Inode& inode, Seen& seen);

    // --- nfs_names.cpp
    /// LOOKUP, and what it found.
    Task<Result<fuse::Entry>> look_up(fuse::Context& context,
                                      Inode& dir,
                                      std::string_view name);
    /// Anything but a regular file.
    Task<Result<fuse::Entry>> make_node(fuse::Context& context,
                                        fuse::NodeId parent,
                                        Request::Make make);
    Task<Result<void>> remove(fuse::Context& context, fuse::NodeId parent, fuse::Name name);
    /// RENAME.
    Task<Result<void>> move_name(fuse::Context& context,
                                 Inode& from,
                                 std::string_view name,
                                 Inode& to,
                                 std::string_view new_name);

    // --- nfs_silly_rename.cpp
    /// The file of that name, if it would be lost with the name and is open; it then counts as
    /// open once more, until let_go(). Else nothing. Errors: of the server.
    Task<Result<InodePin>> hold_if_open(fuse::Context& context,
                                        Inode& dir,
                                        std::string_view name);
    /// One open file less: the last one takes the hidden name with it.
    Task<void> let_go(fuse::Context& context, InodePin inode);
    Task<void> remove_hidden(fuse::Context& context, HiddenName hidden);
    /// unlink() of what hold_if_open() gave.
    Task<Result<void>> unlink_open(fuse::Context& context,
                                   InodePin dir,
                                   std::string name,
                                   InodePin victim);
    Task<void> hide_unattended(std::shared_ptr<Unattended<void>> work,
                               InodePin dir,
                               std::string name,
                               InodePin victim);
    struct Renaming {
        InodePin from;
        std::string name;
        InodePin to;
        std::string new_name;
    };
    /// rename() over it.
    Task<Result<void>> rename_over_open(fuse::Context& context, Renaming what, InodePin victim);
    Task<void> rename_unattended(std::shared_ptr<Unattended<void>> work,
                                 Renaming what,
                                 InodePin victim);
    /// LINK.
    Task<Result<void>> add_name(fuse::Context& context,
                                Inode& file,
                                Inode& dir,
                                std::string_view name);

    // --- nfs_create.cpp
    struct MakesFile;
    struct MadeFile;
    Task<void> create_unattended(std::shared_ptr<Unattended<fuse::Created>> work,
                                 MakesFile what);
    /// Makes a file and opens it, or opens the one that is there, as `what` says.
    Task<Result<fuse::Created>> create_file(fuse::Context& context,
                                            MakesFile what,
                                            reactor::CancelSource& given_up);
    Task<Result<fuse::Entry>> make_file(fuse::Context& context,
                                        fuse::NodeId parent,
                                        fuse::Name name,
                                        std::uint32_t mode);
    Task<void> make_file_unattended(std::shared_ptr<Unattended<fuse::Entry>> work,
                                    MakesFile what);
    /// create_file()'s OPEN. If it succeeds and this fails, the file is closed again.
    Task<Result<MadeFile>> open_by_name(fuse::Context& context,
                                        Inode& dir,
                                        MakesFile& what,
                                        std::uint64_t owner_number,
                                        reactor::CancelSource& given_up);
    Task<void> set_what_is_missing(fuse::Context& context,
                                   MakesFile& what,
                                   Inode& inode,
                                   MadeFile& made);

    // --- nfs_open.cpp
    Task<void> open_unattended(std::shared_ptr<Unattended<fuse::OpenReply>> work,
                               fuse::NodeId node,
                               fuse::OpenRequest request);
    /// Here as in the others: `given_up` ends what the server has not been asked for yet.
    Task<Result<fuse::OpenReply>> open_file(fuse::Context& context,
                                            fuse::NodeId node,
                                            fuse::OpenRequest request,
                                            reactor::CancelSource& given_up);
    /// A place for a file that is about to be opened, which nobody finds before enlist().
    /// Error: ENFILE.
    Result<OpenFilePin> new_file(const fuse::Context& context,
                                 InodePin inode,
                                 std::uint32_t access);
    /// `file` has got `state` from a server that the client knew as `incarnation`: it is found
    /// from now on, so that it is reclaimed. From here on it ends with close_file().
    Task<void> enlist(fuse::Context& context,
                      OpenFilePin file,
                      nfs4::StateId state,
                      std::uint64_t incarnation);
    /// What the tenant is told about a file that is open.
    [[nodiscard]] fuse::OpenReply reply_for(OpenFile& file, std::uint64_t change) const;
    Task<void> flush_unattended(std::shared_ptr<Unattended<void>> work,
                                OpenFilePin file,
                                fuse::LockOwner owner);
    Task<void> close_unattended(std::shared_ptr<Unattended<void>> work, OpenFilePin file);

    // --- nfs_state.cpp
    /// Ends the locks made through a file that nobody finds any more, and the file's state.
    Task<Result<void>> close_file(fuse::Context& context, OpenFilePin file);
    /// The same for one that the tenant does not know of.
    Task<void> close_abandoned(fuse::Context& context, fuse::FileHandle handle);
    Task<Result<void>> close_state(fuse::Context& context, OpenFile& file);
    /// `name`: the file is of that name in the directory `handle`, and has no known handle. If
    /// another one has the name by now, the file stays open until the lease is over.
    Task<Result<void>> close_state(fuse::Context& context,
                                   nfs4::FileHandle handle,
                                   nfs4::StateId state,
                                   reactor::Credentials who,
                                   std::string_view name = {});
    /// The server does not know `used` any more: opens anew. False: somebody has. Errors: as
    /// OPEN; EBADF: the file is closed.
    Task<Result<bool>> open_again(fuse::Context& context, OpenFile& file, nfs4::StateId used);
    Task<void> open_again_unattended(std::shared_ptr<Unattended<bool>> work,
                                     OpenFilePin file,
                                     nfs4::StateId used);
    /// open_again() here and now, also for a file that is being closed: then it is closed once
    /// more, and that is EBADF.
    Task<Result<bool>> open_forgotten(fuse::Context& context,
                                      OpenFile& file,
                                      nfs4::StateId used);
    /// What is left of a file that the tenant has closed is done whatever time it takes: there
    /// is nobody who would try again. Else: the client's limit.
    [[nodiscard]] static Duration time_for(const OpenFile& file) noexcept {
        return file.released.load() ? nfs4::for_ever : Duration{};
    }
    /// What was locked through `file` is not held any more; by which states it was.
    std::vector<nfs4::StateId> lose_locks(OpenFile& file);
    /// Under the inode's lock: reads and writes through `file` are EIO from now on, and what
    /// was written through it is not sent again.
    void give_up(OpenFile& file);
    /// Runs PUTFH and what `put(Request&, const StateId&)` puts, with the state of an open
    /// file; where the server has lost that, the file is opened again. Errors: Lane::run()'s
    /// and open_again()'s; EIO: locks were lost with the state. The operations' statuses are
    /// left in the request.
    template <class Put>
    Task<Result<nfs4::Lane::Holder>> run_with_state(fuse::Context& context,
                                                    OpenFile& file,
                                                    Put put);

    // --- nfs_delegation.cpp, nfs_delegation_end.cpp
    /// Whether an open with `access` asks for one.
    [[nodiscard]] bool wants_delegation(std::uint32_t access) const noexcept;
    /// What `file`'s OPEN has brought, in `incarnation`, is kept, or given back. When it was
    /// granted, for what its compound has seen of the file.
    Delegation::Moment take_delegation(fuse::Context& context,
                                       OpenFile& file,
                                       const nfs4::Opened& opened,
                                       std::uint64_t incarnation);
    /// What seen_here() says from now on. `asked`: delegations_.moment() before the file was
    /// looked at.
    void note_seen(Inode& inode, const Seen& seen, Delegation::Moment asked);
    /// A name that was looked up at `asked` needs no other look for a while, if nobody else can
    /// change what it leads to.
    void vouch_for(const fuse::Context& context,
                   fuse::Entry& entry,
                   std::uint64_t change,
                   Delegation::Moment asked);
    /// What is known of a file without asking.
    [[nodiscard]] std::optional<Seen> seen_here(Inode& inode);
    /// An open for reading that needs no OPEN.
    [[nodiscard]] std::optional<fuse::OpenReply> reopen_idle(const fuse::Context& context,
                                                             Inode& inode);
    /// `file`, which the tenant has released, stays open for that. False: it has to be closed.
    [[nodiscard]] bool keep_idle(OpenFile& file);
    /// The inode's, which has none any more; nullptr if it had none. take_away_locked(): under
    /// its lock.
    [[nodiscard]] std::unique_ptr<Delegation> take_away_delegation(Inode& inode);
    [[nodiscard]] std::unique_ptr<Delegation> take_away_locked(Inode& inode);
    /// Around each change of the file by ourselves. Returns it in the background.
    void end_delegation(fuse::Context& context, Inode& inode);
    Task<void> give_up_delegation(reactor::Reactor& reactor,
                                  InodePin inode,
                                  std::unique_ptr<Delegation> ended);
    Task<void> return_delegation(reactor::Reactor& reactor,
                                 nfs4::FileHandle handle,
                                 nfs4::StateId delegation,
                                 reactor::Credentials who);
    /// The same, on the client's home reactor.
    void end_at_home(InodePin inode, std::unique_ptr<Delegation> ended);
    Task<void> end_all_delegations(fuse::Context& context);
    [[nodiscard]] bool has_delegation_to_reclaim(OpenFile& file, std::uint64_t incarnation);
    void take_reclaimed_delegation(OpenFile& file,
                                   const nfs4::Opened& opened,
                                   std::uint64_t incarnation);
    /// Those that were not reclaimed in `incarnation`.
    void end_lost_delegations(std::uint64_t incarnation);
    /// Takes references of the tenant's back. What is delegated is kept, for a while, for when
    /// the tenant comes back to it.
    void forget(fuse::Context& context, const InodePin& inode, std::uint64_t count);

    // --- nfs_io.cpp
    struct Part;
    /// One of the requests into which a large one is split, asked until it is whole.
    Task<void> read_part(fuse::Context& context, OpenFile& file, Part& part);
    Task<void> write_part(fuse::Context& context, OpenFile& file, Part& part);
    /// One READ; how many bytes it gave.
    Task<Result<std::size_t>> read_once(fuse::Context& context,
                                        OpenFile& file,
                                        std::uint64_t offset,
                                        std::span<const iovec> to,
                                        bool& at_end);
    /// The same with READ_PLUS. Nothing: the file system has none, or one that cannot be
    /// believed.
    Task<Result<std::optional<std::size_t>>> read_plus_once(fuse::Context& context,
                                                            OpenFile& file,
                                                            std::uint64_t offset,
                                                            std::span<const iovec> to,
                                                            bool& at_end);
    /// One WRITE, and the copy of what it brought if that is not safe yet; how many bytes the
    /// server took.
    Task<Result<std::size_t>> write_once(fuse::Context& context,
                                         OpenFile& file,
                                         std::uint64_t offset,
                                         nfs4::Stable stable,
                                         std::span<const iovec> from);
    /// lseek() where the server does not say where holes are.
    Task<Result<std::uint64_t>> seek_without_holes(fuse::Context& context,
                                                   OpenFile& file,
                                                   std::uint64_t offset,
                                                   std::uint32_t whence);

    // --- nfs_commit.cpp
    /// How many COMMITs it takes to empty the room for uncommitted data.
    static constexpr std::size_t commit_count_max = 4;
    [[nodiscard]] nfs4::Stable stability_of(const fuse::WriteRequest& request) const noexcept;
    /// What a write is answered in the light of: taken before it is sent.
    struct WriteEpoch {
        std::uint64_t incarnation;
        std::uint64_t resends;
    };
    [[nodiscard]] WriteEpoch write_epoch(Inode& inode);
    [[nodiscard]] static bool is_any_kept(Inode& inode);
    /// Keeps the copy of what was written, if there is one and it is needed. False: it has to
    /// be written again.
    [[nodiscard]] bool note_written(Inode& inode,
                                    WriteEpoch epoch,
                                    UncommittedWrites::Pointer copy);
    /// Commits what has to be: before a stable write is answered, and in the background when
    /// much is kept.
    Task<Result<void>> after_write(fuse::Context& context,
                                   OpenFilePin file,
                                   nfs4::Stable stable);
    Task<Result<void>> wait_for_resends(fuse::Context& context, Inode& inode);
    Task<void> commit_early(reactor::Reactor& reactor, OpenFilePin file);
    /// Everything that was answered before is on the server's disk afterwards; what it has lost
    /// is sent again through `file`. Errors: the server's; EIO: it is lost, and cannot be sent
    /// again: no `file`, or its locks are lost.
    Task<Result<void>> commit(fuse::Context& context, Inode& inode, OpenFile* file);
    /// For what must not be followed by older data that are sent again.
    Task<Result<void>> commit_before(fuse::Context& context, Inode& inode);
    /// If there is anything to commit.
    Task<Result<void>> commit_kept(fuse::Context& context, OpenFile& file);
    /// The same; what cannot be committed when the last writer goes is given up.
    Task<Result<void>> commit_at_close(fuse::Context& context, OpenFile& file);
    /// Sends again what is kept of a file. Errors: the server's; ESTALE: `file` has to be
    /// opened again.
    Task<Result<void>> send_again(Lane& lane, OpenFile& file, bool early);
    Task<Result<void>> send_one_again(Lane& lane,
                                      OpenFile& file,
                                      UncommittedWrites::Pointer write,
                                      bool early);

    // --- nfs_catch_up.cpp
    /// Until what is kept of a file is at the server, if it may not be (Inode::behind). Errors:
    /// ECANCELED; commit()'s.
    Task<Result<void>> catch_up(fuse::Context& context, Inode& inode);
    Task<void> catch_up_unattended(std::shared_ptr<Unattended<void>> work, InodePin inode);
    [[nodiscard]] bool is_behind(fuse::NodeId node) {
        const auto inode = inodes_.pin(node);
        return inode && (*inode)->behind.load();
    }
    /// What a name's answer has shown of a file that is behind is asked for again; a failure
    /// takes the reference back.
    Task<Result<fuse::Entry>> refresh(fuse::Context& context, fuse::Entry entry);
    /// Before any request of `incarnation`: nothing that is kept is known to be at its server.
    void all_fall_behind(std::uint64_t incarnation);

    // --- nfs_directory.cpp
    Task<Result<void>> list(fuse::Context& context,
                            fuse::NodeId node,
                            fuse::FileHandle handle,
                            std::uint64_t offset,
                            fuse::DirectoryWriter& out);
    /// The next answer's entries into `page`, from its offset on.
    Task<Result<void>> fetch(fuse::Context& context, OpenFile& dir, DirectoryPage& page);
    /// False: `out` is full.
    Result<bool> add_entries(fuse::Context& context,
                             const InodePin& dir,
                             DirectoryPage& page,
                             fuse::DirectoryWriter& out);
    bool add_entry(fuse::Context& context,
                   const InodePin& dir,
                   fuse::DirectoryWriter::Item item,
                   const nfs4::Attributes& found,
                   fuse::DirectoryWriter& out);

    // --- nfs_locks.cpp
    struct LockAnswer;
    Task<void> lock_unattended(std::shared_ptr<Unattended<LockAnswer>> work,
                               OpenFilePin file,
                               fuse::LockRequest request);
    Task<Result<LockAnswer>> try_lock(fuse::Context& context,
                                      OpenFile& file,
                                      fuse::LockRequest request,
                                      reactor::CancelSource* given_up);
    Task<void> undo_lock(fuse::Context& context, OpenFile& file, fuse::LockRequest request);
    void lose_lock(const fuse::Context& context,
                   OpenFile& file,
                   const fuse::LockRequest& request,
                   const nfs4::StateId& used);
    Task<Result<void>> unlock(fuse::Context& context,
                              OpenFile& file,
                              fuse::LockRequest request);
    /// Whose locks end: those of one POSIX owner, or those made through one open file.
    struct Dropped {
        std::optional<std::uint64_t> posix_owner = {};
        std::uint64_t made_through = 0;
    };
    Task<Result<void>> wait_for_turns(fuse::Context& context, Inode& inode, Dropped which);
    /// Gives them back, with their states. Errors: of the way there; the server's are not
    /// looked at, as CLOSE does it too.
    Task<Result<void>> drop_locks(fuse::Context& context,
                                  InodePin inode,
                                  reactor::Credentials who,
                                  Dropped which);
    /// Naps until a lock may be free. Errors: EINTR: the tenant does not wait any more.
    Task<Result<void>> wait_for_lock(fuse::Context& context, Duration time);

    // --- nfs_copy.cpp
    struct CopyJob;
    Task<void> copy_unattended(std::shared_ptr<CopyJob> job);
    Task<Result<std::size_t>> copy(fuse::Context& context, CopyJob& job);
    Task<Result<std::size_t>> clone_some(fuse::Context& context, CopyJob& job);
    Task<CopyNews> copy_some(fuse::Context& context, CopyJob& job);
    Task<Result<nfs4::Copied>> send_copy(fuse::Context& context, Request& request);
    Task<CopyNews> copy_before_end(fuse::Context& context, CopyJob& job);
    Task<Result<bool>> commit_copy(fuse::Context& context, CopyJob& job, CopyResult copied);

    // --- nfs_copy_wait.cpp
    void copy_ended(const nfs4::CopyOutcome& outcome) override;
    Task<void> wake_copy(reactor::Reactor& waiter, nfs4::StateId copy);
    Task<CopyNews> await_copy(fuse::Context& context,
                              CopyJob& job,
                              nfs4::StateId copy,
                              std::uint64_t incarnation);
    Task<CopyNews> watch_copy(fuse::Context& context, CopyJob& job, nfs4::StateId copy);
    Task<Result<std::optional<CopyNews>>> ask_copy(fuse::Context& context,
                                                   CopyJob& job,
                                                   nfs4::StateId copy);

    // --- nfs_support.cpp
    /// What a file's file system says about itself; asked once for each.
    Task<Result<FileSystemFacts>> facts_of(fuse::Context& context, Inode& inode);
    /// Numbers only: the owners' names are left out. As the caller.
    Task<Result<nfs4::Attributes>> ask_attributes(fuse::Context& context,
                                                  Inode& inode,
                                                  nfs4::AttributeSet wanted);
    [[nodiscard]] bool lacks(const Inode& inode, Feature feature) const {
        return file_systems_.lacks(inode.fsid(), feature);
    }
    /// True: `status` says that the file's file system lacks the operation, as is remembered
    /// from now on, and logged once.
    bool note_support(const Inode& inode, Feature feature, nfs4::Status status);

    // --- nfs_moved.cpp
    /// Logs, once, where a file system is that the server has answered MOVED for: `inode`'s, or
    /// that of `name` in it.
    Task<void> tell_moved(fuse::Context& context, Inode& inode, std::string_view name = {});
    /// The same for the file systems of `files`, one in each, if they have moved.
    Task<void> tell_which_moved(std::vector<OpenFilePin> files);

    // --- nfs_xattr.cpp
    /// A file that can have extended attributes. Errors: ESTALE; EOPNOTSUPP.
    Task<Result<InodePin>> xattr_inode(fuse::Context& context,
                                       fuse::NodeId node,
                                       Errno if_special);
    /// All names, as the tenant knows them, each with its NUL.
    Task<Result<std::string>> fetch_xattr_names(fuse::Context& context, Inode& inode);

    // --- nfs_revoked.cpp
    struct HeldState;
    void states_revoked() override;
    Task<void> find_revoked();
    Task<void> give_up_revoked();
    std::vector<HeldState> held_states(std::uint64_t incarnation);
    /// What the server says of each. Errors: Lane::run()'s; EOPNOTSUPP; EIO.
    Task<Result<std::vector<nfs4::Status>>> test_states(std::span<const HeldState> batch);
    Task<void> give_up_revoked(HeldState& revoked);
    void lose_lock(const HeldState& lost);
    /// Tells the server that we know that it has revoked a state.
    Task<void> free_state(reactor::Reactor& reactor,
                          nfs4::StateId state,
                          reactor::Credentials who);

    // --- nfs_reclaim.cpp
    Task<Result<void>> reclaim(Lane& lane) override;
    void file_systems_moved() override;
    void lock_may_be_free(const nfs4::FileHandle& handle) override;
    nfs4::Status recall(const nfs4::FileHandle& handle,
                        const nfs4::StateId& delegation) override;
    void recall_any(std::uint64_t kept_count_max) override;
    Task<void> wake_lock_waiters();
    Task<Result<void>> send_all_again(Lane& lane);
    Task<Result<void>> reclaim_file(Lane& lane, OpenFilePin file, std::uint64_t incarnation);
    Task<Result<void>> reclaim_locks(Lane& lane,
                                     OpenFilePin file,
                                     nfs4::StateId state,
                                     LockState lock);

    const NfsOptions options_;
    const Logger log_;
    const Duration entry_valid_;
    /// Of regular files. Zero where it is close to open: an open by name then begins with a
    /// LOOKUP, whose attributes tell the tenant's kernel the size that OPEN cannot tell it.
    const Duration file_entry_valid_;
    const Duration attributes_valid_;
    /// Of a file's name while the file is delegated: the return of the delegation waits so
    /// long.
    const Duration vouched_time_;
    const Identities identities_;

    std::shared_ptr<nfs4::Client> client_;        // perhaps with others
    std::vector<std::unique_ptr<Place>> places_;  // one for each reactor

    StateOwners owners_;
    std::atomic<std::uint64_t> revocation_count_ = 0;  // said and not yet looked into
    FileSystems file_systems_;
    Copies copies_;
    Delegations delegations_;
    std::atomic<std::size_t> uncommitted_size_ = 0;  // over all files
    // Half: while a quarter is committed, another one is written.
    CopyBuffers copy_buffers_{options_.uncommitted_size_max / 2};
    static constexpr std::size_t told_count_max = 64;  // then no more is told
    std::mutex told_mutex_;
    std::set<std::string> told_;
    InodeTable inodes_;
    SlotTable<OpenFile> open_files_;  // after the inodes: handles pin them
};

}  // namespace dpfs::nfs
