// SPDX-License-Identifier: Apache-2.0
#include "daemon/command_line.hpp"

#include "daemon/command_options.hpp"
#include "daemon/config_check.hpp"
#include "daemon/config_file.hpp"
#include "daemon/emulation_managers.hpp"
#include "daemon/help.hpp"
#include "daemon/nearest.hpp"
#include "daemon/schema.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace dpfs::daemon {
namespace {

constexpr std::array<std::string_view, 3> command_names = {
    "serve", "bench", "list-emulation-managers"};

void declare_daemon_options(CLI::App& app) {
    for (const Option<DaemonConfig>& option : daemon_options()) declare(app, option.info);
}

/// The tree of commands, as CLI11 sees it.
struct Grammar {
    Grammar() {
        app.set_help_flag();
        app.add_flag("-h,--help");
        app.add_flag("--version");
        app.allow_extras();
        serve = add_command(app, "serve");
        serve->add_option("--config")->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
        declare_daemon_options(*serve);
        bench = add_command(app, "bench");
        for (const Option<BenchConfig>& option : bench_options()) declare(*bench, option.info);
        list = add_command(app, "list-emulation-managers");
        for (std::size_t i = 0; i < backends.size(); ++i) {
            backends[i] = add_command(*serve, std::string(backend_names[i]));
            declare_daemon_options(*backends[i]);
            for (const Option<DeviceConfig>& option : device_options()) {
                const bool belongs = contains(option.info.backends, static_cast<Backend>(i));
                if (belongs && option.info.key != "backend") declare(*backends[i], option.info);
            }
        }
    }

    static CLI::App* add_command(CLI::App& parent, const std::string& name) {
        CLI::App* const command = parent.add_subcommand(name);
        command->set_help_flag();
        command->add_flag("-h,--help");
        command->allow_extras();
        return command;
    }

