// SPDX-License-Identifier: Apache-2.0
#include "daemon/config_file.hpp"

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "daemon/config_check.hpp"
#include "daemon/nearest.hpp"
#include "daemon/schema.hpp"
#include "daemon/stray_character.hpp"

#include <fmt/format.h>

// toml++ 3.3 asserts about what is in the file ("[!]" is enough), before it looks and reports
// an error; with NDEBUG it even lets the compiler assume so. Without its asserts it reports.
#undef NDEBUG
#define TOML_ASSERT(expression) static_assert(true)
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

#include <array>
#include <fcntl.h>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace dpfs::daemon {
namespace {

constexpr std::array<std::string_view, 2> section_names = {"daemon", "device"};

/// nullopt: nothing that any option may be (a date, a table, a list of numbers).
std::optional<Value> to_value(const toml::node& node) {
    if (const auto* const flag = node.as_boolean()) return flag->get();
    if (const auto* const number = node.as_integer()) return number->get();
    if (const auto* const text = node.as_string()) return text->get();
    const auto* const list = node.as_array();
    if (list == nullptr) return std::nullopt;
    std::vector<std::string> items;
    for (const toml::node& item : *list) {
        if (!item.is_string()) return std::nullopt;
        items.push_back(item.as_string()->get());
    }
    return items;
}

/// One file being read; knows its name, for messages.
class Reader {
  public:
    explicit Reader(std::string_view name) : name_(name) {}

    Parsed<Config> read(const toml::table& file) const {
        Config config;
        for (const auto& [key, node] : file) {
            if (auto done = read_section(key, node, config); !done) {
                return wrong(std::move(done.error()));
            }
        }
        if (config.devices.empty()) {
            return wrong(fmt::format("{}:1: no device; add a [[device]] section", name_));
        }
        return config;
    }

    [[nodiscard]] std::string at(const toml::source_region& where) const {
        return fmt::format("{}:{}", name_, where.begin.line);
    }

  private:
    [[nodiscard]] std::string at(const toml::key& key) const { return at(key.source()); }

    Parsed<void> read_section(const toml::key& key,
                              const toml::node& node,
                              Config& config) const {
        if (key.str() == "daemon") {
            const auto* const section = node.as_table();
            if (section == nullptr) {
                return wrong(fmt::format("{}: daemon: is no section; write [daemon]", at(key)));
            }
            config.daemon.places.set_fallback(at(node.source()));
            return read_options(*section, daemon_options(), config.daemon);
        }
        if (key.str() == "device") return read_devices(key, node, config);
        return wrong(fmt::format("{}: {}: unknown section{}; write [daemon] or [[device]]",
                                 at(key),
                                 key.str(),
                                 suggestion(key.str(), section_names)));
    }

    Parsed<void> read_devices(const toml::key& key,
                              const toml::node& node,
                              Config& config) const {
        const auto* const list = node.as_array();
        if (list == nullptr || !list->is_homogeneous(toml::node_type::table)) {
            return wrong(fmt::format(
                "{}: device: is no list of sections; write [[device]], with two brackets",
                at(key)));
        }
        for (const toml::node& item : *list) {
            DeviceConfig& device = config.devices.emplace_back();
            device.places.set_fallback(fmt::format("{}: device", at(item.source())));
            if (auto done = read_device(*item.as_table(), device); !done) return done;
        }
        return {};
    }

    Parsed<void> read_device(const toml::table& section, DeviceConfig& device) const {
        if (auto done = read_options(section, device_options(), device); !done) return done;
        for (const Option<DeviceConfig>& option : device_options()) {
            const bool present = section.contains(option.info.key);
            const bool belongs = contains(option.info.backends, device.backend);
            if (present && !belongs) {
                return wrong(fmt::format("{}: means nothing to back end '{}'; leave it out",
                                         device.places.of(option.info.key),
                                         name_of(device.backend)));
            }
            if (!present && belongs && option.info.required) {
                return wrong(fmt::format("{}: has no '{}'; write {} = {}",
                                         device.places.of({}),
                                         option.info.key,
                                         option.info.key,
                                         example_of(option.info)));
            }
        }
        return {};
    }

    static std::string example_of(const OptionInfo& info) {
        if (info.kind == ValueKind::choice) return fmt::format("\"{}\"", info.range.choices[1]);
        return fmt::format("\"{}\"", info.placeholder);
    }

    template <class Owner>
    Parsed<void> read_options(const toml::table& section,
                              std::span<const Option<Owner>> options,
                              Owner& owner) const {
        for (const auto& [key, node] : section) {
            const std::string place = fmt::format("{}: {}", at(key), key.str());
            const Option<Owner>* const option = find_option(options, key.str());
            if (option == nullptr) {
                const auto keys = keys_of(options);
                return wrong(
                    fmt::format("{}: unknown key{}", place, suggestion(key.str(), keys)));
            }
            const auto value = to_value(node);
            if (!value) {
                return wrong(fmt::format(
                    "{}: is not {}", place, describe(option->info.kind, option->info.range)));
            }
            if (auto set = option->set(owner, *value); !set) {
                return wrong(fmt::format("{}: {}", place, set.error()));
            }
            owner.places.set(key.str(), place);
        }
        return {};
    }

    std::string_view name_;
};

std::unexpected<std::string> unreadable(const std::string& path) {
    const Errno error = fail_errno().error();
    return wrong(
        fmt::format("{}: cannot be read ({}); name a file that can", path, errno_name(error)));
}

Parsed<std::string> read_file(const std::string& path) {
    constexpr std::size_t size_max = 4U << 20;  // a thousand devices have a tenth of it
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return unreadable(path);
    std::string text;
    std::array<char, 65536> block;
    while (true) {
        const ssize_t size = ::read(file.get(), block.data(), block.size());
        if (size < 0) return unreadable(path);
        if (size == 0) return text;
        text.append(block.data(), static_cast<std::size_t>(size));
        if (text.size() > size_max) {
            return wrong(fmt::format(
                "{}: is too large for a configuration (over {} bytes)", path, size_max));
        }
    }
}

}  // namespace

Parsed<Config> parse_config(std::string_view text, std::string_view name) {
    if (const auto line = line_of_stray_character(text)) {
        return wrong(fmt::format(
            "{}:{}: not TOML: a character outside of quotes that is not ASCII", name, *line));
    }
    const toml::parse_result parsed = toml::parse(text);
    const Reader reader(name);
    if (!parsed) {
        const toml::parse_error& error = parsed.error();
        return wrong(
            fmt::format("{}: not TOML: {}", reader.at(error.source()), error.description()));
    }
    auto config = reader.read(parsed.table());
    if (!config) return config;
    if (auto checked = check_agreement(*config); !checked) {
        return wrong(std::move(checked.error()));
    }
    return config;
}

Parsed<Config> load_config(const std::string& path) {
    const auto text = read_file(path);
    if (!text) return wrong(text.error());
    return parse_config(*text, path);
}

}  // namespace dpfs::daemon
