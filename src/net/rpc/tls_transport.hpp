// SPDX-License-Identifier: Apache-2.0
#pragma once

struct bio_method_st;
struct bio_st;

namespace dpfs::rpc {

class TlsEngine;

/// The library's own memory buffers would copy what an engine has in its own already.
/// nullptr: no memory. The caller frees it.
[[nodiscard]] bio_method_st* make_tls_transport() noexcept;

/// An end of `engine`'s buffers, for the library. nullptr: no memory.
[[nodiscard]] bio_st* open_tls_transport(const bio_method_st* method,
                                         TlsEngine& engine) noexcept;

}  // namespace dpfs::rpc
