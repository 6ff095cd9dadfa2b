// SPDX-License-Identifier: Apache-2.0
#include "nfs_mount.hpp"

#include "base/or_return.hpp"
#include "fuse/directory_writer.hpp"
#include "fuse/wire.hpp"
#include "fuse/wire_file.hpp"
#include "fuse/wire_inode.hpp"

#include <array>
#include <cstring>
#include <fcntl.h>

namespace dpfs::sim {
namespace {

fuse::Name name_of(const std::string& text) {
    return fuse::Name::check(text).value();
}

/// The names in a listing, and where it goes on.
std::uint64_t take_names(std::span<const std::byte> listing,
                         bool plus,
                         std::set<std::string>& names) {
    std::uint64_t offset = 0;
    while (!listing.empty()) {
        if (plus) listing = listing.subspan(sizeof(fuse::wire::EntryOut));
        fuse::wire::Dirent entry = {};
        std::memcpy(&entry, listing.data(), sizeof entry);
        std::string name(entry.namelen, '\0');
        std::memcpy(name.data(), listing.data() + sizeof entry, name.size());
        if (name != "." && name != "..") names.insert(std::move(name));
        offset = entry.off;
        listing = listing.subspan(fuse::wire::record_align(sizeof entry + entry.namelen));
    }
    return offset;
}

}  // namespace

NfsMount::NfsMount(reactor::SimWorld& world,
                   nfs::NfsOptions options,
                   std::vector<reactor::Reactor*> reactors,
                   Logger log)
    : world_(world), reactors_(std::move(reactors)) {
    auto made = nfs::NfsFs::make(std::move(options), reactors_, std::move(log));
    DPFS_ASSERT(made.has_value());
    file_system_ = std::move(*made);
}

NfsMount::~NfsMount() = default;

Task<Result<void>> NfsMount::start() {
    return file_system_->start(home());
}

Task<void> NfsMount::stop() {
    co_await file_system_->destroy(home());
    co_await file_system_->stop(home());
}

void NfsMount::interrupt_all() {
    interrupted_ = true;
    const auto calls = calls_;
    for (reactor::CancelSource* const call : calls) call->cancel();
}

/// The context of one request.
class NfsCaller::Call {
  public:
    explicit Call(NfsCaller& caller)
        : mount(caller.mount_),
          context{.reactor = caller.reactor_, .cancel = cancel, .caller = {}} {
        mount.calls_.insert(&cancel);
        if (mount.interrupted_) cancel.cancel();
        const Duration time = std::exchange(caller.interrupt_after_, {});
        if (time != Duration{}) {
            interrupt_at = caller.now() + time;
            watch.spawn(caller.interrupt_later(*this));
        }
    }
    Task<void> end() {
        mount.calls_.erase(&cancel);
        over.cancel();
        return watch.close();
    }

