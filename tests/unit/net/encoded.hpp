// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "net/nfs4/request.hpp"

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dpfs::nfs4 {

/// "00000048 61620000": groups of four bytes.
[[nodiscard]] inline std::string to_hex(std::span<const std::byte> bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        if (i > 0 && i % 4 == 0) text.push_back(' ');
        const auto value = std::to_integer<unsigned>(bytes[i]);
        text.push_back(digits[value >> 4]);
        text.push_back(digits[value & 15]);
    }
    return text;
}

/// The reverse; spaces are skipped.
[[nodiscard]] inline std::vector<std::byte> from_hex(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::vector<std::byte> bytes;
    std::size_t half_count = 0;
    for (const char each : text) {
        if (each == ' ') continue;
        const auto digit = static_cast<std::byte>(digits.find(each));
        if (half_count++ % 2 == 0) {
            bytes.push_back(digit << 4);
        } else {
            bytes.back() |= digit;
        }
    }
    return bytes;
}

/// What operations look like that are put into a request.
class Encoded {
  public:
    Encoded() {
        request_.begin(2, {}, true);
        begins_at_ = request_.writer().position();
    }
    [[nodiscard]] Request& request() noexcept { return request_; }
    /// Of what has been put so far.
    [[nodiscard]] std::string hex() const {
        return to_hex(std::span(request_.call.record).subspan(begins_at_));
    }

  private:
    Request request_;
    std::size_t begins_at_ = 0;
};

}  // namespace dpfs::nfs4
