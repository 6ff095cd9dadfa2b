// SPDX-License-Identifier: Apache-2.0
// Whatever a configuration file has in it: it is read, or answered with one line that begins
// with the file's name and a line number. What was read obeys the schema: each value is one
// that the schema takes, and taking it again changes nothing.
#include "base/assert.hpp"
#include "daemon/config_file.hpp"
#include "daemon/schema.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace {

using namespace dpfs::daemon;

template <class Owner>
void check_values(std::span<const Option<Owner>> options, Owner owner) {
    for (const Option<Owner>& option : options) {
        const Value value = option.read(owner, option.info);
        const bool unset = option.info.kind == ValueKind::text && value == Value(std::string());
        if (unset) continue;
        DPFS_ASSERT(option.set(owner, value).has_value());
        DPFS_ASSERT(option.read(owner, option.info) == value);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(data, data + size);
    const auto config = parse_config(text, "f");
    if (!config) {
        DPFS_ASSERT(config.error().starts_with("f:"));
        DPFS_ASSERT(config.error().size() > 2 && config.error()[2] >= '0' &&
                    config.error()[2] <= '9');
        return 0;
    }
    check_values(daemon_options(), config->daemon);
    for (const DeviceConfig& device : config->devices) check_values(device_options(), device);
    return 0;
}