    NfsMount& mount;
    reactor::CancelSource cancel;
    fuse::Context context;
    Instant interrupt_at = {};
    reactor::CancelSource over;
    Gate watch;
};

Task<void> NfsCaller::interrupt_later(Call& call) {
    const auto slept = co_await reactor_.sleep_until(call.interrupt_at, &call.over);
    if (!slept) co_return;
    was_interrupted_ = true;
    call.cancel.cancel();
}

Task<Result<fuse::Entry>> NfsCaller::look_up(fuse::NodeId parent, std::string name) {
    Call call(*this);
    auto entry = co_await file_system().lookup(call.context, parent, name_of(name));
    co_await call.end();
    co_return entry;
}

Task<Result<NfsCaller::File>> NfsCaller::create(fuse::NodeId parent,
                                                std::string name,
                                                std::uint32_t flags) {
    Call call(*this);
    const fuse::CreateRequest request{.flags = flags, .mode = 0644, .umask = 0, .security = {}};
    const auto made =
        co_await file_system().create(call.context, parent, name_of(name), request);
    co_await call.end();
    if (!made) co_return fail(made.error());
    co_return File{made->entry.node, made->open.handle};
}

Task<Result<fuse::FileHandle>> NfsCaller::open(fuse::NodeId node, std::uint32_t flags) {
    Call call(*this);
    const fuse::OpenRequest request{.flags = flags};
    const auto opened = co_await file_system().open(call.context, node, request);
    co_await call.end();
    if (!opened) co_return fail(opened.error());
    co_return opened->handle;
}

Task<Result<void>> NfsCaller::close(File file) {
    Call call(*this);
    auto flushed =
        co_await file_system().flush(call.context, file.node, file.handle, fuse::LockOwner{0});
    const fuse::ReleaseRequest request{
        .flags = O_RDWR, .posix_owner = {}, .flock_unlock = false};
    const auto closed =
        co_await file_system().release(call.context, file.node, file.handle, request);
    static_cast<void>(closed);  // a tenant's kernel tells nobody
    co_await call.end();
    co_return flushed;
}

Task<Result<std::vector<std::byte>>> NfsCaller::read(File file,
                                                     std::uint64_t offset,
                                                     std::size_t size) {
    Call call(*this);
    std::vector<std::byte> data(size, std::byte{0xee});
    // In two parts, as the pages of a tenant are.
    const std::size_t half = size / 3;
    const std::array<iovec, 2> to = {
        iovec{.iov_base = data.data(), .iov_len = half},
        iovec{.iov_base = data.data() + half, .iov_len = size - half}};
    const fuse::ReadRequest request{
        .offset = offset, .size = static_cast<std::uint32_t>(size), .flags = O_RDWR};
    const auto count =
        co_await file_system().read(call.context, file.node, file.handle, request, to);
    co_await call.end();
    if (!count) co_return fail(count.error());
    data.resize(*count);
    co_return data;
}

Task<Result<std::size_t>> NfsCaller::write(File file,
                                           std::uint64_t offset,
                                           std::span<const std::byte> data) {
    Call call(*this);
    const std::array<iovec, 1> from = {
        iovec{.iov_base = const_cast<std::byte*>(data.data()), .iov_len = data.size()}};
    const fuse::WriteRequest request{.offset = offset,
                                     .size = static_cast<std::uint32_t>(data.size()),
                                     .flags = O_RDWR,
                                     .from_page_cache = false,
                                     .kill_suid_gid = false};
    auto count =
        co_await file_system().write(call.context, file.node, file.handle, request, from);
    co_await call.end();
    co_return count;
}

Task<Result<void>> NfsCaller::sync(File file) {
    Call call(*this);
    auto done = co_await file_system().fsync(call.context, file.node, file.handle, false);
    co_await call.end();
    co_return done;
}

Task<Result<void>> NfsCaller::truncate(File file, std::uint64_t size) {
    Call call(*this);
    fuse::SetAttributes change;
    change.handle = file.handle;
    change.size = size;
    const auto done = co_await file_system().setattr(call.context, file.node, change);
    co_await call.end();
    if (!done) co_return fail(done.error());
    co_return Result<void>();
}

Task<Result<std::uint64_t>> NfsCaller::size_of(fuse::NodeId node) {
    Call call(*this);
    const auto found = co_await file_system().getattr(call.context, node, std::nullopt);
    co_await call.end();
    if (!found) co_return fail(found.error());
    co_return std::uint64_t{found->attributes.size};
}

Task<Result<fuse::NodeId>> NfsCaller::make_directory(fuse::NodeId parent, std::string name) {
    Call call(*this);
    const fuse::MakeRequest request{.mode = S_IFDIR | 0755, .umask = 0, .security = {}};
    const auto made =
        co_await file_system().mkdir(call.context, parent, name_of(name), request);
    co_await call.end();
    if (!made) co_return fail(made.error());
    co_return made->node;
}

Task<Result<void>> NfsCaller::remove(fuse::NodeId parent, std::string name) {
    Call call(*this);
    auto done = co_await file_system().unlink(call.context, parent, name_of(name));
    co_await call.end();
    co_return done;
}

Task<Result<void>> NfsCaller::remove_directory(fuse::NodeId parent, std::string name) {
    Call call(*this);
    auto done = co_await file_system().rmdir(call.context, parent, name_of(name));
    co_await call.end();
    co_return done;
}

Task<Result<void>> NfsCaller::rename(fuse::NodeId parent, std::string from, std::string to) {
    Call call(*this);
    auto done = co_await file_system().rename(
        call.context, parent, name_of(from), parent, name_of(to), 0);
    co_await call.end();
    co_return done;
}

Task<Result<void>> NfsCaller::link(fuse::NodeId node, fuse::NodeId parent, std::string name) {
    Call call(*this);
    const auto made = co_await file_system().link(call.context, node, parent, name_of(name));
    co_await call.end();
    if (!made) co_return fail(made.error());
    co_await forget(made->node);
    co_return Result<void>();
}

Task<Result<std::set<std::string>>> NfsCaller::list(fuse::NodeId directory, bool plus) {
    Call call(*this);
    const auto opened =
        co_await file_system().opendir(call.context, directory, {.flags = O_RDONLY});
    if (!opened) {
        co_await call.end();
        co_return fail(opened.error());
    }
    std::set<std::string> names;
    std::uint64_t offset = 0;
    Result<void> outcome;
    for (bool more = true; more && outcome;) {
        std::array<std::byte, 1500> room = {};
        const std::array<iovec, 1> to = {
            iovec{.iov_base = room.data(), .iov_len = room.size()}};
        fuse::DirectoryWriter out(IovecCursor(to), room.size(), plus);
        if (plus) {
            outcome = co_await file_system().readdirplus(
                call.context, directory, opened->handle, offset, out);
        } else {
            outcome = co_await file_system().readdir(
                call.context, directory, opened->handle, offset, out);
        }
        more = outcome && out.size() > 0;
        if (more) offset = take_names(std::span(room).first(out.size()), plus, names);
    }
    const auto closed =
        co_await file_system().releasedir(call.context, directory, opened->handle);
    co_await call.end();
    if (outcome && !closed) outcome = closed;
    if (!outcome) co_return fail(outcome.error());
    co_return names;
}

Task<Result<void>> NfsCaller::lock(File file,
                                   std::uint64_t owner,
                                   std::uint32_t type,
                                   bool wait) {
    Call call(*this);
    const fuse::LockRequest request{
        .kind = fuse::LockKind::posix,
        .owner = fuse::LockOwner{owner},
        .lock = {.start = 0, .end = INT64_MAX, .type = type, .pid = 1},
        .wait = wait};
    auto done = co_await file_system().setlk(call.context, file.node, file.handle, request);
    co_await call.end();
    co_return done;
}

Task<void> NfsCaller::forget(fuse::NodeId node, std::uint64_t count) {
    Call call(*this);
    const std::array<fuse::Forget, 1> nodes = {fuse::Forget{.node = node, .count = count}};
    co_await file_system().forget(call.context, nodes);
    co_await call.end();
}

}  // namespace dpfs::sim
