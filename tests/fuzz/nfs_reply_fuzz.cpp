// SPDX-License-Identifier: Apache-2.0
// What a hostile server may send, through every parser of results: nothing outside the reply is
// read, whatever it says. The first byte chooses the parser.
#include "net/nfs4/copy.hpp"
#include "net/nfs4/locations.hpp"
#include "net/nfs4/read_plus.hpp"
#include "net/nfs4/xattr.hpp"
#include "net/rpc/starttls.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace {

using namespace dpfs;
using namespace dpfs::nfs4;

constexpr AttributeSet everything = {Attribute::supported,
                                     Attribute::type,
                                     Attribute::change,
                                     Attribute::size,
                                     Attribute::fsid,
                                     Attribute::lease_time,
                                     Attribute::rdattr_error,
                                     Attribute::filehandle,
                                     Attribute::fileid,
                                     Attribute::mode,
                                     Attribute::link_count,
                                     Attribute::owner,
                                     Attribute::owner_group,
                                     Attribute::rawdev,
                                     Attribute::space_used,
                                     Attribute::time_access,
                                     Attribute::time_metadata,
                                     Attribute::time_modify,
                                     Attribute::clone_block_size,
                                     Attribute::xattr_support};

/// Segments are placed in a room of the right size, in two pieces, or it is refused.
void take_segments(rpc::XdrReader in) {
    std::array<std::byte, 9> first = {};
    std::array<std::byte, 64> second = {};
    const std::array<iovec, 2> room = {{{.iov_base = first.data(), .iov_len = first.size()},
                                        {.iov_base = second.data(), .iov_len = second.size()}}};
    constexpr std::uint64_t offset = 0x100;
    const auto read = take_read_plus(in, offset, room, {});
    if (read && read->size > first.size() + second.size()) std::abort();
}

void parse(std::uint8_t choice, rpc::XdrReader in) {
    switch (choice % 11) {
        case 0:
            static_cast<void>(take_attributes(in, everything));
            break;
        case 1:
            static_cast<void>(take_opened(in));
            break;
        case 2:
            static_cast<void>(rpc::take_reply_header(in));
            break;
        case 3:
            static_cast<void>(rpc::take_call_header(in));
            break;
        case 4:
            static_cast<void>(take_getxattr(in));
            break;
        case 5:
            static_cast<void>(take_listxattrs(in));
            break;
        case 6:
            static_cast<void>(take_copied(in));
            break;
        case 7:
            static_cast<void>(take_copy_progress(in));
            break;
        case 8:
            static_cast<void>(describe(take_locations(in)));
            break;
        case 9:
            take_segments(in);
            break;
        default:
            while (in.ok() && in.boolean()) {  // a listing
                in.u64();
                in.string(opaque_max);
                const auto found = take_attributes(in, everything);
                static_cast<void>(parse_owner(found.owner));
            }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    static_cast<void>(rpc::read_tls_answer(std::as_bytes(std::span(data, size)), 0));
    parse(data[0], rpc::XdrReader(std::as_bytes(std::span(data + 1, size - 1))));
    return 0;
}
