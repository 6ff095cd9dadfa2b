// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fuse/wire_file.hpp"
#include "fuse/wire_inode.hpp"

namespace dpfs::bench {

/// What CREATE is answered with.
struct CreateOut {
    fuse::wire::EntryOut entry;
    fuse::wire::OpenOut open;
};
static_assert(wire_struct<CreateOut> && sizeof(CreateOut) == 144);

}  // namespace dpfs::bench
