// SPDX-License-Identifier: Apache-2.0
#include "reference.hpp"

#include "daemon/schema.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <map>
#include <string_view>

namespace dpfs::daemon {
namespace {

constexpr std::size_t line_size_max = 96;

std::string commented(std::string_view text) {
    std::string out;
    std::string line = "#";
    while (!text.empty()) {
        const std::size_t end = text.find(' ');
        const std::string_view word = text.substr(0, end);
        text.remove_prefix(end == text.npos ? text.size() : end + 1);
        if (line.size() > 1 && line.size() + 1 + word.size() > line_size_max) {
            out += line + '\n';
            line = "#";
        }
        line += ' ';
        line += word;
    }
    return out + line + '\n';
}

/// What may be written, as far as the help text leaves that open.
std::string allowed(const OptionInfo& info) {
    const bool tells = info.kind == ValueKind::integer || info.kind == ValueKind::choice;
    return tells ? describe(info.kind, info.range) : std::string();
}

template <class Owner>
std::string key_with_comment(const Option<Owner>& option, const Value& value) {
    const OptionInfo& info = option.info;
    std::string help(info.help);
    if (const std::string range = allowed(info); !range.empty())
        help += " Write " + range + ".";
    if (info.required) help += " Required.";
    return commented(help) + fmt::format("{} = {}\n\n", info.key, to_toml(value));
}

/// What an example has for keys without a default.
Value required_value(std::string_view key, Backend backend) {
    if (key == "server") return std::vector<std::string>{"nas.example.org"};
    const std::map<std::string_view, std::string> values = {
        {"backend", std::string(name_of(backend))},
        {"socket", fmt::format("/run/dpfs/{}.sock", name_of(backend))},
        {"export", "/vol/home"},
        {"dir", "/srv/share"}};
    return values.at(key);
}

/// A section with the keys of `backend` that are not among those `told` already; and the
/// required ones.
std::string device_section(Backend backend, BackendSet told) {
    std::string out = "[[device]]\n";
    for (const Option<DeviceConfig>& option : device_options()) {
        const OptionInfo& info = option.info;
        if (!contains(info.backends, backend)) continue;
        if (info.required) {
            out += key_with_comment(option, required_value(info.key, backend));
        } else if ((info.backends & told) == 0) {
            out += key_with_comment(option, option.default_value());
        }
    }
    return out;
}

template <class Owner>
std::string row(const Option<Owner>& option) {
    const OptionInfo& info = option.info;
    std::string range = allowed(info);
    if (range.empty()) range = describe(info.kind, info.range);
    const std::string standard =
        info.required ? "required" : fmt::format("`{}`", to_toml(option.default_value()));
    return fmt::format("| `{}` | {} | {} | {} |\n", info.key, range, standard, info.help);
}

template <class Owner, class Belongs>
std::string table(std::span<const Option<Owner>> options, Belongs belongs) {
    std::string out = "| key | write | default | meaning |\n| --- | --- | --- | --- |\n";
    for (const Option<Owner>& option : options) {
        if (belongs(option.info)) out += row(option);
    }
    return out + '\n';
}

}  // namespace

std::string example_configuration() {
    std::string out = R"(# Every key of a DPFS configuration, with its default where it has one:
#
#   dpfs serve --config examples/dpfs.toml
#
# docs/configuration.md tells the same as tables. This file is made from the program's own list
# of options (tests/unit/daemon/reference_test.cpp), so that it is neither short nor stale.

# What holds for the whole process.
[daemon]
)";
    for (const Option<DaemonConfig>& option : daemon_options()) {
        out += key_with_comment(option, option.default_value());
    }
    out += "# Each [[device]] is one virtio-fs device: one socket, for one virtual machine.\n";
    out += device_section(Backend::uring, 0);
    out += "# A second device, with what only the nfs back end has.\n";
    out += device_section(Backend::nfs, only(Backend::uring));
    out += "# A third device, with what only the null back end has; all else is as above.\n";
    out += device_section(Backend::null, only(Backend::uring));
    while (out.ends_with("\n\n")) out.pop_back();
    return out;
}

std::string option_tables() {
    const auto any = [](const OptionInfo&) { return true; };
    std::string out = "### `[daemon]`: the process\n\n" + table(daemon_options(), any);
    out += "### `[[device]]`: every back end\n\n" +
           table(device_options(),
                 [](const OptionInfo& info) { return info.backends == all_backends; });
    out += "### `[[device]]`: back ends `uring`, `aio` and `nfs`\n\n" +
           table(device_options(),
                 [](const OptionInfo& info) { return info.backends == file_backends; });
    out += "### `[[device]]`: back ends `uring` and `aio`\n\n" +
           table(device_options(),
                 [](const OptionInfo& info) { return info.backends == mirror_backends; });
    for (const Backend backend : {Backend::uring, Backend::nfs, Backend::null}) {
        out += fmt::format("### `[[device]]`: back end `{}`\n\n", name_of(backend)) +
               table(device_options(), [backend](const OptionInfo& info) {
                   return info.backends == only(backend);
               });
    }
    return out;
}

}  // namespace dpfs::daemon
