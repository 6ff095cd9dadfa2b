// SPDX-License-Identifier: Apache-2.0
#include "child_process.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace dpfs::daemon {
namespace {

using Clock = std::chrono::steady_clock;

bool wait_readable(int fd, Clock::time_point until) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
    pollfd waited = {.fd = fd, .events = POLLIN, .revents = 0};
    return left.count() > 0 && ::poll(&waited, 1, static_cast<int>(left.count())) > 0;
}

/// As container runtimes do it: io_uring_setup(2) gives EPERM from now on.
void deny_io_uring() {
    std::array<sock_filter, 4> filter = {{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    }};
    const sock_fprog program = {.len = filter.size(), .filter = filter.data()};
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

}  // namespace

ChildProcess::ChildProcess(std::vector<std::string> arguments, Denied denied) {
    std::string program = DPFS_PROGRAM;
    std::vector<char*> words = {program.data()};
    for (std::string& word : arguments) words.push_back(word.data());
    words.push_back(nullptr);
    std::array<int, 2> output = {};
    std::array<int, 2> error = {};
    if (::pipe2(output.data(), O_CLOEXEC) != 0 || ::pipe2(error.data(), O_CLOEXEC) != 0) return;
    pid_ = ::fork();
    if (pid_ == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (denied == Denied::io_uring) deny_io_uring();
        ::dup2(output[1], STDOUT_FILENO);
        ::dup2(error[1], STDERR_FILENO);
        ::execv(words[0], words.data());
        ::_exit(127);
    }
    output_.fd.reset(output[0]);
    error_.fd.reset(error[0]);
    ::close(output[1]);
    ::close(error[1]);
}

ChildProcess::~ChildProcess() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
}

std::string ChildProcess::next_line(Stream& stream) {
    const auto until = Clock::now() + limit;
    while (true) {
        const std::size_t end = stream.buffer.find('\n');
        if (end != std::string::npos) {
            std::string line = stream.buffer.substr(0, end);
            stream.buffer.erase(0, end + 1);
            return line;
        }
        if (stream.ended || !wait_readable(stream.fd.get(), until)) return {};
        std::array<char, 4096> block;
        const ssize_t size = ::read(stream.fd.get(), block.data(), block.size());
        if (size <= 0)
            stream.ended = true;
        else
            stream.buffer.append(block.data(), static_cast<std::size_t>(size));
    }
}

std::string ChildProcess::next_output_line() {
    return next_line(output_);
}
std::string ChildProcess::next_error_line() {
    return next_line(error_);
}

std::string ChildProcess::error_line_with(const std::string& text) {
    while (true) {
        std::string line = next_error_line();
        if (line.empty() || line.find(text) != line.npos) return line;
    }
}

void ChildProcess::signal(int number) const {
    ::kill(pid_, number);
}

bool ChildProcess::hang_thread(const std::string& name) {
    const std::filesystem::path tasks = "/proc/" + std::to_string(pid_) + "/task";
    for (const auto& task : std::filesystem::directory_iterator(tasks)) {
        std::string found;
        std::getline(std::ifstream(task.path() / "comm"), found);
        if (found != name) continue;
        hung_thread_ = std::stoi(task.path().filename());
        return ::ptrace(PTRACE_SEIZE, hung_thread_, nullptr, nullptr) == 0 &&
               ::ptrace(PTRACE_INTERRUPT, hung_thread_, nullptr, nullptr) == 0 &&
               ::waitpid(hung_thread_, nullptr, __WALL) == hung_thread_;
    }
    return false;
}

int ChildProcess::signal_until_it_ends(int number) {
    const auto until = Clock::now() + limit;
    const UniqueFd handle(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    do {
        signal(number);
        // A traced thread's end is reported to us first; the process ends after that.
        if (hung_thread_ >= 0 && ::waitpid(hung_thread_, nullptr, __WALL | WNOHANG) > 0) {
            hung_thread_ = -1;
        }
    } while (!wait_readable(handle.get(), Clock::now() + std::chrono::milliseconds(50)) &&
             Clock::now() < until);
    return wait();
}

int ChildProcess::wait() {
    if (hung_thread_ >= 0) ::waitpid(hung_thread_, nullptr, __WALL);  // as above
    const UniqueFd handle(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    if (!wait_readable(handle.get(), Clock::now() + limit)) return -1;
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace dpfs::daemon
