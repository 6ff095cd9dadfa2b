// SPDX-License-Identifier: Apache-2.0
#include "net/nfs4/xattr.hpp"

#include <utility>

namespace dpfs::nfs4 {

void put_getxattr(Request& request, std::string_view name) {
    request.put_name(Op::getxattr, name);
}

void put_setxattr(Request& request,
                  SetXattr mode,
                  std::string_view name,
                  std::span<const std::byte> value) {
    request.put(Op::setxattr);
    request.writer().u32(std::to_underlying(mode));
    request.writer().string(name);
    request.writer().opaque(value);
}

void put_listxattrs(Request& request, std::uint64_t cookie, std::uint32_t size_max) {
    request.put(Op::listxattrs);
    request.writer().u64(cookie);
    request.writer().u32(size_max);
}

void put_removexattr(Request& request, std::string_view name) {
    request.put_name(Op::removexattr, name);
}

std::span<const std::byte> take_getxattr(rpc::XdrReader& in) noexcept {
    return in.opaque(xattr_value_size_max);
}

XattrNames take_listxattrs(rpc::XdrReader& in) {
    XattrNames list;
    list.cookie = in.u64();
    const std::uint32_t count = in.count(4);
    for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
        list.names.push_back(in.string(xattr_name_size_max));
    }
    list.at_end = in.boolean();
    return list;
}

}  // namespace dpfs::nfs4
