// SPDX-License-Identifier: Apache-2.0
#include "fuse/arguments.hpp"

namespace dpfs::fuse {

Result<std::string_view> Text::string(std::size_t size_max) noexcept {
    if (left_.empty()) return fail(Errno::invalid);
    const std::size_t size = left_.find('\0');
    if (size == left_.npos) {
        // The copy ends where no valid request would: then it is too long rather than unended.
        return fail(left_.size() > size_max ? Errno::name_too_long : Errno::invalid);
    }
    if (size > size_max) return fail(Errno::name_too_long);

    const std::string_view text = left_.substr(0, size);
    left_.remove_prefix(size + 1);
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

Result<std::string_view> Text::take_tail(std::size_t size) noexcept {
    if (size > left_.size()) return fail(Errno::invalid);
    const std::string_view tail = left_.substr(left_.size() - size);
    left_.remove_suffix(size);
    return tail;
}

}  // namespace dpfs::fuse
