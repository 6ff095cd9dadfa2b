#include "actors.hpp"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "check.hpp"

namespace posix {

Child::Child(const std::function<void()>& body) : pid_(fork()) {
    if (pid_ < 0) fail("fork: " + errno_name(errno));
    if (pid_ > 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    body();
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

void as(const User& user, const std::function<void()>& body) {
    in_child([&] {
        CHECK_OK(setgroups(user.groups.size(), user.groups.data()));
        CHECK_OK(setresgid(user.gid, user.gid, user.gid));
        CHECK_OK(setresuid(user.uid, user.uid, user.uid));
        body();
    });
}

void in_child(const std::function<void()>& body) { Child(body).finish(); }

int signal_from(const std::function<void()>& body) { return Child(body).finish_by_signal(); }

void in_parallel(int count, const std::function<void(int index)>& body) {
    const Gate start;
    std::vector<Child> children;
    for (int index = 0; index < count; ++index) {
        children.emplace_back([&, index] {
            start.wait();
            body(index);
        });
    }
    for (int index = 0; index < count; ++index) start.pass();
    for (const Child& child : children) child.finish();
}

Gate::Gate() {
    int ends[2];
    CHECK_OK(pipe2(ends, O_CLOEXEC));
    read_end_ = ends[0];
    write_end_ = ends[1];
}

void Gate::pass() const { CHECK_RETURNS(1, write(write_end_, "x", 1)); }

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
