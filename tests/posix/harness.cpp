// SPDX-License-Identifier: Apache-2.0
#include "harness.hpp"

#include "check.hpp"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <linux/fs.h>
#include <poll.h>
#include <string_view>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace posix {
namespace {

enum class Verdict { pass, fail, skip };

struct CaseResult {
    Verdict verdict;
    std::string detail;
};

/// Removes `name` below `parent` and everything in it, a directory or not. Errors are left to
/// the caller's last attempt: a directory that stays is a finding about the file system.
void remove_tree(int parent, const char* name) {
    const int dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir < 0) {
        unlinkat(parent, name, 0);
        return;
    }
    DIR* stream = fdopendir(dir);
    while (const dirent* entry = readdir(stream)) {
        const std::string_view entry_name = entry->d_name;
        if (entry_name == "." || entry_name == "..") continue;
        const bool may_be_directory = entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN;
        if (!may_be_directory && unlinkat(dir, entry->d_name, 0) == 0) continue;
        remove_tree(dir, entry->d_name);
    }
    closedir(stream);
    unlinkat(parent, name, AT_REMOVEDIR);
}

/// A case that was killed may have left an immutable or append-only file behind.
void clear_inode_flags(int parent, const char* name) {
    const int fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return;
    int flags = 0;
    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0 &&
        (flags & (FS_IMMUTABLE_FL | FS_APPEND_FL)) != 0) {
        flags &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
        ioctl(fd, FS_IOC_SETFLAGS, &flags);
    }
    struct stat st = {};
    DIR* stream = fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) ? fdopendir(fd) : nullptr;
    if (stream == nullptr) {
        close(fd);
        return;
    }
    while (const dirent* entry = readdir(stream)) {
        const std::string_view entry_name = entry->d_name;
        if (entry_name != "." && entry_name != "..") clear_inode_flags(fd, entry->d_name);
    }
    closedir(stream);
}

/// Returns 0 or the errno of the last attempt. A few attempts, because a process that has
/// just been killed may still be closing its files.
int remove_case_directory(const std::string& path) {
    int error = 0;
    for (int attempt = 0; attempt < 5; ++attempt) {
        if (attempt > 0) poll(nullptr, 0, 100);  // nothing tells when it is over
        if (attempt == 3) clear_inode_flags(AT_FDCWD, path.c_str());
        remove_tree(AT_FDCWD, path.c_str());
        if (access(path.c_str(), F_OK) != 0 && errno == ENOENT) return 0;
        error = rmdir(path.c_str()) == 0 ? 0 : errno;
        if (error == 0) return 0;
    }
    return error;
}

[[noreturn]] void run_in_child(const Case& test, const std::string& directory, int report_fd) {
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    constexpr rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    const int null = open("/dev/null", O_RDWR);
    if (null >= 0) {
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        // A process that cannot be killed must not keep the runner's pipes open.
        dup2(null, STDERR_FILENO);
    }
    set_report_descriptor(report_fd);
    umask(022);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    if (chdir(directory.c_str()) != 0)
        fail("chdir into the case's directory: " + errno_name(errno));
    test.body->run();
    _exit(exit_passed);
}

/// Waits for `pid`, at most `limit_ms`; false where it is still running then.
bool wait_for(pid_t pid, int limit_ms, int* status) {
    const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
    if (pidfd < 0) return waitpid(pid, status, 0) == pid;
    pollfd entry = {pidfd, POLLIN, 0};
    const int ready = poll(&entry, 1, limit_ms);
    close(pidfd);
    return ready == 1 && waitpid(pid, status, 0) == pid;
}

/// Ends what a case has left running. The runner is the reaper of all its descendants, and
/// waits only for those of this case: one that hangs must not slow down the next cases.
void end_group(pid_t group) {
    kill(-group, SIGKILL);
    sigset_t child_ended;
    sigemptyset(&child_ended);
    sigaddset(&child_ended, SIGCHLD);  // blocked by run()
    constexpr timespec limit = {2, 0};
    for (;;) {
        const pid_t reaped = waitpid(-group, nullptr, WNOHANG);
        if (reaped < 0) return;
        if (reaped == 0 && sigtimedwait(&child_ended, nullptr, &limit) < 0) return;
    }
}

