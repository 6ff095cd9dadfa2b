// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/unique_fd.hpp"

#include <chrono>
#include <string>
#include <sys/types.h>
#include <vector>

namespace dpfs::daemon {

/// The program itself, as an operator runs it. Every wait has a limit, after which the test
/// fails. A process that still runs at the end is killed.
class ChildProcess {
  public:
    static constexpr std::chrono::seconds limit{60};

    /// What the process may not do.
    enum class Denied : unsigned char { nothing, io_uring };

    /// `arguments` without the program's name.
    explicit ChildProcess(std::vector<std::string> arguments, Denied denied = Denied::nothing);
    ChildProcess(const ChildProcess&) = delete;
    ChildProcess& operator=(const ChildProcess&) = delete;
    ~ChildProcess();

    /// The next line on standard output or error; empty: it has ended, or the limit has passed.
    std::string next_output_line();
    std::string next_error_line();
    /// Lines on standard error up to one that has `text`; that one, or empty.
    std::string error_line_with(const std::string& text);

    void signal(int number) const;
    /// Stops one thread for good, as if it hung in the kernel. False: there is none of this
    /// name.
    bool hang_thread(const std::string& name);
    /// Signals it every now and then, as somebody impatient does, until it ends; then wait().
    int signal_until_it_ends(int number);
    /// Waits for its end. The exit code; -1: it did not end, or not by itself.
    int wait();

  private:
    struct Stream {
        UniqueFd fd;
        std::string buffer;
        bool ended = false;
    };
    static std::string next_line(Stream& stream);

    pid_t pid_ = -1;
    pid_t hung_thread_ = -1;
    Stream output_;
    Stream error_;
};

}  // namespace dpfs::daemon
