// SPDX-License-Identifier: Apache-2.0

// execve(2) of files in the directory: copies of this binary, so that nothing else is needed.

#include "cases.hpp"

#include <cstdlib>
#include <string_view>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

namespace posix {
namespace {

constexpr int exit_by_copy = 42;

/// A copy of the running binary under this name.
void make_program(const char* path, mode_t mode = 0755) {
    make_file(path, content_of("/proc/self/exe"), mode);
}

/// What becomes of a child that executes `path` with `--be what argument`: its exit code, or
/// the negated errno of execve.
int execute(const char* path, const char* what, const std::string& argument = "") {
    const Pipe failure = make_pipe();
    const pid_t pid = CHECK_OK(fork());
    if (pid == 0) {
        const char* arguments[] = {path, "--be", what, argument.c_str(), nullptr};
        char* none[] = {nullptr};
        execve(path, const_cast<char**>(arguments), none);
        const int error = errno;
        if (write(failure.write_end, &error, sizeof error) < 0) _exit(1);
        _exit(0);
    }
    int status = 0;
    CHECK_RETURNS(pid, waitpid(pid, &status, 0));
    CHECK_OK(close(failure.write_end));
    int error = 0;
    const ssize_t size = CHECK_OK(read(failure.read_end, &error, sizeof error));
    if (size > 0) return -error;
    if (WIFSIGNALED(status)) fail("expected an exit of the program, came a signal");
    return WEXITSTATUS(status);
}

void check_execution_fails(int error, const char* path) {
    const int result = execute(path, "quick");
    errno = -result;
    CHECK_FAILS(error, result < 0 ? -1 : 0);
}

bool mount_ignores_set_id() {
    struct statvfs fs = {};
    CHECK_OK(statvfs(".", &fs));
    return (fs.f_flag & ST_NOSUID) != 0;
}

void add_permission(Suite& suite) {
    suite.add("exec.runs_a_program", [] {
        make_program("x");
        CHECK_SAME(exit_by_copy, execute("x", "quick"));
        CHECK_SAME(exit_by_copy, execute("./x", "quick"));
    });
    suite.add("exec.without_x_bit_gives_EACCES", [] {
        make_program("x", 0666);
        check_execution_fails(EACCES, "x");
        as(alice, [] { check_execution_fails(EACCES, "x"); });
    });
    suite.add("exec.needs_no_read_permission", [] {
        make_program("x", 0711);
        as(alice, [] {
            CHECK_FAILS(EACCES, open("x", O_RDONLY));
            CHECK_SAME(exit_by_copy, execute("x", "quick"));
        });
    });
    suite.add("exec.x_bit_of_another_class_is_not_enough", [] {
        make_program("x", 0766);
        as(alice, [] { check_execution_fails(EACCES, "x"); });
    });
    suite.add("exec.of_directory_or_node_gives_EACCES", [] {
        make_dir("d");
        CHECK_OK(mkfifo("p", 0777));
        check_execution_fails(EACCES, "d");
        check_execution_fails(EACCES, "p");
    });
    suite.add("exec.of_garbage_gives_ENOEXEC", [] {
        make_file("x", "no program", 0755);
        make_file("empty", "", 0755);
        check_execution_fails(ENOEXEC, "x");
        check_execution_fails(ENOEXEC, "empty");
    });
    suite.add("exec.by_descriptor_works", [] {
        make_program("x");
        const int fd = open_file("x", O_PATH);
        CHECK_SAME(exit_by_copy,
                   execute(("/proc/self/fd/" + std::to_string(fd)).c_str(), "quick"));
    });
}

void add_scripts(Suite& suite) {
    suite.add("exec.script_runs_its_interpreter", [] {
        make_program("x");
        // Of the script's own arguments the interpreter sees the name first.
        make_file("script", "#!x --be\n", 0755);
        CHECK_SAME(exit_by_copy, execute("script", "quick"));
    });
    suite.add("exec.script_with_missing_interpreter_gives_ENOENT", [] {
        make_file("script", "#!missing\n", 0755);
        check_execution_fails(ENOENT, "script");
    });
    suite.add("exec.script_with_unexecutable_interpreter_gives_EACCES", [] {
        make_program("x", 0644);
        make_file("script", "#!x\n", 0755);
        check_execution_fails(EACCES, "script");
    });
    suite.add("exec.script_that_interprets_itself_gives_ELOOP", [] {
        make_file("script", "#!script\n", 0755);
        check_execution_fails(ELOOP, "script");
    });
}

void add_set_id(Suite& suite) {
    suite.add("exec.suid_program_runs_as_its_owner", [] {
        make_program("x");
        CHECK_OK(chown("x", bob_id, bob_id));
        CHECK_OK(chmod("x", 04755));
        const uid_t expected = mount_ignores_set_id() ? alice_id : bob_id;
        as(alice, [=] {
            CHECK_SAME(exit_by_copy, execute("x", "effective_user", std::to_string(expected)));
        });
    });
    suite.add("exec.sgid_program_runs_as_its_group", [] {
        make_program("x");
        CHECK_OK(chown("x", bob_id, team_id));
        CHECK_OK(chmod("x", 02755));
        const gid_t expected = mount_ignores_set_id() ? alice_id : team_id;
        as(alice, [=] {
            CHECK_SAME(exit_by_copy, execute("x", "effective_group", std::to_string(expected)));
        });
    });
    suite.add("exec.suid_bit_that_a_write_cleared_has_no_effect", [] {
        make_program("x", 04777);
        as(alice, [] {
            const int fd = open_file("x", O_WRONLY);
            write_at(fd, fstat_of(fd).st_size, "x");
            CHECK_OK(close(fd));
            CHECK_SAME(exit_by_copy, execute("x", "effective_user", std::to_string(alice_id)));
        });
    });
}

/// "x" runs until the pipe that is its standard input is closed.
class Running {
  public:
    Running() {
        make_program("x");
        const Pipe input = make_pipe();
        const Pipe output = make_pipe();
        if (CHECK_OK(fork()) == 0) {
            dup2(input.read_end, STDIN_FILENO);
            dup2(output.write_end, STDOUT_FILENO);
            execl("x", "x", "--be", "reader", nullptr);
            _exit(1);
        }
        CHECK_OK(close(output.write_end));
        char byte = 0;
        CHECK_RETURNS(1, read(output.read_end, &byte, 1));
        input_ = input.write_end;
    }
    void end() {
        CHECK_OK(close(input_));
        int status = 0;
        CHECK_OK(wait(&status));
        CHECK_SAME(exit_by_copy, WEXITSTATUS(status));
    }

