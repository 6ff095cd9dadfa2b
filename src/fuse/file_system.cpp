// SPDX-License-Identifier: Apache-2.0
#include "fuse/file_system.hpp"

#include "fuse/wire_init.hpp"

namespace dpfs::fuse {
namespace {

template <class T>
Task<Result<T>> not_implemented() {
    return Task<Result<T>>::ready(fail(Errno::not_implemented));
}

/// Flags with which a server promises operations whose defaults are ENOSYS.
constexpr std::uint64_t promises = wire::init::posix_locks | wire::init::flock_locks |
                                   wire::init::posix_acl | wire::init::security_ctx |
                                   wire::init::do_readdirplus | wire::init::readdirplus_auto |
                                   wire::init::handle_killpriv_v2;

}  // namespace

Task<Result<void>> FileSystem::start(reactor::Reactor& reactor) {
    static_cast<void>(reactor);
    return Task<Result<void>>::ready({});
}

Task<void> FileSystem::stop(reactor::Reactor& reactor) {
    static_cast<void>(reactor);
    return Task<void>::ready();
}

Task<Result<void>> FileSystem::init(Context&, Capabilities& capabilities) {
    capabilities.flags &= ~promises;
    return Task<Result<void>>::ready({});
}

Task<void> FileSystem::destroy(reactor::Reactor&) {
    return Task<void>::ready();
}

Task<Result<Entry>> FileSystem::lookup(Context&, NodeId, Name) {
    return not_implemented<Entry>();
}

Task<void> FileSystem::forget(Context&, std::span<const Forget>) {
    return Task<void>::ready();
}

Task<Result<Entry>> FileSystem::mknod(Context&, NodeId, Name, MakeRequest) {
    return not_implemented<Entry>();
}

Task<Result<Entry>> FileSystem::mkdir(Context&, NodeId, Name, MakeRequest) {
    return not_implemented<Entry>();
}

Task<Result<Entry>> FileSystem::symlink(
    Context&, NodeId, Name, std::string_view, SecurityContext) {
    return not_implemented<Entry>();
}

Task<Result<Entry>> FileSystem::link(Context&, NodeId, NodeId, Name) {
    return not_implemented<Entry>();
}

Task<Result<void>> FileSystem::unlink(Context&, NodeId, Name) {
    return not_implemented<void>();
}

Task<Result<void>> FileSystem::rmdir(Context&, NodeId, Name) {
    return not_implemented<void>();
}

Task<Result<void>> FileSystem::rename(Context&, NodeId, Name, NodeId, Name, std::uint32_t) {
    return not_implemented<void>();
}

Task<Result<TimedAttributes>> FileSystem::getattr(Context&, NodeId, std::optional<FileHandle>) {
    return not_implemented<TimedAttributes>();
}

Task<Result<TimedAttributes>> FileSystem::setattr(Context&, NodeId, SetAttributes) {
    return not_implemented<TimedAttributes>();
}

Task<Result<std::size_t>> FileSystem::readlink(Context&, NodeId, std::span<char>) {
    return not_implemented<std::size_t>();
}

Task<Result<void>> FileSystem::access(Context&, NodeId, std::uint32_t) {
    return not_implemented<void>();
}

Task<Result<FileSystemStatus>> FileSystem::statfs(Context&, NodeId) {
    return not_implemented<FileSystemStatus>();
}

Task<Result<void>> FileSystem::syncfs(Context&, NodeId) {
    return not_implemented<void>();
}

Task<Result<void>> FileSystem::statx(Context&,
                                     NodeId,
                                     std::optional<FileHandle>,
                                     std::uint32_t,
                                     std::uint32_t,
                                     struct ::statx&,
                                     Duration&) {
    return not_implemented<void>();
}

Task<Result<OpenReply>> FileSystem::open(Context&, NodeId, OpenRequest) {
    return not_implemented<OpenReply>();
}

Task<Result<Created>> FileSystem::create(Context&, NodeId, Name, CreateRequest) {
    return not_implemented<Created>();
}

Task<Result<Created>> FileSystem::tmpfile(Context&, NodeId, CreateRequest) {
    return not_implemented<Created>();
}

Task<Result<std::size_t>> FileSystem::read(
    Context&, NodeId, FileHandle, ReadRequest, std::span<const iovec>) {
    return not_implemented<std::size_t>();
}

Task<Result<std::size_t>> FileSystem::write(
    Context&, NodeId, FileHandle, WriteRequest, std::span<const iovec>) {
    return not_implemented<std::size_t>();
}

Task<Result<void>> FileSystem::flush(Context&, NodeId, FileHandle, LockOwner) {
    return Task<Result<void>>::ready({});
}

Task<Result<void>> FileSystem::release(Context&, NodeId, FileHandle, ReleaseRequest) {
    return not_implemented<void>();
}

Task<Result<void>> FileSystem::fsync(Context&, NodeId, FileHandle, bool) {
    return not_implemented<void>();
}

Task<Result<void>> FileSystem::fallocate(
    Context&, NodeId, FileHandle, std::uint32_t, std::uint64_t, std::uint64_t) {
    return not_implemented<void>();
}

Task<Result<std::uint64_t>> FileSystem::lseek(
    Context&, NodeId, FileHandle, std::uint64_t, std::uint32_t) {
    return not_implemented<std::uint64_t>();
}

Task<Result<std::size_t>> FileSystem::copy_file_range(Context&, CopyRequest) {
    return not_implemented<std::size_t>();
}

Task<Result<OpenReply>> FileSystem::opendir(Context&, NodeId, OpenRequest) {
    return not_implemented<OpenReply>();
}

Task<Result<void>> FileSystem::readdir(
    Context&, NodeId, FileHandle, std::uint64_t, DirectoryWriter&) {
    return not_implemented<void>();
}

Task<Result<void>> FileSystem::readdirplus(
    Context&, NodeId, FileHandle, std::uint64_t, DirectoryWriter&) {
    return not_implemented<void>();
}

Task<Result<void>> FileSystem::releasedir(Context&, NodeId, FileHandle) {
    return not_implemented<void>();
}

Task<Result<void>> FileSystem::fsyncdir(Context&, NodeId, FileHandle, bool) {
    return not_implemented<void>();
}

Task<Result<void>> FileSystem::setxattr(
    Context&, NodeId, std::string_view, std::span<const std::byte>, std::uint32_t, bool) {
    return not_implemented<void>();
}

Task<Result<std::size_t>> FileSystem::getxattr(Context&,
                                               NodeId,
                                               std::string_view,
                                               std::span<std::byte>) {
    return not_implemented<std::size_t>();
}

Task<Result<std::size_t>> FileSystem::listxattr(Context&, NodeId, std::span<std::byte>) {
    return not_implemented<std::size_t>();
}

Task<Result<void>> FileSystem::removexattr(Context&, NodeId, std::string_view) {
    return not_implemented<void>();
}

Task<Result<Lock>> FileSystem::getlk(Context&, NodeId, FileHandle, LockRequest) {
    return not_implemented<Lock>();
}

Task<Result<void>> FileSystem::setlk(Context&, NodeId, FileHandle, LockRequest) {
    return not_implemented<void>();
}

Task<Result<std::uint64_t>> FileSystem::bmap(Context&, NodeId, std::uint64_t, std::uint32_t) {
    return not_implemented<std::uint64_t>();
}

Task<Result<std::size_t>> FileSystem::ioctl(Context&,
                                            NodeId,
                                            FileHandle,
                                            std::uint32_t,
                                            std::uint64_t,
                                            std::span<const std::byte>,
                                            std::span<std::byte>,
                                            std::int32_t&) {
    return not_implemented<std::size_t>();
}

Task<Result<std::uint32_t>> FileSystem::poll(Context&, NodeId, FileHandle, std::uint32_t) {
    return not_implemented<std::uint32_t>();
}

}  // namespace dpfs::fuse