CaseResult from_report(int report_fd, int status) {
    char buffer[8192];
    const ssize_t size = read(report_fd, buffer, sizeof buffer);
    const std::string_view text(buffer, size > 0 ? static_cast<std::size_t>(size) : 0);
    const std::string_view line = text.substr(0, text.find('\n'));
    if (!line.empty()) {
        const Verdict verdict = line.front() == 'S' ? Verdict::skip : Verdict::fail;
        return {verdict, std::string(line.substr(1))};
    }
    if (WIFSIGNALED(status)) {
        const char* name = sigabbrev_np(WTERMSIG(status));
        return {
            Verdict::fail,
            std::string("expected a normal end, came SIG") + (name != nullptr ? name : "?")};
    }
    if (WEXITSTATUS(status) == exit_passed) return {Verdict::pass, ""};
    return {Verdict::fail, "expected exit code 0, came " + std::to_string(WEXITSTATUS(status))};
}

CaseResult run_case(const Case& test, const std::string& directory, int limit_s) {
    if (mkdir(directory.c_str(), 0755) != 0) {
        return {Verdict::fail, "mkdir of the case's directory: " + errno_name(errno)};
    }
    int report[2];
    if (pipe2(report, O_CLOEXEC | O_NONBLOCK) != 0) return {Verdict::fail, "pipe2"};
    const pid_t pid = fork();
    if (pid == 0) run_in_child(test, directory, report[1]);
    if (pid < 0) return {Verdict::fail, "fork: " + errno_name(errno)};
    setpgid(pid, pid);

    int status = 0;
    CaseResult result = {};
    if (wait_for(pid, limit_s * 1000, &status)) {
        result = from_report(report[0], status);
    } else {
        kill(-pid, SIGKILL);
        const bool killed = wait_for(pid, 2000, &status);
        result = {Verdict::fail,
                  std::string("expected an end in time, came a hang") +
                      (killed ? "" : " that SIGKILL does not end")};
    }
    end_group(pid);
    close(report[0]);
    close(report[1]);

    const int error = remove_case_directory(directory);
    if (error != 0 && result.verdict != Verdict::fail) {
        result = {Verdict::fail, "cleaning up: expected success, came " + errno_name(error)};
    }
    return result;
}

void print(const Case& test, const CaseResult& result) {
    switch (result.verdict) {
        case Verdict::pass:
            std::printf("PASS %s\n", test.name.c_str());
            break;
        case Verdict::fail:
            std::printf("FAIL %s: %s\n", test.name.c_str(), result.detail.c_str());
            break;
        case Verdict::skip:
            std::printf("SKIP %s: %s\n", test.name.c_str(), result.detail.c_str());
            break;
    }
    std::fflush(stdout);
}

}  // namespace

void Suite::add(const char* name, void (*body)()) {
    add_row(name, body);
}

void Suite::add_long(const char* name, int limit_factor, void (*body)()) {
    add_row(name, body);
    cases_.back().limit_factor = limit_factor;
}

bool is_chosen(const Case& test, const RunOptions& options) {
    if (options.quick && test.limit_factor > 1) return false;
    return fnmatch(options.filter.c_str(), test.name.c_str(), 0) == 0;
}

int run(const Suite& suite, const RunOptions& options) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    sigset_t child_ended;
    sigemptyset(&child_ended);
    sigaddset(&child_ended, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child_ended, nullptr);
    const std::string base =
        options.directory + "/posix_conformance." + std::to_string(getpid());
    if (mkdir(base.c_str(), 0755) != 0 || chmod(base.c_str(), 0755) != 0) {
        std::fprintf(stderr,
                     "posix_conformance: cannot make a directory in %s: %s\n",
                     options.directory.c_str(),
                     std::strerror(errno));
        return 2;
    }
    int counts[3] = {};
    int number = 0;
    for (const Case& test : suite.cases()) {
        if (!is_chosen(test, options)) continue;
        const std::string directory = base + "/" + std::to_string(++number);
        const CaseResult result =
            run_case(test, directory, options.limit_s * test.limit_factor);
        ++counts[static_cast<int>(result.verdict)];
        print(test, result);
    }
    rmdir(base.c_str());
    std::printf("%d passed, %d failed, %d skipped\n", counts[0], counts[1], counts[2]);
    if (number == 0) return 2;
    return counts[1] == 0 ? 0 : 1;
}

}  // namespace posix
