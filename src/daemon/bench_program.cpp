// SPDX-License-Identifier: Apache-2.0
#include "daemon/bench_program.hpp"

#include "bench/report.hpp"
#include "bench/run.hpp"
#include "daemon/daemon.hpp"

#include <fmt/format.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <unistd.h>

namespace dpfs::daemon {
namespace {

/// The one thing that a signal handler may reach; there is one bench in a process.
std::atomic<bool> interrupted = false;
static_assert(std::atomic<bool>::is_always_lock_free);

void interrupt(int /*signal*/) {
    interrupted.store(true, std::memory_order_relaxed);
}

void take_signals() {
    struct sigaction action = {};
    action.sa_handler = interrupt;
    // A second signal ends the process at once.
    action.sa_flags = static_cast<int>(SA_RESTART | SA_RESETHAND);
    (void)::sigaction(SIGINT, &action, nullptr);
    (void)::sigaction(SIGTERM, &action, nullptr);
    (void)::signal(SIGPIPE, SIG_IGN);
}

/// Writes over one line of a terminal.
class TerminalLine final : public bench::Observer {
  public:
    void progress(const std::string& line) override {
        if (!terminal_) return;
        fmt::print(stderr, "\r\033[K{}", line);
        (void)std::fflush(stderr);
    }

  private:
    bool terminal_ = ::isatty(STDERR_FILENO) == 1;
};

}  // namespace

int run_bench(const bench::Options& options) {
    take_signals();
    TerminalLine line;
    const auto results = bench::run(options, line, interrupted);
    line.progress("");
    if (!results) {
        print_error(results.error());
        return exit_failed;
    }
    fmt::print("{}",
               options.json ? bench::json_report(*results, options)
                            : bench::text_report(*results, options));
    return std::fflush(stdout) == 0 ? exit_done : exit_failed;
}

}  // namespace dpfs::daemon
