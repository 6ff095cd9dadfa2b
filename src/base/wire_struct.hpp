// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

namespace dpfs {

/// A struct that may be copied from and to a wire as it is: plain bytes, and no padding, so
/// that none of our memory leaks to a peer.
template <class T>
concept wire_struct = std::is_trivially_copyable_v<T> && std::is_standard_layout_v<T> &&
                      std::has_unique_object_representations_v<T>;

}  // namespace dpfs
