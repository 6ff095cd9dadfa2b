// SPDX-License-Identifier: Apache-2.0
#include "virtio/violation.hpp"

#include <utility>

namespace dpfs::virtio {

std::string_view describe(Violation violation) noexcept {
    switch (violation) {
        case Violation::none:
            return "no violation";
        case Violation::available_index_jumped:
            return "available index jumped by more than the ring holds (virtio 2.7.13.3)";
        case Violation::too_many_in_flight:
            return "more buffers offered than the ring holds (virtio 2.7, 2.8)";
        case Violation::head_out_of_range:
            return "available entry names a descriptor outside the table (virtio 2.7.6)";
        case Violation::next_out_of_range:
            return "descriptor continues outside its table (virtio 2.7.5)";
        case Violation::chain_too_long:
            return "descriptor chain loops or is too long (virtio 2.7.5.3.1, 2.8.17)";
        case Violation::readable_after_writable:
            return "device-readable descriptor after a writable one (virtio 2.7.4.2, 2.8.17)";
        case Violation::indirect_not_negotiated:
            return "indirect descriptor without INDIRECT_DESC (virtio 2.7.5.3.1, 2.8.19)";
        case Violation::indirect_nested:
            return "indirect descriptor inside an indirect table (virtio 2.7.5.3.1)";
        case Violation::indirect_with_next:
            return "indirect descriptor in a list of others (virtio 2.7.5.3.1, 2.8.19)";
        case Violation::indirect_table_size:
            return "indirect table is empty, torn or too long (virtio 2.7.5.3)";
        case Violation::address_not_mapped:
            return "descriptor points outside the guest's memory (virtio 2.7.5, 2.8.4)";
        case Violation::total_length:
            return "descriptor chain is longer than 2^32 bytes (virtio 2.7.5.2)";
    }
    std::unreachable();
}

Errno to_errno(Violation violation) noexcept {
    return violation == Violation::address_not_mapped ? Errno::fault : Errno::protocol;
}

}  // namespace dpfs::virtio
