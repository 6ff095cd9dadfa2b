// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "net/nfs4/wire.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace dpfs::nfs4 {

/// A server's name for a file: up to 128 bytes that mean something to the server only (RFC
/// 8881, 4).
class FileHandle {
  public:
    FileHandle() = default;
    /// `bytes` are at most file_handle_size_max.
    explicit FileHandle(std::span<const std::byte> bytes) noexcept
        : size_(static_cast<std::uint8_t>(std::min(bytes.size(), file_handle_size_max))) {
        std::copy_n(bytes.begin(), size_, bytes_.begin());
    }
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
        return std::span(bytes_).first(size_);
    }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    bool operator==(const FileHandle& other) const noexcept {
        return std::ranges::equal(bytes(), other.bytes());
    }

  private:
    std::uint8_t size_ = 0;
    std::array<std::byte, file_handle_size_max> bytes_ = {};
};

}  // namespace dpfs::nfs4
