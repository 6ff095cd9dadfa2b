// SPDX-License-Identifier: Apache-2.0
#include "actors.hpp"

#include "check.hpp"

#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace posix {

pid_t Child::fork_child() {
    const pid_t pid = fork();
    if (pid < 0) fail("fork: " + errno_name(errno));
    if (pid == 0) prctl(PR_SET_PDEATHSIG, SIGKILL);
    return pid;
}

void Child::leave() {
    _exit(exit_passed);
}

void Child::finish() const {
    int status = 0;
    CHECK_RETURNS(pid_, waitpid(pid_, &status, 0));
    if (WIFSIGNALED(status)) {
        fail(std::string("expected a normal end of a child, came SIG") +
             sigabbrev_np(WTERMSIG(status)));
    }
    // The child has already reported why.
    if (WEXITSTATUS(status) != exit_passed) _exit(WEXITSTATUS(status));
}

int Child::finish_by_signal() const {
    int status = 0;
    CHECK_RETURNS(pid_, waitpid(pid_, &status, 0));
    if (WIFSIGNALED(status)) return WTERMSIG(status);
    if (WEXITSTATUS(status) != exit_passed) _exit(WEXITSTATUS(status));
    return 0;
}

void become(const User& user) {
    CHECK_OK(setgroups(user.groups.size(), user.groups.data()));
    CHECK_OK(setresgid(user.gid, user.gid, user.gid));
    CHECK_OK(setresuid(user.uid, user.uid, user.uid));
}

Gate::Gate() {
    int ends[2];
    CHECK_OK(pipe2(ends, O_CLOEXEC));
    read_end_ = ends[0];
    write_end_ = ends[1];
}

void Gate::pass() const {
    CHECK_RETURNS(1, write(write_end_, "x", 1));
}

void Gate::wait() const {
    char byte = 0;
    CHECK_RETURNS(1, read(read_end_, &byte, 1));
}

bool Gate::passed_within(int limit_ms) const {
    pollfd entry = {read_end_, POLLIN, 0};
    if (poll(&entry, 1, limit_ms) != 1) return false;
    wait();
    return true;
}

}  // namespace posix
