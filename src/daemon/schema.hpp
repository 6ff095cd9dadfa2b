// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/config.hpp"
#include "daemon/option.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dpfs::daemon {

// The one list of options. From it come the keys of the configuration file, the options of the
// command line, the help texts, docs/configuration.md and examples/dpfs.toml.

[[nodiscard]] std::span<const Option<DaemonConfig>> daemon_options();
[[nodiscard]] std::span<const Option<DeviceConfig>> device_options();

/// The row of `key`, or nullptr.
template <class Owner>
[[nodiscard]] const Option<Owner>* find_option(std::span<const Option<Owner>> options,
                                               std::string_view key) {
    for (const Option<Owner>& option : options) {
        if (option.info.key == key) return &option;
    }
    return nullptr;
}

template <class Owner>
[[nodiscard]] std::vector<std::string_view> keys_of(std::span<const Option<Owner>> options) {
    std::vector<std::string_view> keys;
    for (const Option<Owner>& option : options) keys.push_back(option.info.key);
    return keys;
}

/// "--queue-size" for the key "queue_size".
[[nodiscard]] std::string flag_of(std::string_view key);

}  // namespace dpfs::daemon
