// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "net/nfs4/client.hpp"

#include <cstdint>

namespace dpfs::nfs {

/// How often a request is made with states that the server does not know: a server that forgets
/// them at once, whatever is opened, must not keep a request for ever; one that is started anew
/// again and again may.
///
/// Thread    one.
class StateAttempts {
  public:
    explicit StateAttempts(const nfs4::Client& client) noexcept
        : client_(client), incarnation_(client.incarnation()) {}

    /// The server has not known the state. False: often enough.
    [[nodiscard]] bool again() noexcept {
        const std::uint64_t now = client_.incarnation();
        if (now != incarnation_) count_ = 0;
        incarnation_ = now;
        return ++count_ < count_max;
    }

  private:
    static constexpr int count_max = 4;

    const nfs4::Client& client_;
    std::uint64_t incarnation_;
    int count_ = 0;
};

}  // namespace dpfs::nfs
