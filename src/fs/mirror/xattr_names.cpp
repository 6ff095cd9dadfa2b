// SPDX-License-Identifier: Apache-2.0
#include "fs/mirror/xattr_names.hpp"

namespace dpfs::mirror {

std::optional<std::string> XattrNames::to_host(std::string_view guest) const {
    for (const XattrRule& rule : rules_) {
        if (!guest.starts_with(rule.match)) continue;
        if (rule.action == XattrRule::Action::refuse) return std::nullopt;
        if (rule.action == XattrRule::Action::prefix) {
            return rule.host_prefix + std::string(guest);
        }
        break;
    }
    // A mapped name must not be reachable by its host name as well: who may write "user."
    // attributes could otherwise forge those that the rule protects.
    for (const XattrRule& rule : rules_) {
        if (rule.action == XattrRule::Action::prefix && guest.starts_with(rule.host_prefix) &&
            guest.substr(rule.host_prefix.size()).starts_with(rule.match)) {
            return std::nullopt;
        }
    }
    return std::string(guest);
}

std::optional<std::string_view> XattrNames::to_guest(std::string_view host) const {
    // A name that the rules map to `host` is the tenant's name for it: each rule can have made
    // it, and only a candidate that maps back was.
    if (to_host(host) == host) return host;
    for (const XattrRule& rule : rules_) {
        if (rule.action != XattrRule::Action::prefix) continue;
        if (!host.starts_with(rule.host_prefix)) continue;
        const std::string_view guest = host.substr(rule.host_prefix.size());
        if (!guest.empty() && to_host(guest) == host) return guest;
    }
    return std::nullopt;
}

}  // namespace dpfs::mirror
