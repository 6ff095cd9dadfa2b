// SPDX-License-Identifier: Apache-2.0
#include "fuse/types.hpp"

namespace dpfs::fuse {

Result<Name> Name::check(std::string_view text) noexcept {
    if (text.empty()) return fail(Errno::invalid);
    if (text.size() > size_max) return fail(Errno::name_too_long);
    // One pass: both bytes are rare, and memchr() twice costs more for names this short.
    for (const char c : text) {
        if (c == '/' || c == '\0') return fail(Errno::invalid);
    }
    if (text == "." || text == "..") return fail(Errno::invalid);
    return Name(text);
}

}  // namespace dpfs::fuse