  private:
    int input_ = -1;
};

void add_busy(Suite& suite) {
    suite.add("exec.running_program_opened_for_writing_gives_ETXTBSY", [] {
        Running running;
        CHECK_FAILS(ETXTBSY, open("x", O_WRONLY));
        CHECK_FAILS(ETXTBSY, open("x", O_RDWR));
        CHECK_FAILS(ETXTBSY, open("x", O_WRONLY | O_TRUNC));
        CHECK_OK(open("x", O_RDONLY));
        running.end();
        CHECK_OK(open("x", O_WRONLY));
    });
    suite.add("exec.running_program_truncated_gives_ETXTBSY", [] {
        Running running;
        CHECK_FAILS(ETXTBSY, truncate("x", 0));
        running.end();
        CHECK_OK(truncate("x", 0));
    });
    suite.add("exec.running_program_can_be_renamed_replaced_and_unlinked", [] {
        Running running;
        CHECK_OK(rename("x", "y"));
        make_file("z");
        CHECK_OK(rename("z", "y"));
        CHECK_OK(unlink("y"));
        running.end();
    });
    suite.add("exec.program_open_for_writing_gives_ETXTBSY", [] {
        make_program("x");
        const int fd = open_file("x", O_WRONLY);
        check_execution_fails(ETXTBSY, "x");
        CHECK_OK(close(fd));
        CHECK_SAME(exit_by_copy, execute("x", "quick"));
    });
    suite.add("exec.program_written_in_a_row_is_the_new_one", [] {
        for (int round = 0; round < 3; ++round) {
            make_program("new");
            CHECK_OK(rename("new", "x"));
            CHECK_SAME(exit_by_copy, execute("x", "quick"));
        }
    });
}

}  // namespace

void add_exec_cases(Suite& suite) {
    add_permission(suite);
    add_scripts(suite);
    add_set_id(suite);
    add_busy(suite);
}

int be(int argc, char** argv) {
    const std::string_view what = argc > 2 ? argv[2] : "";
    const long number = argc > 3 ? std::atol(argv[3]) : -1;
    if (what == "effective_user") return geteuid() == number ? exit_by_copy : 1;
    if (what == "effective_group") return getegid() == number ? exit_by_copy : 1;
    if (what == "reader") {
        char byte = 'x';
        if (write(STDOUT_FILENO, &byte, 1) != 1) return 1;
        return read(STDIN_FILENO, &byte, 1) == 0 ? exit_by_copy : 1;
    }
    return exit_by_copy;
}

}  // namespace posix
