// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/log.hpp"
#include "base/result.hpp"
#include "reactor/event_loop.hpp"
#include "reactor/uring_reactor.hpp"

#include <cstdint>
#include <memory>

namespace dpfs::reactor {

enum class ReactorKind : std::uint8_t {
    automatic,  ///< io_uring where it works, else epoll
    uring,
    epoll,
};

struct ReactorOptions {
    ReactorKind kind = ReactorKind::automatic;
    UringOptions uring = {};  ///< its loop options are those of every kind
};

/// A reactor of the wanted kind. `automatic` logs once why io_uring was not taken.
/// Errors: as UringReactor::make() and EpollReactor::make(). `pool` outlives the reactor.
Result<std::unique_ptr<EventLoop>> make_reactor(const ReactorOptions& options,
                                                BlockingPool& pool,
                                                const Logger& log);

}  // namespace dpfs::reactor
