// SPDX-License-Identifier: Apache-2.0
#include "daemon/bench_config.hpp"
#include "daemon/text_forms.hpp"

#include <array>

namespace dpfs::daemon {
namespace {

using bench::DriverOptions;
using bench::LoadOptions;
using Bench = BenchConfig;
using Options = bench::Options;

// Choices stand in the order of their enum.
constexpr std::array<std::string_view, 2> wait_modes = {"busy", "interrupt"};
constexpr std::array<std::string_view, 2> ring_formats = {"split", "packed"};

constexpr std::int64_t ns_per_ms = 1'000'000;
constexpr std::int64_t ns_per_s = 1'000'000'000;
constexpr ValueRange a_path = {.min = 1, .max = 107};
constexpr ValueRange a_word = {.min = 1, .max = 200};
constexpr ValueRange a_cpu_list = {.min = 0, .max = 1024};

constexpr std::array rows = {
    option<&Bench::options, &Options::sockets>(
        {.key = "socket",
         .placeholder = "PATH",
         .help = "The vhost-user socket of a virtio-fs device.",
         .range = a_path}),
    option<&Bench::options, &Options::floors>(
        {.key = "floor",
         .placeholder = "PATH|null",
         .help = "A device in this process that does nothing but one preadv or pwritev for "
                 "each request, on this file or one in this directory, or one copy (null): "
                 "what a device is "
                 "measured against.",
         .range = {.min = 1, .max = 4095}}),
    option<&Bench::options, &Options::compare>(
        {.key = "compare",
         .help = "Devices take turns, one round each, and rates are put in relation to the "
                 "first one's: floors come first, then sockets as they are written. Without "
                 "it, all devices work at once."}),
    option<&Bench::options, &Options::load, &LoadOptions::works>(
        {.key = "work",
         .placeholder = "WORK,…",
         .help = "What to do, one after the other; the works are listed above.",
         .range = a_word}),
    option<&Bench::options, &Options::load, &LoadOptions::depth>(
        {.key = "depth",
         .placeholder = "N",
         .help = "Operations in flight in each queue.",
         .range = {.min = 1, .max = 1024}}),
    option<&Bench::options, &Options::load, &LoadOptions::block_size>(
        {.key = "block_size",
         .placeholder = "SIZE",
         .help = "Of a READ or WRITE: a multiple of 512, such as 4k or 1M.",
         .range = a_word}),
    option<&Bench::options, &Options::load, &LoadOptions::file_size>(
        {.key = "file_size",
         .placeholder = "SIZE",
         .help = "Of the file that each queue has.",
         .range = a_word}),
    option<&Bench::options, &Options::load, &LoadOptions::file>(
        {.key = "file",
         .placeholder = "NAME",
         .help = "A file of --file-size in the device's root, which all queues use, and which "
                 "works overwrite. Empty: each queue makes one of its own. Devices that share "
                 "a directory are then compared on the same pages.",
         .range = {.min = 0, .max = 255}}),
    option<&Bench::options, &Options::load, &LoadOptions::read_percent>(
        {.key = "read_percent",
         .placeholder = "N",
         .help = "How many requests of the work 'mixed' are READs.",
         .range = {.min = 0, .max = 100}}),
    option<&Bench::options, &Options::load, &LoadOptions::direct>(
        {.key = "direct", .help = "Opens the files with O_DIRECT."}),
    option<&Bench::options, &Options::load, &LoadOptions::verify>(
        {.key = "verify",
         .help = "Each READ must find what was last written there. It costs the bench time, so "
                 "rates are lower."}),
    option<&Bench::options, &Options::load, &LoadOptions::entry_count>(
        {.key = "entries",
         .placeholder = "N",
         .help = "Files in the directory that is listed.",
         .range = {.min = 1, .max = 10'000'000}}),
    option<&Bench::options, &Options::load, &LoadOptions::list_size>(
        {.key = "list_size",
         .placeholder = "SIZE",
         .help = "Of the buffer of a READDIR.",
         .range = a_word}),
    option<&Bench::options, &Options::load, &LoadOptions::batch_forget>(
        {.key = "batch_forget",
         .help = "Returns inodes by BATCH_FORGET, 100 at a time. Linux sends a FORGET for each "
                 "over virtio-fs, and so does the bench without this."}),
    option<&Bench::options, &Options::load, &LoadOptions::seed>(
        {.key = "seed",
         .placeholder = "N",
         .help = "Where random offsets begin.",
         .range = {.min = 0, .max = 1'000'000'000}}),
    option<&Bench::options, &Options::queue_count>(
        {.key = "queues",
         .placeholder = "N",
         .help = "Request queues that are used, of each device.",
         .range = {.min = 1, .max = 64}}),
    option<&Bench::options, &Options::thread_count>(
        {.key = "threads",
         .placeholder = "N",
         .help = "Threads that make the requests; queues are dealt out to them in turn. 0: one "
                 "for each queue.",
         .range = {.min = 0, .max = 1024}}),
    option<&Bench::cpus>({.key = "cpus",
                          .placeholder = "LIST",
                          .help = "CPUs that these threads are pinned to, one each in turn, "
                                  "such as 0-3,8. Empty: the scheduler places them.",
                          .range = a_cpu_list}),
    option<&Bench::floor_cpus>({.key = "floor_cpus",
                                .placeholder = "LIST",
                                .help = "The same for the threads of a --floor.",
                                .range = a_cpu_list}),
    option<&Bench::options, &Options::driver, &DriverOptions::wait>(
        {.key = "poll",
         .placeholder = "MODE",
         .help = "How replies are waited for. busy: the used rings are looked at for ever, one "
                 "core for each thread; interrupt: threads sleep until the device calls.",
         .range = {.choices = wait_modes}}),
    option<&Bench::options, &Options::driver, &DriverOptions::ring>(
        {.key = "ring",
         .placeholder = "FORMAT",
         .help = "Which virtqueues.",
         .range = {.choices = ring_formats}}),
    option<&Bench::options, &Options::driver, &DriverOptions::ring_size>(
        {.key = "ring_size",
         .placeholder = "N",
         .help = "Descriptors in each ring.",
         .range = {.min = 16, .max = 32768, .power_of_two = true}}),
    option<&Bench::options, &Options::driver, &DriverOptions::indirect>(
        {.key = "indirect",
         .help = "Requests are indirect descriptor tables, where the device takes them."}),
    option<&Bench::options, &Options::driver, &DriverOptions::event_idx>(
        {.key = "event_idx",
         .help = "Notifications are suppressed by index (VIRTIO_F_EVENT_IDX), where the device "
                 "knows it."}),
    option<&Bench::options, &Options::driver, &DriverOptions::scatter>(
        {.key = "scatter",
         .help = "Neighbouring pages of a request do not lie side by side in memory, so no "
                 "device can join them."}),
    option<&Bench::options, &Options::driver, &DriverOptions::batch_max>(
        {.key = "batch",
         .placeholder = "N",
         .help = "After so many replies, the requests that follow from them are published.",
         .range = {.min = 1, .max = 1024}}),
    option<&Bench::options, &Options::round_count>({.key = "rounds",
                                                    .placeholder = "N",
                                                    .help = "Figures are medians over them.",
                                                    .range = {.min = 1, .max = 1000}}),
    option<&Bench::options, &Options::round_time>({.key = "round_ms",
                                                   .placeholder = "MS",
                                                   .help = "Of a round, in milliseconds.",
                                                   .range = {.min = 1, .max = 3'600'000},
                                                   .unit_ns = ns_per_ms}),
    option<&Bench::options, &Options::warm_up_time>(
        {.key = "warm_up_ms",
         .placeholder = "MS",
         .help = "Before the first round, in milliseconds.",
         .range = {.min = 0, .max = 3'600'000},
         .unit_ns = ns_per_ms}),
    option<&Bench::options, &Options::driver, &DriverOptions::stall_time_max>(
        {.key = "stall_s",
         .placeholder = "S",
         .help = "A device that has not answered for so long has failed, in seconds.",
         .range = {.min = 1, .max = 3600},
         .unit_ns = ns_per_s}),
    option<&Bench::options, &Options::server_pid>(
        {.key = "server_pid",
         .placeholder = "PID",
         .help = "Whose CPU time is measured, with its children. 0: who listens on the socket.",
         .range = {.min = 0, .max = 1 << 22}}),
    option<&Bench::options, &Options::json>(
        {.key = "json", .help = "One JSON object instead of tables."}),
};

}  // namespace

std::span<const Option<BenchConfig>> bench_options() {
    return rows;
}

}  // namespace dpfs::daemon
