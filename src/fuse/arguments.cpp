// SPDX-License-Identifier: Apache-2.0
#include "fuse/arguments.hpp"

#include <cstring>

namespace dpfs::fuse {

Result<std::string_view> Text::string(std::size_t size_max) noexcept {
    if (left_.empty()) return fail(Errno::invalid);
    const void* const nul = std::memchr(left_.data(), 0, left_.size());
    if (nul == nullptr) {
        // The copy ends where no valid request would: then it is too long rather than unended.
        return fail(left_.size() > size_max ? Errno::name_too_long : Errno::invalid);
    }
    const auto size =
        static_cast<std::size_t>(static_cast<const std::byte*>(nul) - left_.data());
    if (size > size_max) return fail(Errno::name_too_long);

    const std::string_view text(
        static_cast<const char*>(static_cast<const void*>(left_.data())), size);
    left_ = left_.subspan(size + 1);
    return text;
}

Result<Name> Text::name() noexcept {
    const auto text = string(Name::size_max);
    if (!text) return fail(text.error());
    return Name::check(*text);
}

Result<std::string_view> Text::xattr_name() noexcept {
    const auto text = string(255);
    if (!text) return fail(text.error() == Errno::name_too_long ? Errno::range : text.error());
    if (text->empty()) return fail(Errno::range);
    return *text;
}

Result<std::span<const std::byte>> Text::take_tail(std::size_t size) noexcept {
    if (size > left_.size()) return fail(Errno::invalid);
    const auto tail = left_.last(size);
    left_ = left_.first(left_.size() - size);
    return tail;
}

}  // namespace dpfs::fuse
