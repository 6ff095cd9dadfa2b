// SPDX-License-Identifier: Apache-2.0
#include "fs/mirror/directory_stream.hpp"

#include <cstring>
#include <sys/syscall.h>
#include <unistd.h>

namespace dpfs::mirror {
namespace {

/// What starts each record of getdents64(2); the name follows, with its NUL.
struct RecordHeader {
    std::uint64_t ino;
    std::int64_t off;
    std::uint16_t reclen;
    std::uint8_t type;
};
constexpr std::size_t name_offset = 19;

RecordHeader header_at(const std::byte* record) noexcept {
    RecordHeader header = {};
    std::memcpy(&header, record, name_offset);
    return header;
}

}  // namespace

Result<void> DirectoryStream::seek(int fd, std::uint64_t offset) noexcept {
    at_ = size_ = 0;
    positioned_ = false;
    if (::lseek(fd, static_cast<off_t>(offset), SEEK_SET) < 0) return fail_errno();
    offset_ = offset;
    positioned_ = true;
    return {};
}

Result<void> DirectoryStream::fill(int fd) noexcept {
    if (!buffer_) buffer_ = std::make_unique_for_overwrite<std::byte[]>(buffer_size);
    at_ = size_ = 0;
    const long size = ::syscall(SYS_getdents64, fd, buffer_.get(), buffer_size);
    if (size < 0) {
        positioned_ = false;
        return fail_errno();
    }
    size_ = static_cast<std::size_t>(size);
    return {};
}

Result<DirectoryStream::Entry> DirectoryStream::peek() const noexcept {
    const std::byte* const record = buffer_.get() + at_;
    const std::size_t left = size_ - at_;
    if (left < name_offset + 1) return fail(Errno::io_error);
    const RecordHeader header = header_at(record);
    if (header.reclen <= name_offset || header.reclen > left) return fail(Errno::io_error);
    const void* const name = record + name_offset;
    const auto* const text = static_cast<const char*>(name);
    const std::size_t room = header.reclen - name_offset;
    return Entry{.name = {text, ::strnlen(text, room)},
                 .ino = header.ino,
                 .next_offset = static_cast<std::uint64_t>(header.off),
                 .type = header.type};
}

void DirectoryStream::pop() noexcept {
    const RecordHeader header = header_at(buffer_.get() + at_);
    offset_ = static_cast<std::uint64_t>(header.off);
    at_ += header.reclen;
}

}  // namespace dpfs::mirror
