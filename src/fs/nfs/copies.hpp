// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "net/nfs4/client.hpp"
#include "reactor/cancel.hpp"

#include <cstddef>
#include <mutex>
#include <optional>
#include <vector>

namespace dpfs::nfs {

/// Copies that the server makes on its own, while somebody here waits: brings a CB_OFFLOAD to
/// the one it is for, also where it overtakes the answer that names the copy (RFC 7862, 4.8).
///
/// Thread    any; what is said with Waiting, its reactor's.
class Copies {
  public:
    struct Waiting {
        explicit Waiting(reactor::Reactor& owner) : reactor(owner) {}
        reactor::Reactor& reactor;
        reactor::CancelSource nap;  ///< fired by wake(); its owner resets it

      private:
        friend class Copies;
        nfs4::StateId copy_ = {};
        std::optional<nfs4::CopyOutcome> outcome_;  // under the lock
    };

    /// A COPY is about to be sent: outcomes of copies that nobody knows are kept from now on.
    void expect();
    /// Its answer has been dealt with, by begin() or because there is nothing to wait for.
    void expect_no_more();

    void begin(Waiting& waiting, const nfs4::StateId& copy);
    void end(Waiting& waiting);
    [[nodiscard]] std::optional<nfs4::CopyOutcome> outcome(const Waiting& waiting) const;

    /// CB_OFFLOAD. Gives the reactor on which wake() is to be called, if any is.
    reactor::Reactor* ended(const nfs4::CopyOutcome& outcome);
    /// Thread: that of the copy's waiter, if there still is one.
    void wake(const nfs4::StateId& copy);

  private:
    // A server that makes up outcomes gets no more room than this.
    static constexpr std::size_t early_count_max = 64;

    [[nodiscard]] Waiting* find(const nfs4::StateId& copy) const;  // under the lock

    mutable std::mutex mutex_;
    std::size_t expected_count_ = 0;
    std::vector<nfs4::CopyOutcome> early_;
    std::vector<Waiting*> waiting_;
};

}  // namespace dpfs::nfs
