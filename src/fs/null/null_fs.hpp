// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fuse/file_system.hpp"

namespace dpfs::fs {

struct NullOptions {
    std::uint64_t file_size = std::uint64_t{1} << 40;  ///< bytes, of every file
    Duration valid = seconds(1);  ///< how long the tenant may cache names and attributes
};

/// A file system that answers at once and keeps nothing: for measuring everything around it.
///
/// There is one directory, the root; every name in it exists already, as a regular file of
/// `file_size` bytes of zeroes which anybody may read and write. Writes, truncations, renames
/// and removals succeed and change nothing. It lists nothing but "." and "..".
///
/// Thread    any: it has no state.
class NullFs final : public fuse::FileSystem {
  public:
    explicit NullFs(NullOptions options = {}) noexcept : options_(options) {}

    Task<Result<fuse::Entry>> lookup(fuse::Context& context,
                                     fuse::NodeId parent,
                                     fuse::Name name) override;
    Task<Result<fuse::Entry>> mknod(fuse::Context& context,
                                    fuse::NodeId parent,
                                    fuse::Name name,
                                    fuse::MakeRequest request) override;
    Task<Result<void>> unlink(fuse::Context& context,
                              fuse::NodeId parent,
                              fuse::Name name) override;
    Task<Result<void>> rename(fuse::Context& context,
                              fuse::NodeId parent,
                              fuse::Name name,
                              fuse::NodeId new_parent,
                              fuse::Name new_name,
                              std::uint32_t flags) override;

    Task<Result<fuse::TimedAttributes>> getattr(
        fuse::Context& context,
        fuse::NodeId node,
        std::optional<fuse::FileHandle> handle) override;
    Task<Result<fuse::TimedAttributes>> setattr(fuse::Context& context,
                                                fuse::NodeId node,
                                                fuse::SetAttributes change) override;
    Task<Result<fuse::FileSystemStatus>> statfs(fuse::Context& context,
                                                fuse::NodeId node) override;
    Task<Result<void>> syncfs(fuse::Context& context, fuse::NodeId node) override;

    Task<Result<fuse::OpenReply>> open(fuse::Context& context,
                                       fuse::NodeId node,
                                       fuse::OpenRequest request) override;
    Task<Result<fuse::Created>> create(fuse::Context& context,
                                       fuse::NodeId parent,
                                       fuse::Name name,
                                       fuse::CreateRequest request) override;
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
    Task<Result<void>> release(fuse::Context& context,
                               fuse::NodeId node,
                               fuse::FileHandle handle,
                               fuse::ReleaseRequest request) override;
    Task<Result<void>> fsync(fuse::Context& context,
                             fuse::NodeId node,
                             fuse::FileHandle handle,
                             bool data_only) override;
    Task<Result<void>> fallocate(fuse::Context& context,
                                 fuse::NodeId node,
                                 fuse::FileHandle handle,
                                 std::uint32_t mode,
                                 std::uint64_t offset,
                                 std::uint64_t length) override;

    Task<Result<fuse::OpenReply>> opendir(fuse::Context& context,
                                          fuse::NodeId node,
                                          fuse::OpenRequest request) override;
    Task<Result<void>> readdir(fuse::Context& context,
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

  private:
    [[nodiscard]] fuse::Attributes attributes(fuse::NodeId node) const noexcept;
    [[nodiscard]] fuse::TimedAttributes timed(fuse::NodeId node) const noexcept;
    [[nodiscard]] fuse::Entry entry(fuse::Name name) const noexcept;

    NullOptions options_;
};

}  // namespace dpfs::fs
