// SPDX-License-Identifier: Apache-2.0
#include "daemon/emulation_managers.hpp"

#include <fmt/format.h>

#include <array>
#include <string_view>

namespace dpfs::daemon {
namespace {

struct EmulationManager {
    std::string_view name;
    std::string_view kind;
    std::string_view device;
    std::string_view appears_as;
};

/// Transports that are compiled in. None drives a DPU so far.
constexpr std::array managers = {
    EmulationManager{.name = "vhost-user",
                     .kind = "software",
                     .device = "virtio-fs",
                     .appears_as = "a device of a virtual machine (QEMU, cloud-hypervisor, "
                                   "crosvm) that connects to a UNIX socket"},
};

}  // namespace

std::string list_emulation_managers() {
    std::string out =
        fmt::format("{:<12}{:<10}{:<12}{}\n", "NAME", "KIND", "DEVICE", "APPEARS AS");
    for (const EmulationManager& manager : managers) {
        out += fmt::format("{:<12}{:<10}{:<12}{}\n",
                           manager.name,
                           manager.kind,
                           manager.device,
                           manager.appears_as);
    }
    return out;
}

}  // namespace dpfs::daemon
