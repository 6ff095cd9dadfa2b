// SPDX-License-Identifier: Apache-2.0
#include "bench/server_meter.hpp"

#include "bench/clock.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <linux/perf_event.h>
#include <sstream>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace dpfs::bench {
namespace {

/// Fields behind the command's name in /proc/PID/stat: proc(5) counts state as 3.
constexpr int fields_before_utime = 11;

void add_ticks(const std::string& path, ServerUse& use) {
    std::ifstream file(path);
    std::string text;
    std::getline(file, text);
    // The name may hold anything, but nothing behind it has a parenthesis.
    const std::size_t name_end = text.rfind(')');
    if (name_end == std::string::npos) return;
    std::istringstream fields(text.substr(name_end + 1));
    std::string skipped;
    for (int i = 0; i < fields_before_utime; ++i) fields >> skipped;
    std::uint64_t user = 0;
    std::uint64_t system = 0;
    fields >> user >> system;
    use.user_ticks += user;
    use.system_ticks += system;
}

std::vector<pid_t> numbers_in(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::vector<pid_t> numbers;
    for (pid_t number = 0; file >> number;) numbers.push_back(number);
    return numbers;
}

std::vector<pid_t> threads_of(pid_t pid) {
    std::vector<pid_t> threads;
    std::error_code error;
    for (const auto& entry :
         std::filesystem::directory_iterator(fmt::format("/proc/{}/task", pid), error)) {
        threads.push_back(static_cast<pid_t>(std::atoi(entry.path().filename().c_str())));
    }
    return threads;
}

UniqueFd open_counter(pid_t thread, bool with_kernel) {
    perf_event_attr attributes = {};
    attributes.size = sizeof(attributes);
    attributes.type = PERF_TYPE_HARDWARE;
    attributes.config = PERF_COUNT_HW_INSTRUCTIONS;
    attributes.inherit = 1;  // threads and processes that it starts later
    attributes.exclude_kernel = with_kernel ? 0 : 1;
    attributes.exclude_hv = 1;
    const long fd =
        ::syscall(SYS_perf_event_open, &attributes, thread, -1, -1, PERF_FLAG_FD_CLOEXEC);
    return UniqueFd(static_cast<int>(fd));
}

}  // namespace

ServerUse operator-(const ServerUse& after, const ServerUse& before) {
    ServerUse use = {.cpu_ns = after.cpu_ns - before.cpu_ns,
                     .user_ticks = after.user_ticks - before.user_ticks,
                     .system_ticks = after.system_ticks - before.system_ticks,
                     .instructions = std::nullopt};
    if (after.instructions && before.instructions) {
        use.instructions = *after.instructions - *before.instructions;
    }
    return use;
}

Result<pid_t> peer_pid(int socket) {
    ucred credentials = {};
    socklen_t size = sizeof(credentials);
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
        return fail_errno();
    }
    return credentials.pid;
}

ServerMeter::ServerMeter(const std::vector<const Target*>& targets, pid_t server_pid) {
    for (const Target* const target : targets) {
        if (const FloorDevice* const floor = target->floor()) {
            const auto clocks = floor->clocks();
            const auto threads = floor->thread_ids();
            for (std::size_t i = 0; i < threads.size() && i < clocks.size(); ++i) {
                sources_.push_back(
                    {clocks[i], fmt::format("/proc/self/task/{}/stat", threads[i])});
                add_thread_counter(threads[i]);
            }
            continue;
        }
        const pid_t pid =
            server_pid != 0 ? server_pid : peer_pid(target->socket_fd()).value_or(0);
        // Pid 1 listens for services that it has not started yet.
        if (pid > 1) add_process(pid);
    }
}

void ServerMeter::add_process(pid_t pid) {
    if (std::ranges::find(seen_, pid) != seen_.end()) return;
    seen_.push_back(pid);
    clockid_t clock = {};
    if (::clock_getcpuclockid(pid, &clock) != 0) return;
    sources_.push_back({clock, fmt::format("/proc/{}/stat", pid)});
    for (const pid_t thread : threads_of(pid)) {
        add_thread_counter(thread);
        const std::string children = fmt::format("/proc/{}/task/{}/children", pid, thread);
        for (const pid_t child : numbers_in(children)) add_process(child);
    }
}

void ServerMeter::add_thread_counter(pid_t thread) {
    if (!counts_) return;
    UniqueFd counter = open_counter(thread, true);
    if (!counter) {
        // A sum over some threads would look like one over all.
        counts_ = false;
        counters_.clear();
        return;
    }
    counters_.push_back(std::move(counter));
}

ServerUse ServerMeter::sample() const {
    ServerUse use;
    for (const Source& source : sources_) {
        use.cpu_ns += clock_ns(source.clock);
        add_ticks(source.stat_path, use);
    }
    if (counters_.empty()) return use;
    use.instructions = 0;
    for (const UniqueFd& counter : counters_) {
        std::uint64_t count = 0;
        if (::read(counter.get(), &count, sizeof(count)) == sizeof(count)) {
            *use.instructions += count;
        }
    }
    return use;
}

}  // namespace dpfs::bench
