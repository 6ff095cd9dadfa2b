// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fs/nfs/inode.hpp"
#include "fuse/types.hpp"

#include <array>
#include <cstddef>
#include <mutex>
#include <optional>
#include <unordered_map>

namespace dpfs::nfs {

/// Nodeids of a tenant and handles of its server: one inode for each handle, as long as the
/// tenant holds references to it, or we hold it.
///
/// Thread    any. A shard's lock is held for a look-up, never across a wait.
class InodeTable {
  public:
    /// Room for `count_max` that the tenant knows beside the root, and `held_count_max` that it
    /// does not.
    InodeTable(std::size_t count_max, std::size_t held_count_max)
        : inodes_(count_max + 1 + held_count_max) {}
    ~InodeTable();

    /// The root, which is nodeid 1 for ever. Once.
    void set_root(const nfs4::FileHandle& handle, const nfs4::Attributes& attributes);
    /// Errors: ESTALE.
    Result<InodePin> pin(fuse::NodeId node);
    /// Another pin of one that is pinned.
    [[nodiscard]] InodePin share(Inode& inode) { return inodes_.pin_again(inode); }
    /// The inode of `handle`, with one more reference of the tenant. Errors: ENFILE.
    Result<InodePin> reference(const nfs4::FileHandle& handle,
                               const nfs4::Attributes& attributes);
    /// The inode of `handle`, without a reference of the tenant; nothing if it knows none.
    [[nodiscard]] InodePin find(const nfs4::FileHandle& handle);
    /// True: that was the last one. Unless it is held, it goes.
    bool forget(const InodePin& inode, std::uint64_t count);
    /// Keeps it when the tenant forgets it, until let_go(). False: it has gone already.
    [[nodiscard]] bool hold(Inode& inode);
    void let_go(Inode& inode);
    template <class Visit>
    void for_each(Visit visit) {
        inodes_.for_each(visit);
    }
    /// All but the root.
    void forget_all();
    [[nodiscard]] std::size_t count() const noexcept { return inodes_.count(); }
    [[nodiscard]] fuse::NodeId node_of(const InodePin& inode) const noexcept;

  private:
    struct Hash {
        std::size_t operator()(const nfs4::FileHandle& handle) const noexcept;
    };
    struct Shard {
        std::mutex mutex;
        std::unordered_map<nfs4::FileHandle, Inode*, Hash> inodes;
    };
    Shard& shard_of(const nfs4::FileHandle& handle) noexcept {
        return shards_[Hash()(handle) % shards_.size()];
    }
    void retire_if_unused(Shard& shard, Inode& inode);
    void fill(Inode& inode,
              const nfs4::FileHandle& handle,
              const nfs4::Attributes& attributes) noexcept;

    SlotTable<Inode> inodes_;
    std::array<Shard, 16> shards_;
    InodePin root_;
};

}  // namespace dpfs::nfs
