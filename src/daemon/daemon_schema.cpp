// SPDX-License-Identifier: Apache-2.0
#include "daemon/schema.hpp"
#include "daemon/text_forms.hpp"

#include <array>

namespace dpfs::daemon {
namespace {

using Daemon = DaemonConfig;
using reactor::BlockingPoolOptions;
using reactor::LoopOptions;
using reactor::PollPolicy;
using reactor::UringOptions;

// Choices stand in the order of their enum.
constexpr std::array<std::string_view, 5> log_levels = {
    "debug", "info", "warning", "error", "off"};
constexpr std::array<std::string_view, 2> log_formats = {"text", "json"};
constexpr std::array<std::string_view, 3> poll_modes = {"busy", "adaptive", "interrupt"};

constexpr std::int64_t ns_per_us = 1000;
constexpr std::int64_t ns_per_ms = 1'000'000;
constexpr std::int64_t ns_per_s = 1'000'000'000;

constexpr std::array rows = {
    option<&Daemon::log_level>({.key = "log_level",
                                .placeholder = "LEVEL",
                                .help = "The least important lines that are logged.",
                                .range = {.choices = log_levels}}),
    option<&Daemon::log_format>(
        {.key = "log_format",
         .placeholder = "FORMAT",
         .help = "Of log lines, on standard error: 'time level scope: message', or one JSON "
                 "object a line.",
         .range = {.choices = log_formats}}),
    option<&Daemon::thread_count>(
        {.key = "threads",
         .placeholder = "N",
         .help =
             "Reactor threads; the devices' queues are spread over them. Devices on io_uring "
             "and devices on epoll have this many each.",
         .range = {.min = 1, .max = 256}}),
    option<&Daemon::cpus>(
        {.key = "cpus",
         .placeholder = "LIST",
         .help = "CPUs that reactor threads are pinned to, one each in turn, such as 2-5,8. "
                 "Empty: the scheduler places them.",
         .range = {.min = 0, .max = 1024}}),
    option<&Daemon::uring, &UringOptions::loop, &LoopOptions::policy, &PollPolicy::mode>(
        {.key = "poll",
         .placeholder = "MODE",
         .help = "How reactors wait. busy: they look at rings and completion queues for ever, "
                 "one core each; adaptive: for spin_us after the last work, then they sleep; "
                 "interrupt: they sleep at once.",
         .range = {.choices = poll_modes}}),
    option<&Daemon::uring, &UringOptions::loop, &LoopOptions::policy, &PollPolicy::spin>(
        {.key = "spin_us",
         .placeholder = "US",
         .help =
             "How long an adaptive reactor looks for work before it sleeps, in microseconds.",
         .range = {.min = 0, .max = 1'000'000},
         .unit_ns = ns_per_us}),
    option<&Daemon::drain_time_max>(
        {.key = "drain_s",
         .placeholder = "S",
         .help =
             "How long requests in flight may take to end after SIGTERM, in seconds. Then the "
             "process ends with exit code 1.",
         .range = {.min = 1, .max = 3600},
         .unit_ns = ns_per_s}),
    option<&Daemon::blocking, &BlockingPoolOptions::thread_count_max>(
        {.key = "blocking_threads",
         .placeholder = "N",
         .help = "At most so many threads for system calls that can only block.",
         .range = {.min = 1, .max = 1024}}),
    option<&Daemon::blocking, &BlockingPoolOptions::queue_count_max>(
        {.key = "blocking_queue",
         .placeholder = "N",
         .help = "Calls that may wait for one of these threads.",
         .range = {.min = 1, .max = 65536}}),
    option<&Daemon::uring, &UringOptions::entry_count>(
        {.key = "uring_entries",
         .placeholder = "N",
         .help = "Size of each io_uring submission queue.",
         .range = {.min = 8, .max = 32768, .power_of_two = true}}),
    option<&Daemon::uring, &UringOptions::submission_thread>(
        {.key = "uring_sqpoll",
         .help = "A kernel thread takes submissions from each ring (IORING_SETUP_SQPOLL): no "
                 "system call, but a core for each reactor."}),
    option<&Daemon::uring, &UringOptions::submission_thread_idle>(
        {.key = "uring_sqpoll_idle_ms",
         .placeholder = "MS",
         .help = "After so long without work that thread sleeps, in milliseconds.",
         .range = {.min = 1, .max = 10'000},
         .unit_ns = ns_per_ms}),
    option<&Daemon::uring, &UringOptions::deferred_completions>(
        {.key = "uring_deferred_completions",
         .help = "Completions are made when the reactor asks for them, and interrupt nothing "
                 "(IORING_SETUP_DEFER_TASKRUN; where the kernel has it, from Linux 6.1)."}),
    option<&Daemon::uring, &UringOptions::worker_count_max>(
        {.key = "uring_workers",
         .placeholder = "N",
         .help = "At most so many kernel threads for requests of each ring that block. 0: the "
                 "kernel's own limit.",
         .range = {.min = 0, .max = 4096}}),
    option<&Daemon::uring, &UringOptions::personality_count_max>(
        {.key = "uring_personalities",
         .placeholder = "N",
         .help = "Callers (uid, gid, groups) whose identity stays registered with each ring.",
         .range = {.min = 1, .max = 32768}}),
    option<&Daemon::uring, &UringOptions::file_count_max>(
        {.key = "uring_fixed_files",
         .placeholder = "N",
         .help = "Open files that are registered with each ring, once they are used through it "
                 "a few times; more go unregistered. 0: none.",
         .range = {.min = 0, .max = 32768}}),
};

}  // namespace

std::span<const Option<DaemonConfig>> daemon_options() {
    return rows;
}

}  // namespace dpfs::daemon
