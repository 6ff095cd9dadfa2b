// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fuse/file_system.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace dpfs::fuzz {

/// A file system in memory, small and strict: what the session promises to those behind it
/// (names, sizes, order of mounts, threads) is demanded of every call. It counts references and
/// handles, so that they can be held against what the tenant was told of.
///
/// An operation is done in one piece, at once or after a wait that can be cancelled.
class ModelFileSystem final : public fuse::FileSystem {
  public:
    using NodeId = fuse::NodeId;
    using FileHandle = fuse::FileHandle;
    using Context = fuse::Context;
    using Name = fuse::Name;
    using Entry = fuse::Entry;

    static constexpr std::size_t file_size_max = 1 << 16;
    static constexpr std::size_t node_count_max = 64;

    Duration delay;  ///< of the next operations

    /// What a mount has.
    [[nodiscard]] bool mounted() const noexcept { return mounted_; }
    /// Of mounts that have ended.
    [[nodiscard]] std::uint64_t ended_count() const noexcept { return ended_count_; }
    [[nodiscard]] std::map<std::uint64_t, std::uint64_t> references() const;
    [[nodiscard]] std::map<std::uint64_t, std::uint64_t> handles() const { return handles_; }
    [[nodiscard]] std::string_view content(std::uint64_t node) const;

    Task<Result<void>> init(Context& context, fuse::Capabilities& capabilities) override;
    Task<void> destroy(reactor::Reactor& reactor) override;
    Task<Result<Entry>> lookup(Context& context, NodeId parent, Name name) override;
    Task<void> forget(Context& context, std::span<const fuse::Forget> nodes) override;
    Task<Result<Entry>> mknod(Context&, NodeId parent, Name, fuse::MakeRequest) override;
    Task<Result<Entry>> mkdir(Context&, NodeId parent, Name, fuse::MakeRequest) override;
    Task<Result<Entry>> symlink(
        Context&, NodeId parent, Name, std::string_view, fuse::SecurityContext) override;
    Task<Result<Entry>> link(Context&, NodeId node, NodeId new_parent, Name) override;
    Task<Result<void>> unlink(Context& context, NodeId parent, Name name) override;
    Task<Result<void>> rmdir(Context& context, NodeId parent, Name name) override;
    Task<Result<void>> rename(
        Context&, NodeId, Name, NodeId new_parent, Name, std::uint32_t flags) override;
    Task<Result<fuse::TimedAttributes>> getattr(Context&,
                                                NodeId,
                                                std::optional<FileHandle>) override;
    Task<Result<fuse::TimedAttributes>> setattr(Context&, NodeId, fuse::SetAttributes) override;
    Task<Result<std::size_t>> readlink(Context&, NodeId, std::span<char> target) override;
    Task<Result<void>> access(Context& context, NodeId node, std::uint32_t mask) override;
    Task<Result<fuse::FileSystemStatus>> statfs(Context& context, NodeId node) override;
    Task<Result<void>> statx(Context& context,
                             NodeId node,
                             std::optional<FileHandle> handle,
                             std::uint32_t flags,
                             std::uint32_t mask,
                             struct ::statx& out,
                             Duration& valid) override;
    Task<Result<fuse::OpenReply>> open(Context&, NodeId, fuse::OpenRequest) override;
    Task<Result<fuse::Created>> create(Context&, NodeId, Name, fuse::CreateRequest) override;
    Task<Result<std::size_t>> read(
        Context&, NodeId, FileHandle, fuse::ReadRequest, std::span<const iovec> to) override;
    Task<Result<std::size_t>> write(
        Context&, NodeId, FileHandle, fuse::WriteRequest, std::span<const iovec> from) override;
    Task<Result<void>> release(Context&, NodeId, FileHandle, fuse::ReleaseRequest) override;
    Task<Result<void>> fallocate(Context&,
                                 NodeId,
                                 FileHandle,
                                 std::uint32_t mode,
                                 std::uint64_t offset,
                                 std::uint64_t length) override;
    Task<Result<std::uint64_t>> lseek(
        Context&, NodeId, FileHandle, std::uint64_t offset, std::uint32_t whence) override;
    Task<Result<std::size_t>> copy_file_range(Context&, fuse::CopyRequest) override;
    Task<Result<fuse::OpenReply>> opendir(Context&, NodeId, fuse::OpenRequest) override;
    Task<Result<void>> readdir(
        Context&, NodeId, FileHandle, std::uint64_t offset, fuse::DirectoryWriter&) override;
    Task<Result<void>> readdirplus(
        Context&, NodeId, FileHandle, std::uint64_t offset, fuse::DirectoryWriter&) override;
    Task<Result<void>> releasedir(Context&, NodeId, FileHandle) override;
    Task<Result<void>> setxattr(Context&,
                                NodeId,
                                std::string_view name,
                                std::span<const std::byte> value,
                                std::uint32_t flags,
                                bool acl_kill_sgid) override;
    Task<Result<std::size_t>> getxattr(Context&,
                                       NodeId,
                                       std::string_view name,
                                       std::span<std::byte> value) override;
    Task<Result<std::size_t>> listxattr(Context&, NodeId, std::span<std::byte> names) override;
    Task<Result<void>> removexattr(Context&, NodeId, std::string_view name) override;
    Task<Result<void>> setlk(Context&, NodeId, FileHandle, fuse::LockRequest) override;
    Task<Result<std::size_t>> ioctl(Context&,
                                    NodeId,
                                    FileHandle,
                                    std::uint32_t command,
                                    std::uint64_t argument,
                                    std::span<const std::byte> in,
                                    std::span<std::byte> out,
                                    std::int32_t& value) override;

  private:
    struct Node {
        std::uint64_t id = 0;
        std::uint32_t mode = 0;
        std::uint32_t links = 0;
        std::uint64_t references = 0;
        std::string content;  // of a file, or a symlink's target
        std::map<std::string, std::uint64_t, std::less<>> children;
        std::map<std::string, std::string, std::less<>> attributes;
    };
    class Running;

    // What an operation begins with: the demands, and the wait.
    Task<Result<void>> begin(Context& context);
    Result<Node*> find(NodeId id);
    Result<Node*> find_directory(NodeId id);
    Result<Node*> find_open(NodeId id, FileHandle handle);
    Result<Node*> find_child(NodeId parent, Name name);
    Result<Node*> make(NodeId parent, Name name, std::uint32_t mode);
    Result<void> unlink_child(NodeId parent, Name name, bool directory);
    void drop_if_unused(std::uint64_t id);
    FileHandle open_handle(const Node& node);
    Entry refer(Node& node);
    [[nodiscard]] static fuse::Attributes attributes_of(const Node& node);
    Result<void> list(NodeId, FileHandle, std::uint64_t offset, fuse::DirectoryWriter&);

    bool mounted_ = false;
    int running_ = 0;
    std::uint64_t ended_count_ = 0;
    std::uint64_t last_node_ = 1;
    std::uint64_t last_handle_ = 100;
    std::map<std::uint64_t, Node> nodes_;
    std::map<std::uint64_t, std::uint64_t> handles_;  // to nodes
};

}  // namespace dpfs::fuzz
