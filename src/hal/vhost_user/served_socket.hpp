// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace dpfs::hal::vhost_user {

/// Whether a process that lives accepts connections at `path`, a UNIX socket.
///
/// A connection that succeeds does not prove it: the kernel closes what an io_uring holds some
/// time after its process has ended, and until then the socket of a killed daemon answers.
/// At a path too long for a socket nobody does. An error other than a refusal counts as served:
/// EAGAIN (more connections wait than are taken) is no dead process's answer.
bool is_served(const std::string& path);

}  // namespace dpfs::hal::vhost_user
