// SPDX-License-Identifier: Apache-2.0
#include "fs/mirror/inode_table.hpp"

#include <algorithm>

namespace dpfs::mirror {

InodeTable::InodeTable(Limits limits)
    : slots_(limits.inode_count_max), descriptors_(slots_, limits.descriptor_count_max) {}

InodeTable::~InodeTable() {
    forget_all();
    slots_.for_each([this](InodePin& inode) { slots_.retire(inode); });
}

Result<void> InodeTable::add_root(const struct statx& found,
                                  UniqueFd fd,
                                  std::shared_ptr<Mount> mount) {
    auto made = make(found, std::move(mount));
    if (!made) return fail(made.error());
    DPFS_ASSERT(node_of(*made) == fuse::root_node);
    descriptors_.install(*made, std::move(fd), false);
    InodePin root = publish_or_reference(std::move(*made));
    return {};
}

std::uint64_t InodeTable::hash_of(const Identity& identity) noexcept {
    // Inode numbers are often consecutive: a multiplication spreads them over all bits.
    constexpr std::uint64_t odd = 0x9e37'79b9'7f4a'7c15;
    std::uint64_t hash = (identity.ino ^ (identity.device << 20) ^ identity.mount_id) * odd;
    return hash ^ (hash >> 29);
}

Inode*& InodeTable::bucket_of(Shard& shard, const Identity& identity) noexcept {
    const std::uint64_t hash = hash_of(identity) / shard_count;
    return shard.buckets[hash & (shard.buckets.size() - 1)];
}

Inode* InodeTable::find_in(Shard& shard, const Identity& identity) noexcept {
    Inode* inode = bucket_of(shard, identity);
    while (inode != nullptr && !inode->identity_.same_place(identity)) {
        inode = inode->next_in_bucket_;
    }
    return inode;
}

void InodeTable::insert(Shard& shard, Inode& inode) {
    if (shard.count >= shard.buckets.size()) grow(shard);
    Inode*& bucket = bucket_of(shard, inode.identity_);
    inode.next_in_bucket_ = bucket;
    bucket = &inode;
    inode.indexed_ = true;
    ++shard.count;
}

void InodeTable::erase(Shard& shard, Inode& inode) noexcept {
    if (!inode.indexed_) return;
    Inode** link = &bucket_of(shard, inode.identity_);
    while (*link != &inode) link = &(*link)->next_in_bucket_;
    *link = inode.next_in_bucket_;
    inode.next_in_bucket_ = nullptr;
    inode.indexed_ = false;
    --shard.count;
}

void InodeTable::grow(Shard& shard) {
    std::vector<Inode*> old(shard.buckets.size() * 2);
    old.swap(shard.buckets);
    for (Inode* inode : old) {
        while (inode != nullptr) {
            Inode* const next = inode->next_in_bucket_;
            Inode*& bucket = bucket_of(shard, inode->identity_);
            inode->next_in_bucket_ = bucket;
            bucket = inode;
            inode = next;
        }
    }
}

InodeTable::Match InodeTable::match_of(const Inode& known, const Identity& identity) noexcept {
    // A number that was used again comes with another birth time, nearly always.
    if (known.identity_ != identity) return Match::none;
    // An open descriptor keeps the number from being used again, so it is the same inode.
    if (known.descriptor() >= 0) return Match::certain;
    // What is known by its name only has nothing else to be compared with, and the tenant has
    // not used it yet.
    return known.locator_ == Inode::Locator::handle ? Match::unverified : Match::certain;
}

InodeTable::Known InodeTable::find(const struct statx& found, bool reference) noexcept {
    const Identity identity = Identity::of(found);
    Shard& shard = shard_of(identity);
    const std::lock_guard lock(shard.mutex);
    Inode* const inode = find_in(shard, identity);
    if (inode == nullptr) return {Match::none, {}};
    InodePin pin = slots_.pin_object(*inode);  // what is indexed is not retired
    const Match match = match_of(*inode, identity);
    if (match == Match::none) return {Match::none, {}};
    if (match == Match::certain && reference) ++inode->reference_count_;
    inode->note(found);
    return {match, std::move(pin)};
}

Result<InodePin> InodeTable::make(const struct statx& found, std::shared_ptr<Mount> mount) {
    auto made = slots_.make();
    if (!made) return made;
    Inode& inode = **made;
    inode.identity_ = Identity::of(found);
    inode.mount_ = std::move(mount);
    inode.note(found);
    return made;
}

InodePin InodeTable::publish_or_reference(InodePin made) {
    const Identity identity = made->identity_;
    Shard& shard = shard_of(identity);
    const std::lock_guard lock(shard.mutex);
    Inode* const known = find_in(shard, identity);
    if (known != nullptr) {
        InodePin pin = slots_.pin_object(*known);
        if (match_of(*known, identity) == Match::certain) {
            ++known->reference_count_;
            return pin;  // `made` goes: somebody was quicker
        }
        erase(shard, *known);
    }
    made->reference_count_ = 1;
    insert(shard, *made);
    slots_.publish(made);
    return made;
}

Result<InodePin> InodeTable::reference(const struct statx& found,
                                       UniqueFd fd,
                                       const std::shared_ptr<Mount>& mount) {
    // Known by its handle, and has been compared by the caller: give it a descriptor, so that
    // the match becomes certain.
    const bool evictable = mount->handle_fd() >= 0;
    Known known = find(found, true);
    if (known.match == Match::certain) {
        if (known.inode->descriptor() < 0) {
            descriptors_.install(known.inode, std::move(fd), evictable);
        }
        touch(known.inode);
        return std::move(known.inode);
    }

    if (!descriptors_.has_room_to_keep()) return fail(Errno::too_many_files_system);
    auto made = make(found, mount);
    if (!made) return made;
    descriptors_.install(*made, std::move(fd), evictable);
    return publish_or_reference(std::move(*made));
}

Result<InodePin> InodeTable::reference_by_name(const struct statx& found,
                                               const InodePin& parent,
                                               std::string_view name) {
    DPFS_ASSERT(Identity::of(found).birth_ns != 0);
    auto made = make(found, parent->shared_mount());
    if (!made) return made;
    Inode& inode = **made;
    inode.locator_ = Inode::Locator::name;
    inode.handle_.bytes = name;
    inode.parent_ = parent.share();
    descriptors_.add_unopened(*made);
    return publish_or_reference(std::move(*made));
}

void InodeTable::forget(const InodePin& inode, std::uint64_t count) noexcept {
    if (node_of(inode) == fuse::root_node) return;
    Shard& shard = shard_of(inode->identity_);
    const std::lock_guard lock(shard.mutex);
    inode->reference_count_ -= std::min(inode->reference_count_, count);
    if (inode->reference_count_ != 0) return;
    erase(shard, *inode);
    slots_.retire(inode);
}

void InodeTable::supersede(const InodePin& inode) noexcept {
    if (node_of(inode) == fuse::root_node) return;
    Shard& shard = shard_of(inode->identity_);
    const std::lock_guard lock(shard.mutex);
    erase(shard, *inode);
}

void InodeTable::forget_all() {
    slots_.for_each([this](InodePin& inode) { forget(inode, UINT64_MAX); });
}

}  // namespace dpfs::mirror
