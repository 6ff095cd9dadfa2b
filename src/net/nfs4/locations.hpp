// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "net/rpc/xdr.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace dpfs::nfs4 {

/// Where a file system is, or was moved to (fs_location4). Views of the answer.
struct Location {
    std::vector<std::string_view> servers;  ///< host names or addresses: any of them
    std::vector<std::string_view> path;     ///< components, from the server's root
};

/// A fattr4 of nothing but `file_system_locations`. Source: RFC 8881, 11.16; bounded by what
/// the answer holds.
[[nodiscard]] std::vector<Location> take_locations(rpc::XdrReader& in);

/// "one:/a/b, two:/a/b" for a log line: at most a few, and nothing that is not printable.
[[nodiscard]] std::string describe(const std::vector<Location>& locations);

}  // namespace dpfs::nfs4
