// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/option.hpp"
#include "daemon/schema.hpp"
#include "daemon/value.hpp"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>

#include <span>
#include <string>
#include <utility>
#include <vector>

namespace dpfs::daemon {

// How rows of a schema become options of the command line.

/// Declares one option. CLI11 only splits the line: what a value may be is check_value()'s
/// business, as for the configuration file.
inline void declare(CLI::App& app, const OptionInfo& info) {
    if (info.kind == ValueKind::boolean) {
        app.add_flag(flag_of(info.key));
    } else {
        app.add_option(flag_of(info.key))
            ->expected(1)
            ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    }
}

/// Sets those of `options` that the command has, and notes where they came from.
template <class Owner>
Parsed<void> take_options(const CLI::App& app,
                          std::span<const Option<Owner>> options,
                          Owner& owner) {
    for (const Option<Owner>& option : options) {
        const OptionInfo& info = option.info;
        const std::string flag = flag_of(info.key);
        const CLI::Option* const given = app.get_option_no_throw(flag);
        if (given == nullptr || given->count() == 0) continue;

        const std::vector<std::string>& texts = given->results();
        Value value = texts;
        if (info.kind != ValueKind::list) {
            if (texts.size() > 1) {
                return wrong(fmt::format("{}: is given twice; write it once", flag));
            }
            auto parsed = parse_value(info.kind, info.range, texts[0]);
            if (!parsed) return wrong(fmt::format("{}: {}", flag, parsed.error()));
            value = std::move(*parsed);
        }
        if (auto set = option.set(owner, value); !set) {
            return wrong(fmt::format("{}: {}", flag, set.error()));
        }
        owner.places.set(info.key, flag);
    }
    return {};
}

}  // namespace dpfs::daemon
