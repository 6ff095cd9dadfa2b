// SPDX-License-Identifier: Apache-2.0
#include "fs/null/null_fs.hpp"

#include "fuse/directory_writer.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <dirent.h>
#include <functional>
#include <sys/stat.h>

namespace dpfs::fs {
namespace {

using fuse::Context;
using fuse::FileHandle;
using fuse::Name;
using fuse::NodeId;

constexpr std::uint32_t block_size = 4096;

/// What reads give; small enough to stay in the second-level cache.
constexpr std::size_t zeroes_size = 65536;
alignas(4096) constexpr std::array<std::byte, zeroes_size> zeroes{};

template <class T>
Task<Result<T>> now(T value) {
    return Task<Result<T>>::ready(std::move(value));
}

template <class T>
Task<Result<T>> refuse(Errno error) {
    return Task<Result<T>>::ready(fail(error));
}

Task<Result<void>> done() {
    return Task<Result<void>>::ready({});
}

void fill(const iovec& buffer, std::size_t size) noexcept {
    auto* to = static_cast<std::byte*>(buffer.iov_base);
    while (size > 0) {
        const std::size_t step = std::min(size, zeroes.size());
        std::memcpy(to, zeroes.data(), step);
        to += step;
        size -= step;
    }
}

}  // namespace

fuse::Attributes NullFs::attributes(NodeId node) const noexcept {
    fuse::Attributes attributes{};
    attributes.ino = static_cast<std::uint64_t>(node);
    attributes.blksize = block_size;
    if (node == fuse::root_node) {
        attributes.mode = S_IFDIR | 01777;
        attributes.nlink = 2;
        return attributes;
    }
    attributes.mode = S_IFREG | 0666;
    attributes.nlink = 1;
    attributes.size = options_.file_size;
    attributes.blocks = options_.file_size / 512;
    return attributes;
}

fuse::TimedAttributes NullFs::timed(NodeId node) const noexcept {
    return {.attributes = attributes(node), .valid = options_.valid};
}

fuse::Entry NullFs::entry(Name name) const noexcept {
    // The upper bit keeps it apart from "none" (0) and the root (1).
    const NodeId node{std::hash<std::string_view>{}(name.view()) | std::uint64_t{1} << 63};
    return {.node = node,
            .generation = 0,
            .attributes = attributes(node),
            .entry_valid = options_.valid,
            .attributes_valid = options_.valid};
}

Task<Result<fuse::Entry>> NullFs::lookup(Context&, NodeId parent, Name name) {
    if (parent != fuse::root_node) return refuse<fuse::Entry>(Errno::not_directory);
    return now(entry(name));
}

Task<Result<fuse::Entry>> NullFs::mknod(Context&,
                                        NodeId parent,
                                        Name name,
                                        fuse::MakeRequest request) {
    if (parent != fuse::root_node) return refuse<fuse::Entry>(Errno::not_directory);
    if (!S_ISREG(request.mode)) return refuse<fuse::Entry>(Errno::not_permitted);
    return now(entry(name));
}

Task<Result<void>> NullFs::unlink(Context&, NodeId, Name) {
    return done();
}

Task<Result<void>> NullFs::rename(Context&, NodeId, Name, NodeId, Name, std::uint32_t) {
    return done();
}

Task<Result<fuse::TimedAttributes>> NullFs::getattr(Context&,
                                                    NodeId node,
                                                    std::optional<FileHandle>) {
    return now(timed(node));
}

Task<Result<fuse::TimedAttributes>> NullFs::setattr(Context&,
                                                    NodeId node,
                                                    fuse::SetAttributes change) {
    fuse::TimedAttributes answer = timed(node);
    // The caller of truncate() expects to see what it asked for; the next stat() will differ.
    answer.attributes.size = change.size.value_or(answer.attributes.size);
    return now(answer);
}

Task<Result<fuse::FileSystemStatus>> NullFs::statfs(Context&, NodeId) {
    const std::uint64_t blocks = options_.file_size / block_size;
    return now(fuse::FileSystemStatus{.blocks = blocks,
                                      .blocks_free = blocks,
                                      .blocks_available = blocks,
                                      .files = 1U << 20,
                                      .files_free = 1U << 20,
                                      .block_size = block_size,
                                      .fragment_size = block_size,
                                      .name_size_max = Name::size_max});
}

Task<Result<void>> NullFs::syncfs(Context&, NodeId) {
    return done();
}

Task<Result<fuse::OpenReply>> NullFs::open(Context&, NodeId, fuse::OpenRequest) {
    return now(fuse::OpenReply{.handle = FileHandle{0}});
}

Task<Result<fuse::Created>> NullFs::create(Context&,
                                           NodeId parent,
                                           Name name,
                                           fuse::CreateRequest) {
    if (parent != fuse::root_node) return refuse<fuse::Created>(Errno::not_directory);
    return now(fuse::Created{.entry = entry(name), .open = {.handle = FileHandle{0}}});
}

Task<Result<std::size_t>> NullFs::read(
    Context&, NodeId, FileHandle, fuse::ReadRequest request, std::span<const iovec> to) {
    if (request.offset >= options_.file_size) return now(std::size_t{0});
    const auto size = static_cast<std::size_t>(
        std::min<std::uint64_t>(request.size, options_.file_size - request.offset));
    std::size_t left = size;
    for (const iovec& buffer : to) {
        const std::size_t part = std::min(left, buffer.iov_len);
        fill(buffer, part);
        left -= part;
    }
    return now(size);
}

Task<Result<std::size_t>> NullFs::write(
    Context&, NodeId, FileHandle, fuse::WriteRequest request, std::span<const iovec>) {
    return now(std::size_t{request.size});
}

Task<Result<void>> NullFs::release(Context&, NodeId, FileHandle, fuse::ReleaseRequest) {
    return done();
}

Task<Result<void>> NullFs::fsync(Context&, NodeId, FileHandle, bool) {
    return done();
}

Task<Result<void>> NullFs::fallocate(
    Context&, NodeId, FileHandle, std::uint32_t, std::uint64_t, std::uint64_t) {
    return done();
}

Task<Result<fuse::OpenReply>> NullFs::opendir(Context&, NodeId node, fuse::OpenRequest) {
    if (node != fuse::root_node) return refuse<fuse::OpenReply>(Errno::not_directory);
    return now(fuse::OpenReply{.handle = FileHandle{0}});
}

Task<Result<void>> NullFs::readdir(
    Context&, NodeId node, FileHandle, std::uint64_t offset, fuse::DirectoryWriter& out) {
    if (node != fuse::root_node) return refuse<void>(Errno::not_directory);
    constexpr std::array<std::string_view, 2> names{".", ".."};
    for (; offset < names.size(); ++offset) {
        const bool added = out.add(
            {.name = names[offset], .ino = 1, .type = DT_DIR, .next_offset = offset + 1});
        if (!added) break;
    }
    return done();
}

Task<Result<void>> NullFs::releasedir(Context&, NodeId, FileHandle) {
    return done();
}

Task<Result<void>> NullFs::fsyncdir(Context&, NodeId, FileHandle, bool) {
    return done();
}

}  // namespace dpfs::fs
