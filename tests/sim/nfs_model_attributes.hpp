// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "net/nfs4/attributes.hpp"
#include "nfs_model_files.hpp"

namespace dpfs::sim {

/// What the model server says about itself where attributes ask.
struct ModelLimits {
    std::uint32_t lease_time = 10;  // seconds
    std::uint32_t data_size_max = 1 << 20;
};

/// Writes the fattr4 of `inode`: of `asked`, what the model has.
void put_attributes(rpc::XdrWriter& out,
                    const ModelInode& inode,
                    const nfs4::AttributeSet& asked,
                    const ModelLimits& limits);

/// What SETATTR, CREATE and OPEN bring, written from RFC 8881, 5.6, 5.7 and 18.30; times are
/// read and not kept.
struct ModelNewAttributes {
    nfs4::AttributeSet set;
    std::optional<std::uint64_t> size;
    std::optional<std::uint32_t> mode, uid, gid;
};
ModelNewAttributes take_new_attributes(rpc::XdrReader& in);

}  // namespace dpfs::sim
