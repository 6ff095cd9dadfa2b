// SPDX-License-Identifier: Apache-2.0
#include "fs/mirror/acl_ids.hpp"

#include "base/endian.hpp"
#include "base/wire_struct.hpp"

#include <cstdint>
#include <cstring>

namespace dpfs::mirror {
namespace {

struct AclEntry {
    le<std::uint16_t> e_tag;
    le<std::uint16_t> e_perm;
    le<std::uint32_t> e_id;
};
static_assert(wire_struct<AclEntry> && sizeof(AclEntry) == 8);

constexpr std::size_t header_size = 4;  // a version
constexpr std::uint16_t acl_user = 0x02;
constexpr std::uint16_t acl_group = 0x08;

/// `map(entry's map, id)` gives the new id, or an error that ends the walk.
template <class Map>
Result<void> map_entries(std::span<std::byte> acl,
                         const ids::IdMap& uids,
                         const ids::IdMap& gids,
                         Map map) noexcept {
    if (acl.size() < header_size || (acl.size() - header_size) % sizeof(AclEntry) != 0) {
        return fail(Errno::invalid);
    }
    for (std::size_t at = header_size; at < acl.size(); at += sizeof(AclEntry)) {
        AclEntry entry;
        std::memcpy(&entry, acl.data() + at, sizeof entry);
        if (entry.e_tag != acl_user && entry.e_tag != acl_group) continue;
        const Result<std::uint32_t> id = map(entry.e_tag == acl_user ? uids : gids, entry.e_id);
        if (!id) return fail(Errno::invalid);
        entry.e_id = *id;
        std::memcpy(acl.data() + at, &entry, sizeof entry);
    }
    return {};
}

}  // namespace

Result<void> acl_ids_to_host(std::span<std::byte> acl,
                             const ids::IdMap& uids,
                             const ids::IdMap& gids) noexcept {
    const auto map = [](const ids::IdMap& ids, std::uint32_t id) { return ids.to_host(id); };
    return map_entries(acl, uids, gids, map);
}

void acl_ids_to_guest(std::span<std::byte> acl,
                      const ids::IdMap& uids,
                      const ids::IdMap& gids) noexcept {
    const auto map = [](const ids::IdMap& ids, std::uint32_t id) -> Result<std::uint32_t> {
        return ids.to_guest(id);
    };
    // What the host gave is an ACL, and every id of the host has one for the tenant.
    const auto mapped = map_entries(acl, uids, gids, map);
    static_cast<void>(mapped);
}

}  // namespace dpfs::mirror
