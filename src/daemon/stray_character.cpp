// SPDX-License-Identifier: Apache-2.0
#include "daemon/stray_character.hpp"

#include <algorithm>

namespace dpfs::daemon {
namespace {

constexpr std::string_view byte_order_mark = "\xEF\xBB\xBF";

/// Where the string that begins `text` with `quote` ends: behind its closing quotes, or at what
/// cannot be in it, which the parser then complains about.
std::size_t end_of_string(std::string_view text, char quote) {
    const bool multi_line = text.size() >= 3 && text[1] == quote && text[2] == quote;
    for (std::size_t i = multi_line ? 3 : 1; i < text.size(); ++i) {
        if (quote == '"' && text[i] == '\\') {
            ++i;
        } else if (text[i] == '\n' && !multi_line) {
            return i;
        } else if (text[i] == quote) {
            if (!multi_line) return i + 1;
            if (text.substr(i).starts_with(text.substr(0, 3))) return i + 3;
        }
    }
    return text.size();
}

}  // namespace

std::optional<std::size_t> line_of_stray_character(std::string_view text) {
    std::size_t i = text.starts_with(byte_order_mark) ? byte_order_mark.size() : 0;
    while (i < text.size()) {
        const char c = text[i];
        if (static_cast<unsigned char>(c) >= 0x80) {
            return 1 + static_cast<std::size_t>(std::ranges::count(text.substr(0, i), '\n'));
        }
        if (c == '#') {
            i = std::min(text.find('\n', i), text.size());
        } else if (c == '"' || c == '\'') {
            i += end_of_string(text.substr(i), c);
        } else {
            ++i;
        }
    }
    return std::nullopt;
}

}  // namespace dpfs::daemon
