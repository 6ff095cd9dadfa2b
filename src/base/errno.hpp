// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <cstdint>
#include <string_view>

namespace dpfs {

/// A Linux errno as a value of its own type. Any positive errno may be held, also one without a
/// name here (a back end passes on what the kernel said); the names are those that code tests
/// or returns. `std::errc` is not used: it has no ESTALE, EDQUOT or EREMOTEIO.
enum class Errno : std::int32_t {
    not_permitted = EPERM,
    no_entry = ENOENT,
    interrupted = EINTR,
    io_error = EIO,
    no_device = ENXIO,
    too_big = E2BIG,
    bad_descriptor = EBADF,
    again = EAGAIN,
    no_memory = ENOMEM,
    access_denied = EACCES,
    fault = EFAULT,
    busy = EBUSY,
    exists = EEXIST,
    cross_device = EXDEV,
    not_directory = ENOTDIR,
    is_directory = EISDIR,
    invalid = EINVAL,
    too_many_files_system = ENFILE,
    too_many_files = EMFILE,
    not_a_terminal = ENOTTY,
    text_busy = ETXTBSY,
    file_too_big = EFBIG,
    no_space = ENOSPC,
    illegal_seek = ESPIPE,
    read_only = EROFS,
    too_many_links = EMLINK,
    broken_pipe = EPIPE,
    range = ERANGE,
    deadlock = EDEADLK,
    name_too_long = ENAMETOOLONG,
    no_locks = ENOLCK,
    not_implemented = ENOSYS,
    not_empty = ENOTEMPTY,
    loop = ELOOP,
    no_data = ENODATA,
    timed_out_timer = ETIME,
    protocol = EPROTO,
    overflow = EOVERFLOW,
    bad_message = EBADMSG,
    not_supported = EOPNOTSUPP,
    address_in_use = EADDRINUSE,
    connection_reset = ECONNRESET,
    not_connected = ENOTCONN,
    shut_down = ESHUTDOWN,
    timed_out = ETIMEDOUT,
    connection_refused = ECONNREFUSED,
    stale = ESTALE,
    remote = EREMOTE,
    remote_io = EREMOTEIO,
    quota = EDQUOT,
    canceled = ECANCELED,
};

/// The kernel's name of an errno ("ENOENT"), or "E?" where libc knows none. Never allocates.
[[nodiscard]] std::string_view errno_name(Errno error) noexcept;

}  // namespace dpfs
