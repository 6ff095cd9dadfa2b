// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "fs/mirror/mirror_options.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dpfs::mirror {

/// Names of extended attributes as the tenant and the host know them.
class XattrNames {
  public:
    explicit XattrNames(std::vector<XattrRule> rules) : rules_(std::move(rules)) {}

    /// The host's name, or none where the rules refuse the tenant's.
    [[nodiscard]] std::optional<std::string> to_host(std::string_view guest) const;
    /// The tenant's name, or none where the tenant could not have made this one.
    [[nodiscard]] std::optional<std::string_view> to_guest(std::string_view host) const;

  private:
    std::vector<XattrRule> rules_;
};

}  // namespace dpfs::mirror
