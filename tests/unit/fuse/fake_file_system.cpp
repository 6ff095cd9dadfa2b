// SPDX-License-Identifier: Apache-2.0
#include "fake_file_system.hpp"

#include "base/or_return.hpp"
#include "fuse/directory_writer.hpp"
#include "reactor/reactor.hpp"

#include <algorithm>
#include <cstring>
#include <sys/stat.h>
#include <utility>

namespace dpfs::fuse::test {
namespace {

std::string show(const std::optional<FileHandle>& handle) {
    return handle ? fmt::format("fh{}", std::to_underlying(*handle)) : "-";
}

std::string show(std::span<const std::byte> bytes) {
    std::string text;
    for (const std::byte byte : bytes) text.push_back(std::to_integer<char>(byte));
    return text;
}

std::string show(const SecurityContext& security) {
    if (security.name.empty()) return "-";
    return fmt::format("{}={}", security.name, show(security.value));
}

std::string show(const std::optional<SetAttributes::Time>& time) {
    if (!time) return "-";
    return time->now ? "now" : fmt::format("{}.{}", time->seconds, time->nanoseconds);
}

std::uint64_t id(NodeId node) {
    return std::to_underlying(node);
}
std::uint64_t id(FileHandle handle) {
    return std::to_underlying(handle);
}

}  // namespace

Attributes FakeFileSystem::attributes() {
    Attributes attributes{};
    attributes.ino = 0x1111;
    attributes.size = 0x2222;
    attributes.mode = S_IFREG | 0644;
    attributes.nlink = 1;
    return attributes;
}

Entry FakeFileSystem::entry() {
    return {.node = NodeId{0x3333},
            .generation = 0x4444,
            .attributes = attributes(),
            .entry_valid = milliseconds(1500),
            .attributes_valid = seconds(2)};
}

template <class T>
Task<Result<T>> FakeFileSystem::answer_later(Context& context, T value) {
    co_await or_return(co_await context.reactor.sleep(delay, &context.cancel));
    if (error != Errno{0}) co_return fail(error);
    co_return value;
}

template <class T>
Task<Result<T>> FakeFileSystem::answer(Context& context, T value) {
    if (delay > Duration{}) return answer_later(context, value);
    if (error != Errno{0}) return Task<Result<T>>::ready(fail(error));
    return Task<Result<T>>::ready(value);
}

Task<Result<void>> FakeFileSystem::done_later(Context& context) {
    co_await or_return(co_await context.reactor.sleep(delay, &context.cancel));
    if (error != Errno{0}) co_return fail(error);
    co_return Result<void>{};
}

Task<Result<void>> FakeFileSystem::done(Context& context) {
    if (delay > Duration{}) return done_later(context);
    if (error != Errno{0}) return Task<Result<void>>::ready(fail(error));
    return Task<Result<void>>::ready({});
}

Task<void> FakeFileSystem::wait(reactor::Reactor& reactor, Duration time) {
    static_cast<void>(co_await reactor.sleep(time));
}

Task<Result<void>> FakeFileSystem::init(Context& context, Capabilities& capabilities) {
    note(context, "init");
    offered = capabilities;
    capabilities.flags &= flags_kept;
    if (init_delay > Duration{}) {
        co_await or_return(co_await context.reactor.sleep(init_delay, &context.cancel));
    }
    if (init_error != Errno{0}) co_return fail(init_error);
    co_return Result<void>{};
}

Task<void> FakeFileSystem::destroy(reactor::Reactor& reactor) {
    ++destroyed;
    if (delay > Duration{}) return wait(reactor, delay);
    return Task<void>::ready();
}

Task<Result<Entry>> FakeFileSystem::lookup(Context& context, NodeId parent, Name name) {
    note(context, "lookup {} {}", id(parent), name.view());
    return answer(context, entry());
}

Task<void> FakeFileSystem::forget(Context& context, std::span<const Forget> nodes) {
    for (const Forget& one : nodes) note(context, "forget {} {}", id(one.node), one.count);
    if (delay > Duration{}) return wait(context.reactor, delay);
    return Task<void>::ready();
}

Task<Result<Entry>> FakeFileSystem::mknod(Context& context,
                                          NodeId parent,
                                          Name name,
                                          MakeRequest request) {
    note(context,
         "mknod {} {} {:o} {:o} {} {}",
         id(parent),
         name.view(),
         request.mode,
         request.umask,
         request.rdev,
         show(request.security));
    return answer(context, entry());
}

Task<Result<Entry>> FakeFileSystem::mkdir(Context& context,
                                          NodeId parent,
                                          Name name,
                                          MakeRequest request) {
    note(context,
         "mkdir {} {} {:o} {:o} {}",
         id(parent),
         name.view(),
         request.mode,
         request.umask,
         show(request.security));
    return answer(context, entry());
}

Task<Result<Entry>> FakeFileSystem::symlink(Context& context,
                                            NodeId parent,
                                            Name name,
                                            std::string_view target,
                                            SecurityContext security) {
    note(context, "symlink {} {} {} {}", id(parent), name.view(), target, show(security));
    return answer(context, entry());
}

Task<Result<Entry>> FakeFileSystem::link(Context& context,
                                         NodeId node,
                                         NodeId parent,
                                         Name name) {
    note(context, "link {} {} {}", id(node), id(parent), name.view());
    return answer(context, entry());
}

Task<Result<void>> FakeFileSystem::unlink(Context& context, NodeId parent, Name name) {
    note(context, "unlink {} {}", id(parent), name.view());
    return done(context);
}

Task<Result<void>> FakeFileSystem::rmdir(Context& context, NodeId parent, Name name) {
    note(context, "rmdir {} {}", id(parent), name.view());
    return done(context);
}

Task<Result<void>> FakeFileSystem::rename(Context& context,
                                          NodeId parent,
                                          Name name,
                                          NodeId new_parent,
                                          Name new_name,
                                          std::uint32_t flags) {
    note(context,
         "rename {} {} {} {} {}",
         id(parent),
         name.view(),
         id(new_parent),
         new_name.view(),
         flags);
    return done(context);
}

Task<Result<TimedAttributes>> FakeFileSystem::getattr(Context& context,
                                                      NodeId node,
                                                      std::optional<FileHandle> handle) {
    note(context, "getattr {} {}", id(node), show(handle));
    return answer(context, TimedAttributes{attributes(), seconds(2)});
}

Task<Result<TimedAttributes>> FakeFileSystem::setattr(Context& context,
                                                      NodeId node,
                                                      SetAttributes change) {
    note(context,
         "setattr {} {} mode={:o} uid={} gid={} size={} atime={} mtime={} ctime={} owner={} "
         "kill={}",
         id(node),
         show(change.handle),
         change.mode.value_or(0),
         change.uid.value_or(0),
         change.gid.value_or(0),
         change.size.value_or(0),
         show(change.atime),
         show(change.mtime),
         show(change.ctime),
         std::to_underlying(change.lock_owner.value_or(LockOwner{})),
         change.kill_suid_gid);
    return answer(context, TimedAttributes{attributes(), seconds(2)});
}

Task<Result<std::size_t>> FakeFileSystem::readlink(Context& context,
                                                   NodeId node,
                                                   std::span<char> target) {
    note(context, "readlink {}", id(node));
    constexpr std::string_view text = "to/there";
    const std::size_t size = std::min(text.size(), target.size());
    std::memcpy(target.data(), text.data(), size);
    return answer(context, size);
}

Task<Result<void>> FakeFileSystem::access(Context& context, NodeId node, std::uint32_t mask) {
    note(context, "access {} {}", id(node), mask);
    return done(context);
}

Task<Result<FileSystemStatus>> FakeFileSystem::statfs(Context& context, NodeId node) {
    note(context, "statfs {}", id(node));
    return answer(context,
                  FileSystemStatus{.blocks = 1,
                                   .blocks_free = 2,
                                   .blocks_available = 3,
                                   .files = 4,
                                   .files_free = 5,
                                   .block_size = 6,
                                   .fragment_size = 7,
                                   .name_size_max = 8});
}

Task<Result<void>> FakeFileSystem::syncfs(Context& context, NodeId node) {
    note(context, "syncfs {}", id(node));
    return done(context);
}

Task<Result<void>> FakeFileSystem::statx(Context& context,
                                         NodeId node,
                                         std::optional<FileHandle> handle,
                                         std::uint32_t flags,
                                         std::uint32_t mask,
                                         struct ::statx& out,
                                         Duration& valid) {
    note(context, "statx {} {} {} {:#x}", id(node), show(handle), flags, mask);
    out.stx_mask = mask;
    out.stx_size = 0x2222;
    out.stx_btime = {.tv_sec = 12, .tv_nsec = 34, .__reserved = 0};
    valid = seconds(2);
    return done(context);
}

Task<Result<OpenReply>> FakeFileSystem::open(Context& context,
                                             NodeId node,
                                             OpenRequest request) {
    note(context, "open {} {:o} {}", id(node), request.flags, request.kill_suid_gid);
    return answer(context, OpenReply{.handle = FileHandle{0x55}, .open_flags = 0x82});
}

Task<Result<Created>> FakeFileSystem::create(Context& context,
                                             NodeId parent,
                                             Name name,
                                             CreateRequest request) {
    note(context,
         "create {} {} {:o} {:o} {:o} {} {}",
         id(parent),
         name.view(),
         request.flags,
         request.mode,
         request.umask,
         request.kill_suid_gid,
         show(request.security));
    return answer(context, Created{entry(), {.handle = FileHandle{0x55}, .open_flags = 2}});
}

Task<Result<Created>> FakeFileSystem::tmpfile(Context& context,
                                              NodeId parent,
                                              CreateRequest request) {
    note(context, "tmpfile {} {:o} {:o}", id(parent), request.flags, request.mode);
    return answer(context, Created{entry(), {.handle = FileHandle{0x55}, .open_flags = 2}});
}

Task<Result<std::size_t>> FakeFileSystem::read(Context& context,
                                               NodeId node,
                                               FileHandle handle,
                                               ReadRequest request,
                                               std::span<const iovec> to) {
    note(context,
         "read {} fh{} {} {} {:o}",
         id(node),
         id(handle),
         request.offset,
         request.size,
         request.flags);
    for (const iovec& part : to) std::memset(part.iov_base, 'd', part.iov_len);
    return answer(context, total_size(to));
}

Task<Result<std::size_t>> FakeFileSystem::write(Context& context,
                                                NodeId node,
                                                FileHandle handle,
                                                WriteRequest request,
                                                std::span<const iovec> from) {
    std::string data;
    for (const iovec& part : from) {
        data.append(static_cast<const char*>(part.iov_base), part.iov_len);
    }
    note(context,
         "write {} fh{} {} {} {:o} {} {} {}",
         id(node),
         id(handle),
         request.offset,
         request.size,
         request.flags,
         request.from_page_cache,
         request.kill_suid_gid,
         data);
    return answer(context, data.size());
}

Task<Result<void>> FakeFileSystem::flush(Context& context,
                                         NodeId node,
                                         FileHandle handle,
                                         LockOwner owner) {
    note(context, "flush {} fh{} {}", id(node), id(handle), std::to_underlying(owner));
    return done(context);
}

Task<Result<void>> FakeFileSystem::release(Context& context,
                                           NodeId node,
                                           FileHandle handle,
                                           ReleaseRequest request) {
    note(context,
         "release {} fh{} {:o} {} {}",
         id(node),
         id(handle),
         request.flags,
         std::to_underlying(request.posix_owner.value_or(LockOwner{})),
         request.flock_unlock);
    return done(context);
}

Task<Result<void>> FakeFileSystem::fsync(Context& context,
                                         NodeId node,
                                         FileHandle handle,
                                         bool data_only) {
    note(context, "fsync {} fh{} {}", id(node), id(handle), data_only);
    return done(context);
}

Task<Result<void>> FakeFileSystem::fallocate(Context& context,
                                             NodeId node,
                                             FileHandle handle,
                                             std::uint32_t mode,
                                             std::uint64_t offset,
                                             std::uint64_t length) {
    note(context, "fallocate {} fh{} {} {} {}", id(node), id(handle), mode, offset, length);
    return done(context);
}

Task<Result<std::uint64_t>> FakeFileSystem::lseek(Context& context,
                                                  NodeId node,
                                                  FileHandle handle,
                                                  std::uint64_t offset,
                                                  std::uint32_t whence) {
    note(context, "lseek {} fh{} {} {}", id(node), id(handle), offset, whence);
    return answer(context, std::uint64_t{0x6666});
}

Task<Result<std::size_t>> FakeFileSystem::copy_file_range(Context& context,
                                                          CopyRequest request) {
    note(context,
         "copy_file_range {} fh{} {} {} fh{} {} {}",
         id(request.from),
         id(request.from_handle),
         request.from_offset,
         id(request.to),
         id(request.to_handle),
         request.to_offset,
         request.size);
    return answer(context, std::size_t{request.size});
}

Task<Result<OpenReply>> FakeFileSystem::opendir(Context& context,
                                                NodeId node,
                                                OpenRequest request) {
    note(context, "opendir {} {:o}", id(node), request.flags);
    return answer(context, OpenReply{.handle = FileHandle{0x55}, .open_flags = 0});
}

Task<Result<void>> FakeFileSystem::readdir(Context& context,
                                           NodeId node,
                                           FileHandle handle,
                                           std::uint64_t offset,
                                           DirectoryWriter& out) {
    note(context, "readdir {} fh{} {}", id(node), id(handle), offset);
    for (; offset < entry_count; ++offset) {
        const std::string name = fmt::format("name{}", offset);
        if (!out.add({.name = name, .ino = offset, .type = 8, .next_offset = offset + 1}))
            break;
    }
    return done(context);
}

Task<Result<void>> FakeFileSystem::readdirplus(Context& context,
                                               NodeId node,
                                               FileHandle handle,
                                               std::uint64_t offset,
                                               DirectoryWriter& out) {
    note(context, "readdirplus {} fh{} {}", id(node), id(handle), offset);
    for (; offset < entry_count; ++offset) {
        const std::string name = fmt::format("name{}", offset);
        if (!out.has_room_for(name.size())) break;
        const bool added = out.add(
            {.name = name, .ino = offset, .type = 8, .next_offset = offset + 1}, entry());
        if (!added) break;
    }
    return done(context);
}

Task<Result<void>> FakeFileSystem::releasedir(Context& context,
                                              NodeId node,
                                              FileHandle handle) {
    note(context, "releasedir {} fh{}", id(node), id(handle));
    return done(context);
}

Task<Result<void>> FakeFileSystem::fsyncdir(Context& context,
                                            NodeId node,
                                            FileHandle handle,
                                            bool data_only) {
    note(context, "fsyncdir {} fh{} {}", id(node), id(handle), data_only);
    return done(context);
}

Task<Result<void>> FakeFileSystem::setxattr(Context& context,
                                            NodeId node,
                                            std::string_view name,
                                            std::span<const std::byte> value,
                                            std::uint32_t flags,
                                            bool acl_kill_sgid) {
    note(context, "setxattr {} {} {} {} {}", id(node), name, show(value), flags, acl_kill_sgid);
    return done(context);
}

Task<Result<std::size_t>> FakeFileSystem::getxattr(Context& context,
                                                   NodeId node,
                                                   std::string_view name,
                                                   std::span<std::byte> value) {
    note(context, "getxattr {} {} {}", id(node), name, value.size());
    constexpr std::string_view text = "value";
    std::ranges::copy(std::as_bytes(std::span(text.substr(0, value.size()))), value.begin());
    return answer(context, text.size());
}

Task<Result<std::size_t>> FakeFileSystem::listxattr(Context& context,
                                                    NodeId node,
                                                    std::span<std::byte> names) {
    note(context, "listxattr {} {}", id(node), names.size());
    constexpr std::string_view text("user.a\0user.b\0", 14);
    std::ranges::copy(std::as_bytes(std::span(text.substr(0, names.size()))), names.begin());
    return answer(context, text.size());
}

Task<Result<void>> FakeFileSystem::removexattr(Context& context,
                                               NodeId node,
                                               std::string_view name) {
    note(context, "removexattr {} {}", id(node), name);
    return done(context);
}

Task<Result<Lock>> FakeFileSystem::getlk(Context& context,
                                         NodeId node,
                                         FileHandle handle,
                                         LockRequest request) {
    note(context, "getlk {} fh{} {}", id(node), id(handle), request.lock.start);
    return answer(context, request.lock);
}

Task<Result<void>> FakeFileSystem::setlk(Context& context,
                                         NodeId node,
                                         FileHandle handle,
                                         LockRequest request) {
    note(context,
         "setlk {} fh{} {} {} {}..{} {} wait={}",
         id(node),
         id(handle),
         request.kind == LockKind::flock ? "flock" : "posix",
         std::to_underlying(request.owner),
         request.lock.start,
         request.lock.end,
         request.lock.type,
         request.wait);
    return done(context);
}

Task<Result<std::uint64_t>> FakeFileSystem::bmap(Context& context,
                                                 NodeId node,
                                                 std::uint64_t block,
                                                 std::uint32_t block_size) {
    note(context, "bmap {} {} {}", id(node), block, block_size);
    return answer(context, std::uint64_t{0x6666});
}

Task<Result<std::size_t>> FakeFileSystem::ioctl(Context& context,
                                                NodeId node,
                                                FileHandle handle,
                                                std::uint32_t command,
                                                std::uint64_t argument,
                                                std::span<const std::byte> in,
                                                std::span<std::byte> out,
                                                std::int32_t& value) {
    note(context, "ioctl {} fh{} {} {} {}", id(node), id(handle), command, argument, show(in));
    std::ranges::fill(out, std::byte{'o'});
    value = 9;
    return answer(context, out.size());
}

Task<Result<std::uint32_t>> FakeFileSystem::poll(Context& context,
                                                 NodeId node,
                                                 FileHandle handle,
                                                 std::uint32_t events) {
    note(context, "poll {} fh{} {}", id(node), id(handle), events);
    return answer(context, events);
}

}  // namespace dpfs::fuse::test
