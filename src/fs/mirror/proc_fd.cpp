// SPDX-License-Identifier: Apache-2.0
#include "fs/mirror/proc_fd.hpp"

#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <string_view>

namespace dpfs::mirror {

FdName::FdName(int fd) noexcept : text_{} {
    constexpr std::string_view directory = "/proc/self/fd/";
    static_assert(directory.size() == number_offset);
    std::memcpy(text_.data(), directory.data(), directory.size());
    // The array is zeroed and longer than any number, so a NUL follows.
    std::to_chars(text_.data() + number_offset, text_.data() + text_.size() - 1, fd);
}

Result<UniqueFd> reopen(int proc_fd, int fd, int flags) noexcept {
    const int opened = ::openat(proc_fd, FdName(fd).c_str(), flags | O_NOCTTY | O_CLOEXEC);
    if (opened < 0) return fail_errno();
    return UniqueFd(opened);
}

}  // namespace dpfs::mirror
