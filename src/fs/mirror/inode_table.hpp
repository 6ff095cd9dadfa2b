// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fs/mirror/descriptor_cache.hpp"
#include "fs/mirror/inode.hpp"
#include "fuse/types.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <vector>

namespace dpfs::mirror {

/// The inodes that the tenant knows, and how many references it holds to each.
///
/// Nodeids are slot numbers with a generation, so a stale one is recognised. An inode of the
/// host has one nodeid as long as the tenant knows it; the index finds it by Identity.
///
/// Thread    any. No lock is held across a wait or a system call.
class InodeTable {
  public:
    struct Limits {
        std::size_t inode_count_max;
        std::size_t descriptor_count_max;
    };
    explicit InodeTable(Limits limits);
    ~InodeTable();

    /// Errors: ESTALE.
    Result<InodePin> pin(fuse::NodeId node) noexcept {
        return slots_.pin(static_cast<std::uint64_t>(node));
    }
    static fuse::NodeId node_of(const InodePin& inode) noexcept {
        return fuse::NodeId{inode.id()};
    }
    static std::uint64_t generation_of(const InodePin& inode) noexcept {
        return inode.id() >> 32;
    }

    /// Puts the root in: its nodeid is fuse::root_node. Once, first.
    Result<void> add_root(const struct statx& found, UniqueFd fd, std::shared_ptr<Mount> mount);

    /// What is known about an inode that statx(2) has just found.
    enum class Match : std::uint8_t {
        none,        ///< not known
        certain,     ///< known, and the same
        unverified,  ///< known by its handle: only comparing that tells whether it is the same
    };
    struct Known {
        Match match;
        InodePin inode;  ///< empty for none
    };
    /// Finds the inode; takes a reference for the tenant if the match is certain and
    /// `reference` says so.
    Known find(const struct statx& found, bool reference) noexcept;

    /// Takes a reference for the tenant to the inode behind `fd`, which is an O_PATH descriptor
    /// and makes the match certain. Makes it known if it is not.
    /// Errors: ENFILE (a limit).
    Result<InodePin> reference(const struct statx& found,
                               UniqueFd fd,
                               const std::shared_ptr<Mount>& mount);

    /// The same for an entry of `parent` that nobody has opened yet. Needs a birth time in
    /// `found`, which stands for the handle when the entry is opened.
    Result<InodePin> reference_by_name(const struct statx& found,
                                       const InodePin& parent,
                                       std::string_view name);

    /// Gives `count` references back, or as many as there are.
    void forget(const InodePin& inode, std::uint64_t count) noexcept;
    /// The known inode is not what its place in the host's inode space holds now: only its
    /// nodeid leads to it from here on.
    void supersede(const InodePin& inode) noexcept;
    /// Forgets all but the root. Nothing else is in flight.
    void forget_all();

    /// Marks a use of the descriptor, for the order of eviction.
    static void touch(const InodePin& inode) noexcept {
        auto& used = inode->recently_used_;
        if (!used.load(std::memory_order_relaxed)) used.store(true, std::memory_order_relaxed);
    }

    [[nodiscard]] DescriptorCache& descriptors() noexcept { return descriptors_; }
    [[nodiscard]] std::size_t count() const noexcept { return slots_.count(); }

  private:
    struct alignas(64) Shard {
        std::mutex mutex;
        std::vector<Inode*> buckets = std::vector<Inode*>(16);
        std::size_t count = 0;
    };
    static constexpr std::size_t shard_count = 64;

    static std::uint64_t hash_of(const Identity& identity) noexcept;
    Shard& shard_of(const Identity& identity) noexcept {
        return shards_[hash_of(identity) % shard_count];
    }
    static Inode*& bucket_of(Shard& shard, const Identity& identity) noexcept;
    // All with the shard's lock held.
    static Inode* find_in(Shard& shard, const Identity& identity) noexcept;
    static void insert(Shard& shard, Inode& inode);
    static void erase(Shard& shard, Inode& inode) noexcept;
    static void grow(Shard& shard);
    static Match match_of(const Inode& known, const Identity& identity) noexcept;

    Result<InodePin> make(const struct statx& found, std::shared_ptr<Mount> mount);
    /// Publishes `made` with one reference, or takes one to the same inode that is known.
    InodePin publish_or_reference(InodePin made);

    SlotTable<Inode> slots_;
    DescriptorCache descriptors_;
    std::array<Shard, shard_count> shards_;
};

}  // namespace dpfs::mirror
