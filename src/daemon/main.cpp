// SPDX-License-Identifier: Apache-2.0
#include "base/log.hpp"
#include "daemon/bench_program.hpp"
#include "daemon/command_line.hpp"
#include "daemon/daemon.hpp"
#include "daemon/signals.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <span>
#include <utility>

int main(int argument_count, char** arguments) {
    using namespace dpfs;
    using namespace dpfs::daemon;

    const std::span<const char* const> all(arguments, static_cast<std::size_t>(argument_count));
    auto command = parse_command_line(all.subspan(argument_count > 0 ? 1 : 0));
    if (!command) {
        print_error(command.error());
        return exit_usage;
    }
    if (const auto* const shown = std::get_if<ShowText>(&*command)) {
        fmt::print("{}", shown->text);
        return std::fflush(stdout) == 0 ? exit_done : exit_failed;
    }
    if (const auto* const bench = std::get_if<Bench>(&*command)) {
        return run_bench(bench->options);
    }

    Config& config = std::get<Serve>(*command).config;
    const auto sink = make_stderr_sink(config.daemon.log_level, config.daemon.log_format);
    auto signals = Signals::make();  // before any thread is there
    if (!signals) {
        print_error(fmt::format("signals cannot be read ({})", errno_name(signals.error())));
        return exit_failed;
    }
    return Daemon(std::move(config), *sink, *signals).run();
}
