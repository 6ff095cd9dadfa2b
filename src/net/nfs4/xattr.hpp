// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "net/nfs4/request.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

/// Extended attributes. Their names stand without "user.": there are no others (RFC 8276, 6).
namespace dpfs::nfs4 {

enum class SetXattr : std::uint32_t { either = 0, create = 1, replace = 2 };

inline constexpr std::size_t xattr_value_size_max = 1 << 16;  // as in Linux
inline constexpr std::size_t xattr_name_size_max = 255;

/// Source: RFC 8276, 8.4.1 to 8.4.4.
void put_getxattr(Request& request, std::string_view name);
void put_setxattr(Request& request,
                  SetXattr mode,
                  std::string_view name,
                  std::span<const std::byte> value);
/// `size_max`: bytes of the answer's names as they are encoded, the count and all else too.
void put_listxattrs(Request& request, std::uint64_t cookie, std::uint32_t size_max);
void put_removexattr(Request& request, std::string_view name);

/// The value is a view of the answer.
[[nodiscard]] std::span<const std::byte> take_getxattr(rpc::XdrReader& in) noexcept;

/// One answer to LISTXATTRS; views of it.
struct XattrNames {
    std::uint64_t cookie = 0;  ///< where to go on
    std::vector<std::string_view> names;
    bool at_end = false;
};
[[nodiscard]] XattrNames take_listxattrs(rpc::XdrReader& in);

}  // namespace dpfs::nfs4
