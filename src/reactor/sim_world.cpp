// SPDX-License-Identifier: Apache-2.0
#include "reactor/sim_world.hpp"

#include "reactor/sim_reactor.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace dpfs::reactor {

SimWorld::SimWorld(std::uint64_t seed, const SimFaults& faults)
    : seed_(seed), random_(seed), faults_(faults) {}

SimWorld::~SimWorld() = default;

Reactor& SimWorld::add_reactor() {
    return *reactors_.emplace_back(std::make_unique<SimReactor>(*this));
}

void SimWorld::run_root(Task<void>& root) {
    root.start();
    while (!root.is_ready()) advance();
}

void SimWorld::advance() {
    if (step_all()) return;
    Instant next = Instant::never();
    for (const auto& reactor : reactors_) next = std::min(next, reactor->next_event());
    if (next == Instant::never()) stuck();
    now_ = std::max(next, now_ + nanoseconds(1));
}

void SimWorld::stuck() const {
    std::fprintf(stderr,
                 "simulation: seed %llu: nothing can happen any more at %lld ns\n",
                 static_cast<unsigned long long>(seed_),
                 static_cast<long long>(now_.ns));
    for (const auto& reactor : reactors_) reactor->print_pending();
    std::abort();
}

bool SimWorld::step_all() {
    bool any = false;
    const std::size_t first = random_.below(reactors_.size());
    for (std::size_t i = 0; i < reactors_.size(); ++i) {
        any |= reactors_[(first + i) % reactors_.size()]->advance();
    }
    return any;
}

}  // namespace dpfs::reactor
