// SPDX-License-Identifier: Apache-2.0
#include "fs/nfs/identities.hpp"

#include "net/nfs4/attributes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>

namespace dpfs::nfs {
namespace {

std::uint32_t shown(std::string_view owner,
                    const std::vector<OwnerName>& names,
                    const ids::IdMap& map) noexcept {
    const auto named = std::ranges::find(names, owner, &OwnerName::name);
    if (named != names.end()) return map.to_guest(named->id);
    const auto number = nfs4::parse_owner(owner);
    return number ? map.to_guest(*number) : ids::IdMap::overflow_id;
}

Result<std::string> sent(std::uint32_t id,
                         const std::vector<OwnerName>& names,
                         const ids::IdMap& map) {
    const auto mapped = map.to_host(id);
    if (!mapped) return fail(Errno::invalid);
    const auto named = std::ranges::find(names, *mapped, &OwnerName::id);
    return named != names.end() ? named->name : fmt::format("{}", *mapped);
}

std::string check_names(const std::vector<OwnerName>& names, std::string_view key) {
    for (std::size_t i = 0; i < names.size(); ++i) {
        const auto rest = std::span(names).subspan(i + 1);
        if (std::ranges::find(rest, names[i].name, &OwnerName::name) != rest.end()) {
            return fmt::format("{}: '{}' stands there twice", key, names[i].name);
        }
    }
    return {};
}

}  // namespace

Identities::Identities(const NfsOptions& options)
    : uids_(options.uid_map),
      gids_(options.gid_map),
      user_names_(options.user_names),
      group_names_(options.group_names),
      groups_(options.groups),
      squash_(options.squash),
      anonymous_uid_(options.anonymous_uid),
      anonymous_gid_(options.anonymous_gid) {
    std::ranges::sort(groups_, {}, &UserGroups::uid);
}

std::string Identities::check(const NfsOptions& options) {
    if (auto wrong = ids::IdMap::check(options.uid_map); !wrong.empty()) {
        return "uid_map: " + wrong;
    }
    if (auto wrong = ids::IdMap::check(options.gid_map); !wrong.empty()) {
        return "gid_map: " + wrong;
    }
    if (auto wrong = check_names(options.user_names, "nfs_user_names"); !wrong.empty()) {
        return wrong;
    }
    if (auto wrong = check_names(options.group_names, "nfs_group_names"); !wrong.empty()) {
        return wrong;
    }
    for (std::size_t i = 0; i < options.groups.size(); ++i) {
        const auto rest = std::span(options.groups).subspan(i + 1);
        const std::uint32_t uid = options.groups[i].uid;
        if (std::ranges::find(rest, uid, &UserGroups::uid) != rest.end()) {
            return fmt::format("nfs_groups: user {} stands there twice", uid);
        }
    }
    return {};
}

void Identities::add_group(ServerIdentity& to, std::uint32_t group) const noexcept {
    // A group that the server does not have gives no rights there.
    const auto mapped = gids_.to_host(group);
    if (!mapped || to.group_count == to.groups.size()) return;
    const auto known = std::span(to.groups).first(to.group_count);
    if (std::ranges::find(known, *mapped) != known.end()) return;
    to.groups[to.group_count++] = *mapped;
}

ServerIdentity Identities::of(const reactor::Credentials& who) const noexcept {
    ServerIdentity identity{.uid = uids_.to_host(who.uid).value_or(anonymous_uid_),
                            .gid = gids_.to_host(who.gid).value_or(anonymous_gid_)};
    const bool all = squash_ == Squash::all;
    const bool root = squash_ == Squash::root;
    const bool is_anonymous = all || (root && who.uid == 0);
    if (is_anonymous) identity.uid = anonymous_uid_;
    if (all || (root && who.gid == 0)) identity.gid = anonymous_gid_;
    if (is_anonymous || !uids_.to_host(who.uid)) return identity;

    // What the request itself says is what it is about: that first.
    for (const std::uint32_t group : who.group_list()) add_group(identity, group);
    const auto known = std::ranges::lower_bound(groups_, who.uid, {}, &UserGroups::uid);
    if (known != groups_.end() && known->uid == who.uid) {
        for (const std::uint32_t group : known->groups) add_group(identity, group);
    }
    // Root's group would come in by the side door; who has it goes without the others as well.
    const auto groups = std::span(identity.groups).first(identity.group_count);
    const auto root_group = gids_.to_host(0);
    if (root && root_group && std::ranges::find(groups, *root_group) != groups.end()) {
        identity.group_count = 0;
    }
    return identity;
}

std::uint32_t Identities::shown_user(std::string_view owner) const noexcept {
    return shown(owner, user_names_, uids_);
}

std::uint32_t Identities::shown_group(std::string_view owner) const noexcept {
    return shown(owner, group_names_, gids_);
}

Result<std::string> Identities::sent_user(std::uint32_t uid) const {
    return sent(uid, user_names_, uids_);
}

Result<std::string> Identities::sent_group(std::uint32_t gid) const {
    return sent(gid, group_names_, gids_);
}

}  // namespace dpfs::nfs
