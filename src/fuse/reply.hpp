// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fuse/file_system.hpp"
#include "fuse/wire_file.hpp"
#include "fuse/wire_inode.hpp"

namespace dpfs::fuse {

// What file systems answer, as the wire wants it.

[[nodiscard]] wire::EntryOut to_wire(const Entry& entry) noexcept;
[[nodiscard]] wire::AttrOut to_wire(const TimedAttributes& timed) noexcept;
[[nodiscard]] wire::OpenOut to_wire(const OpenReply& reply) noexcept;
[[nodiscard]] wire::StatfsOut to_wire(const FileSystemStatus& status) noexcept;
[[nodiscard]] wire::LkOut to_wire(const Lock& lock) noexcept;
[[nodiscard]] wire::StatxOut to_wire(const struct ::statx& stat, Duration valid) noexcept;

}  // namespace dpfs::fuse
