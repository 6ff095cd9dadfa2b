// SPDX-License-Identifier: Apache-2.0
#include "daemon/tenant.hpp"

#include "daemon/signals.hpp"
#include "fs/mirror/mirror_fs.hpp"
#include "fs/nfs/nfs_fs.hpp"
#include "fs/null/null_fs.hpp"
#include "hal/vhost_user/queue_stats.hpp"
#include "reactor/reactor_threads.hpp"

#include <fmt/format.h>

#include <utility>

namespace dpfs::daemon {
namespace {

/// What one key sets for all back ends that serve files, in the words of this one.
nfs::NfsOptions nfs_options(const DeviceConfig& config) {
    nfs::NfsOptions options = config.nfs;
    const mirror::MirrorOptions& shared = config.mirror;
    options.read_only = shared.read_only;
    switch (shared.cache) {
        case mirror::CachePolicy::never:
            options.cache = nfs::CachePolicy::never;
            break;
        case mirror::CachePolicy::automatic:
            options.cache = nfs::CachePolicy::automatic;
            break;
        case mirror::CachePolicy::always:
            options.cache = nfs::CachePolicy::always;
            break;
    }
    options.entry_valid = shared.entry_valid;
    options.attributes_valid = shared.attributes_valid;
    options.uid_map = shared.uid_map;
    options.gid_map = shared.gid_map;
    options.inode_count_max = shared.inode_count_max;
    options.client.instance =
        fmt::format("{} {}", config.transport.tag, config.transport.socket_path);
    return options;
}

Parsed<std::unique_ptr<fuse::FileSystem>> make_nfs(const DeviceConfig& config,
                                                   const Placement& placement,
                                                   nfs::SharedClients& clients,
                                                   const Logger& log) {
    nfs::NfsOptions options = nfs_options(config);
    const std::vector<reactor::Reactor*> reactors = placement.reactors();
    auto client = clients.client_for(options, reactors, log);
    if (!client) return wrong(std::move(client.error()));
    auto made = nfs::NfsFs::make(std::move(options), std::move(*client), reactors, log);
    if (!made) return wrong(std::move(made.error()));
    return std::move(*made);
}

Parsed<std::unique_ptr<fuse::FileSystem>> make_file_system(const DeviceConfig& config,
                                                           const Placement& placement,
                                                           nfs::SharedClients& nfs_clients,
                                                           const Logger& log) {
    switch (config.backend) {
        case Backend::null:
            return std::make_unique<fs::NullFs>(config.null);
        case Backend::uring:
        case Backend::aio: {
            auto mirror = mirror::MirrorFs::make(config.mirror, log);
            if (!mirror) return wrong(std::move(mirror.error()));
            return std::move(*mirror);
        }
        case Backend::nfs:
            return make_nfs(config, placement, nfs_clients, log);
    }
    return wrong("no such back end");
}

fuse::SessionOptions session_options(const DeviceConfig& config, const Placement& placement) {
    fuse::SessionOptions options = config.session;
    options.reactors = placement.reactors();
    // One key sets both: what the session offers is what the file system then has to do.
    if (contains(mirror_backends, config.backend)) {
        options.writeback = config.mirror.writeback;
    }
    if (contains(file_backends, config.backend)) {
        options.lock_wait_max = config.mirror.lock_wait_max;
    }
    return options;
}

}  // namespace

std::vector<reactor::Reactor*> Placement::reactors() const {
    std::vector<reactor::Reactor*> list;
    list.reserve(threads->count());
    for (std::size_t i = 0; i < threads->count(); ++i) {
        list.push_back(&threads->reactor((first + i) % threads->count()));
    }
    return list;
}

Parsed<std::unique_ptr<Tenant>> Tenant::make(DeviceConfig config,
                                             Placement placement,
                                             nfs::SharedClients& nfs_clients,
                                             LogSink& sink) {
    const Logger log(sink, fmt::format("device tag={}", config.transport.tag));
    auto file_system =
        make_file_system(config, placement, nfs_clients, log.child(name_of(config.backend)));
    if (!file_system) {
        return wrong(fmt::format("{}: {}", config.places.of({}), file_system.error()));
    }
    return std::unique_ptr<Tenant>(
        new Tenant(std::move(config), placement, std::move(*file_system), log));
}

Tenant::Tenant(DeviceConfig config,
               Placement placement,
               std::unique_ptr<fuse::FileSystem> file_system,
               Logger log)
    : config_(std::move(config)),
      placement_(placement),
      log_(std::move(log)),
      file_system_(std::move(file_system)),
      session_(*file_system_, session_options(config_, placement_), log_.child("fuse")) {}

Parsed<void> Tenant::start() {
    std::promise<StartOutcome> started;
    std::future<StartOutcome> outcome = started.get_future();
    placement_.threads->spawn(placement_.first, start_device(std::move(started)));
    const auto [result, at_back_end] = outcome.get();
    if (result) return {};
    if (at_back_end) {
        return wrong(fmt::format("{}: {} cannot be served ({}); the log says more",
                                 config_.places.of({}),
                                 name_of(config_.backend),
                                 errno_name(result.error())));
    }
    return wrong(fmt::format("{}: '{}' cannot be served ({})",
                             config_.places.of("socket"),
                             socket_path(),
                             errno_name(result.error())));
}

// The promise is the coroutine's own: main may go on, and away, before set_value() returns.
Task<void> Tenant::start_device(std::promise<StartOutcome> started) {
    const std::vector<reactor::Reactor*> reactors = placement_.reactors();
    const Result<void> ready = co_await file_system_->start(*reactors.front());
    if (!ready) {
        started.set_value({.result = ready, .at_back_end = true});
        co_return;
    }
    hal::vhost_user::DeviceOptions options = config_.transport;
    options.socket_ownership.mode = config_.socket_mode.bits;
    device_ = std::make_unique<hal::vhost_user::VhostUserDevice>(
        std::move(options), reactors, session_, log_.child("vhost-user"));
    const Result<void> result = device_->start();
    if (!result) {
        device_.reset();
        co_await file_system_->stop(*reactors.front());
    }
    started.set_value({.result = result});
}

void Tenant::begin_stop(Signals& signals) {
    placement_.threads->spawn(placement_.first, stop_device(signals));
}

Task<void> Tenant::stop_device(Signals& signals) {
    if (device_) {
        co_await device_->stop();
        co_await file_system_->stop(*placement_.reactors().front());
    }
    stopped_.store(true);
    signals.notify();
}

void Tenant::log_statistics(const Logger& log) const {
    if (!device_) return;
    std::size_t index = 0;
    for (const hal::vhost_user::QueueStats& queue : device_->stats()) {
        log.info(
            "stats tag={} queue={} requests={} kicks={} calls={} completions={} polls={} "
            "bytes_in={} bytes_out={}",
            tag(),
            index++,
            queue.requests,
            queue.kicks,
            queue.calls,
            queue.completions,
            queue.polls,
            queue.bytes_in,
            queue.bytes_out);
    }
    const fuse::SessionStatistics session = session_.statistics();
    for (const fuse::OperationStatistics& operation : session.operations) {
        log.info("stats tag={} operation={} count={} errors={}",
                 tag(),
                 operation.name,
                 operation.count,
                 operation.errors);
    }
    log.info("stats tag={} unknown={} malformed={}", tag(), session.unknown, session.malformed);
    for (const std::string& line : file_system_->statistics()) {
        log.info("stats tag={} {}", tag(), line);
    }
}

}  // namespace dpfs::daemon
