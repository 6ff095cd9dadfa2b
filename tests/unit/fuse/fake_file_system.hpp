// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fuse/file_system.hpp"

#include <fmt/format.h>

#include <string>
#include <vector>

namespace dpfs::fuse::test {

/// Writes down what it is asked, and answers each question with the same known value: at once,
/// after a while, or never.
class FakeFileSystem final : public FileSystem {
  public:
    std::vector<std::string> calls;  ///< "lookup 1 name"
    Errno error = Errno{0};          ///< what everything answers, if not 0
    Duration delay;                  ///< how long everything but init takes; cancellable
    Duration init_delay;
    Errno init_error = Errno{0};
    std::uint64_t flags_kept = ~std::uint64_t{0};  ///< in init
    int destroyed = 0;
    Capabilities offered;  ///< to init
    reactor::Credentials caller;
    std::uint32_t entry_count = 3;  ///< of a directory

    static Attributes attributes();
    static Entry entry();

    Task<Result<void>> init(Context& context, Capabilities& capabilities) override;
    Task<void> destroy(reactor::Reactor& reactor) override;
    Task<Result<Entry>> lookup(Context& context, NodeId parent, Name name) override;
    Task<void> forget(Context& context, std::span<const Forget> nodes) override;
    Task<Result<Entry>> mknod(Context& context, NodeId parent, Name name, MakeRequest) override;
    Task<Result<Entry>> mkdir(Context& context, NodeId parent, Name name, MakeRequest) override;
    Task<Result<Entry>> symlink(
        Context& context, NodeId parent, Name name, std::string_view, SecurityContext) override;
    Task<Result<Entry>> link(Context& context, NodeId node, NodeId parent, Name name) override;
    Task<Result<void>> unlink(Context& context, NodeId parent, Name name) override;
    Task<Result<void>> rmdir(Context& context, NodeId parent, Name name) override;
    Task<Result<void>> rename(Context& context,
                              NodeId parent,
                              Name name,
                              NodeId new_parent,
                              Name new_name,
                              std::uint32_t flags) override;
    Task<Result<TimedAttributes>> getattr(Context& context,
                                          NodeId node,
                                          std::optional<FileHandle> handle) override;
    Task<Result<TimedAttributes>> setattr(Context& context,
                                          NodeId node,
                                          SetAttributes) override;
    Task<Result<std::size_t>> readlink(Context& context, NodeId node, std::span<char>) override;
    Task<Result<void>> access(Context& context, NodeId node, std::uint32_t mask) override;
    Task<Result<FileSystemStatus>> statfs(Context& context, NodeId node) override;
    Task<Result<void>> syncfs(Context& context, NodeId node) override;
    Task<Result<void>> statx(Context& context,
                             NodeId node,
                             std::optional<FileHandle> handle,
                             std::uint32_t flags,
                             std::uint32_t mask,
                             struct ::statx& out,
                             Duration& valid) override;
    Task<Result<OpenReply>> open(Context& context, NodeId node, OpenRequest) override;
    Task<Result<Created>> create(Context& context, NodeId parent, Name, CreateRequest) override;
    Task<Result<Created>> tmpfile(Context& context, NodeId parent, CreateRequest) override;
    Task<Result<std::size_t>> read(Context& context,
                                   NodeId node,
                                   FileHandle handle,
                                   ReadRequest request,
                                   std::span<const iovec> to) override;
    Task<Result<std::size_t>> write(Context& context,
                                    NodeId node,
                                    FileHandle handle,
                                    WriteRequest request,
                                    std::span<const iovec> from) override;
    Task<Result<void>> flush(Context& context, NodeId, FileHandle, LockOwner owner) override;
    Task<Result<void>> release(Context& context, NodeId, FileHandle, ReleaseRequest) override;
    Task<Result<void>> fsync(Context& context, NodeId, FileHandle, bool data_only) override;
    Task<Result<void>> fallocate(Context& context,
                                 NodeId node,
                                 FileHandle handle,
                                 std::uint32_t mode,
                                 std::uint64_t offset,
                                 std::uint64_t length) override;
    Task<Result<std::uint64_t>> lseek(Context& context,
                                      NodeId node,
                                      FileHandle handle,
                                      std::uint64_t offset,
                                      std::uint32_t whence) override;
    Task<Result<std::size_t>> copy_file_range(Context& context, CopyRequest request) override;
    Task<Result<OpenReply>> opendir(Context& context, NodeId node, OpenRequest) override;
    Task<Result<void>> readdir(Context& context,
                               NodeId node,
                               FileHandle handle,
                               std::uint64_t offset,
                               DirectoryWriter& out) override;
    Task<Result<void>> readdirplus(Context& context,
                                   NodeId node,
                                   FileHandle handle,
                                   std::uint64_t offset,
                                   DirectoryWriter& out) override;
    Task<Result<void>> releasedir(Context& context, NodeId node, FileHandle handle) override;
    Task<Result<void>> fsyncdir(Context& context, NodeId, FileHandle, bool data_only) override;
    Task<Result<void>> setxattr(Context& context,
                                NodeId node,
                                std::string_view name,
                                std::span<const std::byte> value,
                                std::uint32_t flags,
                                bool acl_kill_sgid) override;
    Task<Result<std::size_t>> getxattr(Context& context,
                                       NodeId node,
                                       std::string_view name,
                                       std::span<std::byte> value) override;
    Task<Result<std::size_t>> listxattr(Context&, NodeId, std::span<std::byte> names) override;
    Task<Result<void>> removexattr(Context& context, NodeId node, std::string_view) override;
    Task<Result<Lock>> getlk(Context& context, NodeId node, FileHandle, LockRequest) override;
    Task<Result<void>> setlk(Context& context, NodeId node, FileHandle, LockRequest) override;
    Task<Result<std::uint64_t>> bmap(Context& context,
                                     NodeId node,
                                     std::uint64_t block,
                                     std::uint32_t block_size) override;
    Task<Result<std::size_t>> ioctl(Context& context,
                                    NodeId node,
                                    FileHandle handle,
                                    std::uint32_t command,
                                    std::uint64_t argument,
                                    std::span<const std::byte> in,
                                    std::span<std::byte> out,
                                    std::int32_t& value) override;
    Task<Result<std::uint32_t>> poll(Context&, NodeId, FileHandle, std::uint32_t) override;

  private:
    template <class... Args>
    void note(Context& context, fmt::format_string<Args...> format, Args&&... args) {
        calls.push_back(fmt::format(format, std::forward<Args>(args)...));
        caller = context.caller;
    }
    /// `value`, as `error` and `delay` have it.
    template <class T>
    Task<Result<T>> answer(Context& context, T value);
    template <class T>
    Task<Result<T>> answer_later(Context& context, T value);
    Task<Result<void>> done(Context& context);
    Task<Result<void>> done_later(Context& context);
    Task<void> wait(reactor::Reactor& reactor, Duration time);
};

}  // namespace dpfs::fuse::test
