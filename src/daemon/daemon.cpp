// SPDX-License-Identifier: Apache-2.0
#include "daemon/daemon.hpp"

#include "daemon/config_check.hpp"
#include "daemon/descriptor_limit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace dpfs::daemon {
namespace {

/// For the one wait of main's; reactors have clocks of their own.
Instant monotonic_now() {
    timespec time = {};
    ::clock_gettime(CLOCK_MONOTONIC, &time);
    return Instant{} + seconds(time.tv_sec) + nanoseconds(time.tv_nsec);
}

}  // namespace

void print_error(const std::string& message) {
    std::string line = "dpfs: " + message;
    std::ranges::replace_if(line, [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; }, '?');
    fmt::print(stderr, "{}\n", line);
}

Daemon::Daemon(Config config, LogSink& sink, Signals& signals)
    : config_(std::move(config)), log_(sink, ""), sink_(sink), signals_(signals) {}

int Daemon::run() {
    const int code = start();
    if (code == exit_done) {
        print_ready();
        serve();
        log_.info("ending: requests in flight are answered first");
    }
    // Also after a failed start: devices before the one that failed may have tenants already.
    if (!drain()) {
        // Threads still run and use what we own: leave it all to the kernel.
        std::fflush(nullptr);
        ::_exit(exit_failed);
    }
    if (code == exit_done) log_statistics();
    if (reactors_) reactors_->stop();
    tenants_.clear();
    if (code == exit_done) log_.info("ended");
    return code;
}

int Daemon::start() {
    // Modes of a tenant's files come with its requests. Sockets have a mode of their own.
    ::umask(0);
    share_descriptors(config_, raise_descriptor_limit());
    if (const auto checked = check_surroundings(config_); !checked) {
        return fail_start(checked.error(), exit_usage);
    }
    auto reactors = ReactorSets::make(config_, log_);
    if (!reactors) return fail_start(reactors.error(), exit_failed);
    reactors_ = std::move(*reactors);

    for (const DeviceConfig& device : config_.devices) {
        auto tenant = Tenant::make(device, reactors_->place(device), nfs_clients_, sink_);
        if (!tenant) return fail_start(tenant.error(), exit_usage);
        if (const auto started = (*tenant)->start(); !started) {
            return fail_start(started.error(), exit_usage);
        }
        tenants_.push_back(std::move(*tenant));
    }
    return exit_done;
}

int Daemon::fail_start(const std::string& message, int exit_code) const {
    print_error(message);
    return exit_code;
}

void Daemon::print_ready() const {
    for (const auto& tenant : tenants_) {
        fmt::print("ready tag={} socket={}\n", tenant->tag(), tenant->socket_path());
    }
    std::fflush(stdout);
}

void Daemon::serve() {
    while (true) {
        const Event event = signals_.wait();
        if (event == Event::terminate) return;
        if (event == Event::statistics) log_statistics();
    }
}

bool Daemon::drain() {
    // timeout(1) and some supervisors signal the process and its group: that is one wish.
    constexpr Duration echo_time = milliseconds(200);
    const Instant begin = monotonic_now();
    const Instant deadline = begin + config_.daemon.drain_time_max;
    for (const auto& tenant : tenants_) tenant->begin_stop(signals_);
    while (
        !std::ranges::all_of(tenants_, [](const auto& tenant) { return tenant->stopped(); })) {
        const Duration left = deadline - monotonic_now();
        const Event event = left.ns > 0 ? signals_.wait(left) : Event::timed_out;
        if (event == Event::statistics) log_statistics();
        if (event == Event::terminate && monotonic_now() > begin + echo_time) {
            print_error("a second signal: ends at once, requests in flight are lost");
            return false;
        }
        if (event == Event::timed_out) {
            print_error(
                fmt::format("requests in flight did not end within {} s: ends without them",
                            config_.daemon.drain_time_max.seconds()));
            return false;
        }
    }
    return true;
}

void Daemon::log_statistics() const {
    for (const auto& tenant : tenants_) tenant->log_statistics(log_);
    reactors_->log_statistics(log_);
}

}  // namespace dpfs::daemon
