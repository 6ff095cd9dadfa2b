// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fuse/types.hpp"

#include <cstdint>

namespace dpfs::nfs {

/// A file as an answer has shown it.
struct Seen {
    fuse::Attributes attributes;
    std::uint64_t change = 0;
};

}  // namespace dpfs::nfs
