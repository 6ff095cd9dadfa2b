// SPDX-License-Identifier: Apache-2.0
#include "daemon/reactor_sets.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace dpfs::daemon {
namespace {

using reactor::ReactorKind;

bool uses(const Config& config, Backend backend) {
    return std::ranges::any_of(config.devices, [backend](const DeviceConfig& device) {
        return device.backend == backend;
    });
}

std::string explain(ReactorKind kind, Errno error) {
    const std::string_view name = errno_name(error);
    if (kind == ReactorKind::uring) {
        return fmt::format(
            "io_uring cannot be used here ({}); serve the directory with back end 'aio' "
            "instead "
            "of 'uring'",
            name);
    }
    return fmt::format("reactor threads cannot be started ({})", name);
}

}  // namespace

Parsed<std::unique_ptr<ReactorSets>> ReactorSets::make(const Config& config,
                                                       const Logger& log) {
    std::unique_ptr<ReactorSets> sets(new ReactorSets(config.daemon.blocking));
    std::vector<ReactorKind> kinds;
    if (uses(config, Backend::uring)) kinds.push_back(ReactorKind::uring);
    if (uses(config, Backend::aio)) kinds.push_back(ReactorKind::epoll);
    if (kinds.empty()) kinds.push_back(ReactorKind::automatic);
    for (const ReactorKind kind : kinds) {
        if (auto started = sets->start(config.daemon, kind, log); !started) {
            return wrong(std::move(started.error()));
        }
    }
    return sets;
}

Parsed<void> ReactorSets::start(const DaemonConfig& config,
                                ReactorKind kind,
                                const Logger& log) {
    reactor::ReactorThreadsOptions options;
    options.count = config.thread_count;
    options.reactor = {.kind = kind, .uring = config.uring};
    options.cpus.assign(config.cpus.cpus.begin(), config.cpus.cpus.end());
    Set& set = kind == ReactorKind::epoll ? epoll_ : uring_;
    if (&set == &epoll_ && uring_.threads && !options.cpus.empty()) {
        // The second set begins behind the first, so that both share a CPU as late as possible.
        std::ranges::rotate(options.cpus,
                            options.cpus.begin() + static_cast<std::ptrdiff_t>(
                                                       options.count % options.cpus.size()));
    }
    auto threads = reactor::ReactorThreads::make(options, pool_, log);
    if (!threads) return wrong(explain(kind, threads.error()));
    set.threads = std::move(*threads);
    return {};
}

ReactorSets::Set& ReactorSets::set_for(Backend backend) {
    if (backend == Backend::aio) return epoll_;
    return uring_.threads ? uring_ : epoll_;
}

Placement ReactorSets::place(const DeviceConfig& device) {
    Set& set = set_for(device.backend);
    const std::size_t first = set.next;
    const std::size_t queue_count = device.transport.request_queue_count + std::size_t{1};
    set.next = (first + queue_count) % set.threads->count();
    return {.threads = set.threads.get(), .first = first};
}

void ReactorSets::stop() {
    for (Set* const set : {&uring_, &epoll_}) {
        if (!set->threads) continue;
        set->threads->stop_all();
        set->threads->join();
    }
}

void ReactorSets::log_statistics(const Logger& log) {
    log_set("uring", uring_, log);
    log_set("epoll", epoll_, log);
}

void ReactorSets::log_set(std::string_view name, Set& set, const Logger& log) {
    if (!set.threads) return;
    for (std::size_t i = 0; i < set.threads->count(); ++i) {
        const reactor::LoopStatistics& loop = set.threads->reactor(i).statistics();
        log.info(
            "stats reactor={}-{} rounds={} sleeps={} wake_ups={} operations={} "
            "blocking_calls={}",
            name,
            i,
            loop.rounds.value(),
            loop.sleeps.value(),
            loop.wake_ups.value(),
            loop.operations.value(),
            loop.blocking_calls.value());
    }
}

}  // namespace dpfs::daemon
