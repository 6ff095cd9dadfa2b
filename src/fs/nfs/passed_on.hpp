// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "reactor/cancel.hpp"

namespace dpfs::nfs {

/// Passes the end of a tenant's request on to what waits with a source of its own.
///
/// Thread    that of both sources.
class PassedOn final : reactor::Cancelable {
  public:
    PassedOn(reactor::CancelSource& from, reactor::CancelSource& to) : to_(to) {
        if (from.canceled()) {
            to.cancel();
        } else {
            from.link(*this);
        }
    }
    ~PassedOn() override { unlink(); }

  private:
    void on_cancel() noexcept override { to_.cancel(); }
    reactor::CancelSource& to_;
};

}  // namespace dpfs::nfs