    CLI::App app;
    CLI::App* serve = nullptr;
    CLI::App* bench = nullptr;
    CLI::App* list = nullptr;
    std::array<CLI::App*, backend_names.size()> backends = {};
};

bool asks_for_help(const CLI::App& app) {
    return app.count("--help") > 0;
}

/// The options that a command knows, for suggestions.
std::vector<std::string> flags_of(const CLI::App& app) {
    std::vector<std::string> flags;
    for (const CLI::Option* const option : app.get_options()) {
        flags.push_back("--" + option->get_lnames().front());
    }
    return flags;
}

bool is_device_flag(std::string_view flag) {
    return std::ranges::any_of(device_options(), [flag](const Option<DeviceConfig>& option) {
        return flag == flag_of(option.info.key);
    });
}

/// What is wrong with `word`, which `command` ("dpfs serve uring") does not know.
std::unexpected<std::string> unknown_word(const CLI::App& app,
                                          std::string_view word,
                                          std::string_view command) {
    if (!word.starts_with('-')) {
        return wrong(fmt::format("'{}': is not expected here; see {} --help", word, command));
    }
    const std::string_view flag = word.substr(0, word.find('='));
    if (is_device_flag(flag)) {
        return wrong(fmt::format(
            "{}: means nothing to {}; leave it out, or see {} --help", flag, command, command));
    }
    const std::vector<std::string> flags = flags_of(app);
    const std::vector<std::string_view> views(flags.begin(), flags.end());
    return wrong(fmt::format(
        "{}: unknown option{}; see {} --help", flag, suggestion(flag, views), command));
}

Parsed<void> check_required(const CLI::App& app, Backend backend) {
    for (const Option<DeviceConfig>& option : device_options()) {
        const std::string flag = flag_of(option.info.key);
        const CLI::Option* const known = app.get_option_no_throw(flag);
        if (!option.info.required || known == nullptr || known->count() > 0) continue;
        return wrong(fmt::format("{0}: is missing; write dpfs serve {1} {0} {2} …",
                                 flag,
                                 name_of(backend),
                                 option.info.placeholder));
    }
    return {};
}

Parsed<Command> parse_backend(const Grammar& grammar, Backend backend) {
    const CLI::App& app = *grammar.backends[static_cast<std::size_t>(backend)];
    if (asks_for_help(app)) return ShowText{backend_help(backend)};
    const std::string command = fmt::format("dpfs serve {}", name_of(backend));
    if (!app.remaining().empty()) return unknown_word(app, app.remaining().front(), command);
    if (auto checked = check_required(app, backend); !checked) {
        return wrong(std::move(checked.error()));
    }

    Serve serve;
    DeviceConfig& device = serve.config.devices.emplace_back();
    device.backend = backend;
    device.places.set_fallback(fmt::format("serve {}", name_of(backend)));
    for (const CLI::App* const part : {static_cast<const CLI::App*>(grammar.serve), &app}) {
        if (auto taken = take_options(*part, daemon_options(), serve.config.daemon); !taken) {
            return wrong(std::move(taken.error()));
        }
    }
    if (auto taken = take_options(app, device_options(), device); !taken) {
        return wrong(std::move(taken.error()));
    }
    return serve;
}

Parsed<Command> parse_config_serve(const CLI::App& app) {
    const std::vector<std::string>& files = app.get_option("--config")->results();
    if (files.size() > 1) return wrong("--config: is given twice; write it once");
    auto config = load_config(files.front());
    if (!config) return wrong(std::move(config.error()));
    if (auto taken = take_options(app, daemon_options(), config->daemon); !taken) {
        return wrong(std::move(taken.error()));
    }
    return Serve{std::move(*config)};
}

Parsed<Command> parse_serve(const Grammar& grammar) {
    const CLI::App& app = *grammar.serve;
    std::vector<Backend> chosen;
    for (std::size_t i = 0; i < grammar.backends.size(); ++i) {
        if (grammar.backends[i]->parsed()) chosen.push_back(static_cast<Backend>(i));
    }
    if (chosen.size() > 1) {
        return wrong(
            fmt::format("serve: '{}' and '{}' are two back ends; write one, or list both "
                        "in a file and write dpfs serve --config FILE",
                        name_of(chosen[0]),
                        name_of(chosen[1])));
    }
    const bool has_config = app.count("--config") > 0;
    if (asks_for_help(app)) return ShowText{serve_help()};
    if (!app.remaining().empty()) {
        const std::string word = app.remaining().front();
        const std::string flag = word.substr(0, word.find('='));
        if (is_device_flag(flag) && !has_config) {
            return wrong(
                fmt::format("{0}: comes after the back end; write dpfs serve {1} {0} …",
                            flag,
                            fmt::join(backend_names, "|")));
        }
        if (word.starts_with('-') || has_config) return unknown_word(app, word, "dpfs serve");
        return wrong(fmt::format("serve: no back end '{}'{}; write {}",
                                 word,
                                 suggestion(word, backend_names),
                                 listing(backend_names)));
    }
    if (has_config && !chosen.empty()) {
        return wrong(fmt::format("--config: does not go with back end '{}'; write one of them",
                                 name_of(chosen[0])));
    }
    if (has_config) return parse_config_serve(app);
    if (!chosen.empty()) return parse_backend(grammar, chosen[0]);
    return wrong(
        "serve: what? write dpfs serve uring --dir DIR --socket PATH, or dpfs serve --config "
        "FILE");
}

Parsed<Command> parse_bench(const CLI::App& app) {
    if (asks_for_help(app)) return ShowText{bench_help()};
    if (!app.remaining().empty()) {
        return unknown_word(app, app.remaining().front(), "dpfs bench");
    }
    BenchConfig config;
    if (auto taken = take_options(app, bench_options(), config); !taken) {
        return wrong(std::move(taken.error()));
    }
    if (auto checked = check_bench(config); !checked) return wrong(std::move(checked.error()));
    return Bench{config.to_options()};
}

/// "--socket: has no value; write --socket PATH", where `flag` is one of the options.
template <class Owner>
std::optional<std::string> missing_value(std::span<const Option<Owner>> options,
                                         std::string_view flag) {
    for (const Option<Owner>& option : options) {
        if (flag != flag_of(option.info.key)) continue;
        return fmt::format("{0}: has no value; write {0} {1}", flag, option.info.placeholder);
    }
    return std::nullopt;
}

/// CLI11's own complaints; as it only splits the line, they are about missing or surplus
/// values.
std::string reworded(const CLI::ParseError& error) {
    const std::string_view text = error.what();
    const std::string_view flag = text.substr(0, text.find_first_of(": "));
    if (auto message = missing_value(daemon_options(), flag)) return *message;
    if (auto message = missing_value(device_options(), flag)) return *message;
    if (auto message = missing_value(bench_options(), flag)) return *message;
    if (flag == "--config") return "--config: has no value; write --config FILE";
    return fmt::format("{}; see dpfs --help", text);
}

}  // namespace

Parsed<Command> parse_command_line(std::span<const char* const> arguments) {
    Grammar grammar;
    // CLI11 takes its arguments from the back.
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    try {
        grammar.app.parse(std::move(reversed));
    } catch (const CLI::ParseError& error) {
        return wrong(reworded(error));
    }

    const CLI::App& app = grammar.app;
    if (asks_for_help(app)) return ShowText{program_help()};
    if (app.count("--version") > 0) return ShowText{"dpfs " DPFS_VERSION "\n"};
    if (!app.remaining().empty()) {
        const std::string word = app.remaining().front();
        if (word.starts_with('-')) return unknown_word(app, word, "dpfs");
        return wrong(fmt::format("no command '{}'{}; write {}, or dpfs --help",
                                 word,
                                 suggestion(word, command_names),
                                 listing(command_names)));
    }
    if (grammar.list->parsed()) {
        if (asks_for_help(*grammar.list)) return ShowText{list_help()};
        if (!grammar.list->remaining().empty()) {
            return unknown_word(*grammar.list,
                                grammar.list->remaining().front(),
                                "dpfs list-emulation-managers");
        }
        return ShowText{list_emulation_managers()};
    }
    if (grammar.serve->parsed()) return parse_serve(grammar);
    if (grammar.bench->parsed()) return parse_bench(*grammar.bench);
    return wrong("no command; write dpfs serve uring --dir DIR --socket PATH, or dpfs --help");
}

}  // namespace dpfs::daemon
