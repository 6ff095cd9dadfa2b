// SPDX-License-Identifier: Apache-2.0
#include "bench/cpu_affinity.hpp"

#include <fmt/format.h>

#include <sched.h>

namespace dpfs::bench {

void pin_this_thread(const std::vector<unsigned>& cpus, std::size_t index) noexcept {
    if (cpus.empty()) return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpus[index % cpus.size()], &set);
    // check_cpus() has been asked; a CPU that goes offline afterwards is not our business.
    (void)::sched_setaffinity(0, sizeof(set), &set);
}

Outcome<void> check_cpus(const std::vector<unsigned>& cpus) {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (::sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return {};
    for (const unsigned cpu : cpus) {
        if (cpu < CPU_SETSIZE && CPU_ISSET(cpu, &allowed)) continue;
        return failed(fmt::format("CPU {} cannot be used by this process; name others", cpu));
    }
    return {};
}

}  // namespace dpfs::bench
