// SPDX-License-Identifier: Apache-2.0
// Checks of single-file semantics. Usage: file_checks NAME, in an empty folder of the file
// system under test. Exit 0, or one line that says which statement was not true.

#include "check.hpp"

#include <cstdint>
#include <fcntl.h>
#include <map>
#include <string>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace {

constexpr int writers_count = 8;
constexpr size_t block_size = 4096;

void write_text(int fd, const std::string& text) {
    CHECK(write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
}

void create(const char* path, const std::string& text) {
    const int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);
    CHECK(fd >= 0);
    write_text(fd, text);
    CHECK(close(fd) == 0);
}

std::string read_all(int fd) {
    CHECK(lseek(fd, 0, SEEK_SET) == 0);
    std::string text;
    char block[65536];
    ssize_t n = 0;
    while ((n = read(fd, block, sizeof block)) > 0) text.append(block, static_cast<size_t>(n));
    CHECK(n == 0);
    return text;
}

std::string read_path(const char* path) {
    const int fd = open(path, O_RDONLY);
    CHECK(fd >= 0);
    std::string text = read_all(fd);
    close(fd);
    return text;
}

struct stat stat_of(int fd) {
    struct stat st = {};
    CHECK(fstat(fd, &st) == 0);
    return st;
}

/// Runs `body(index)` in processes at the same time; each must exit 0.
template <typename Body>
void in_processes(int count, const Body& body) {
    std::vector<pid_t> children;
    for (int index = 0; index < count; ++index) {
        const pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            body(index);
            std::_Exit(0);
        }
        children.push_back(child);
    }
    for (const pid_t child : children) {
        int status = 0;
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(status == 0);
    }
}

void unlinked_file_lives_while_open() {
    create("file", "before");
    const int fd = open("file", O_RDWR);
    CHECK(fd >= 0);
    CHECK(unlink("file") == 0);
    struct stat st = {};
    CHECK(stat("file", &st) != 0 && errno == ENOENT);
    CHECK(stat_of(fd).st_nlink == 0);
    CHECK(read_all(fd) == "before");
    write_text(fd, " and after");
    CHECK(read_all(fd) == "before and after");
    CHECK(ftruncate(fd, 3) == 0);
    CHECK(stat_of(fd).st_size == 3);
    CHECK(fchmod(fd, 0600) == 0);
    CHECK((stat_of(fd).st_mode & 0777) == 0600);
    create("file", "another");  // the same name is another file now
    CHECK(read_all(fd) == "bef");
    CHECK(read_path("file") == "another");
    CHECK(close(fd) == 0);
}

void removed_folder_lives_while_open() {
    CHECK(mkdir("folder", 0755) == 0);
    const int fd = open("folder", O_RDONLY | O_DIRECTORY);
    CHECK(fd >= 0);
    CHECK(rmdir("folder") == 0);
    CHECK(openat(fd, "new", O_CREAT | O_WRONLY, 0644) < 0 && errno == ENOENT);
    CHECK(S_ISDIR(stat_of(fd).st_mode));
    CHECK(close(fd) == 0);
}

void rename_replaces_an_open_file() {
    create("old", "old content");
    create("new", "new content");
    const int fd = open("old", O_RDWR);
    CHECK(fd >= 0);
    CHECK(rename("new", "old") == 0);
    CHECK(read_all(fd) == "old content");
    write_text(fd, "!");
    CHECK(read_path("old") == "new content");
    CHECK(access("new", F_OK) != 0 && errno == ENOENT);
    create("a", "a");
    create("b", "b");
    CHECK(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE) != 0 && errno == EEXIST);
    CHECK(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE) == 0);
    CHECK(read_path("a") == "b" && read_path("b") == "a");
    CHECK(close(fd) == 0);
}

void* map(int fd, size_t size, int protection, int flags) {
    void* memory = mmap(nullptr, size, protection, flags, fd, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

void shared_mapping_reaches_the_file() {
    const size_t size = 64 * block_size;
    create("file", std::string(size, 'x'));
    const int fd = open("file", O_RDWR);
    CHECK(fd >= 0);
    char* memory = static_cast<char*>(map(fd, size, PROT_READ | PROT_WRITE, MAP_SHARED));
    in_processes(writers_count, [&](int index) {
        const size_t part = size / writers_count;
        std::memset(memory + static_cast<size_t>(index) * part, 'a' + index, part);
        CHECK(msync(memory, size, MS_SYNC) == 0);
    });
    const std::string text = read_path("file");
    for (size_t at = 0; at < size; ++at) {
        CHECK(text[at] == static_cast<char>('a' + at / (size / writers_count)));
    }
    CHECK(pwrite(fd, "written", 7, 100) == 7);
    CHECK(std::memcmp(memory + 100, "written", 7) == 0);
    CHECK(munmap(memory, size) == 0 && close(fd) == 0);
}

void private_mapping_stays_private() {
    create("file", std::string(2 * block_size, 'x'));
    const int fd = open("file", O_RDONLY);
    CHECK(fd >= 0);
    char* memory =
        static_cast<char*>(map(fd, 2 * block_size, PROT_READ | PROT_WRITE, MAP_PRIVATE));
    memory[0] = 'y';
    CHECK(memory[1] == 'x' && memory[block_size] == 'x');
    CHECK(read_path("file") == std::string(2 * block_size, 'x'));
    CHECK(munmap(memory, 2 * block_size) == 0 && close(fd) == 0);
}

void direct_io_bypasses_and_agrees_with_the_cache() {
    const size_t size = 256 * block_size;
    void* raw = nullptr;
    CHECK(posix_memalign(&raw, block_size, size) == 0);
    char* buffer = static_cast<char*>(raw);
    const int direct = open("file", O_CREAT | O_RDWR | O_DIRECT, 0644);
    const int cached = open("file", O_RDWR);
    CHECK(direct >= 0 && cached >= 0);
    for (size_t at = 0; at < size; ++at) buffer[at] = static_cast<char>(at * 31 >> 3);
    CHECK(pwrite(direct, buffer, size, 0) == static_cast<ssize_t>(size));
    const std::string seen = read_all(cached);
    CHECK(seen.size() == size && std::memcmp(seen.data(), buffer, size) == 0);
    CHECK(pwrite(cached, "cached", 6, block_size) == 6);
    CHECK(fsync(cached) == 0);
    CHECK(pread(direct, buffer, block_size, block_size) == static_cast<ssize_t>(block_size));
    CHECK(std::memcmp(buffer, "cached", 6) == 0);
    CHECK(pread(direct, buffer, size, static_cast<off_t>(size)) ==
          0);  // at the end of the file
    CHECK(close(direct) == 0 && close(cached) == 0);
    std::free(raw);
}

void append_never_overwrites() {
    constexpr int lines_count = 200;
    create("log", "");
    in_processes(writers_count, [](int index) {
        const int fd = open("log", O_WRONLY | O_APPEND);
        CHECK(fd >= 0);
        CHECK(lseek(fd, 0, SEEK_SET) == 0);  // O_APPEND does not care where the offset is
        for (int line = 0; line < lines_count; ++line) {
            char text[32];
            std::snprintf(text, sizeof text, "writer %d line %06d\n", index, line);
            write_text(fd, text);
        }
        CHECK(close(fd) == 0);
    });
    const std::string text = read_path("log");
    const size_t line_size = std::strlen("writer 0 line 000000\n");
    CHECK(text.size() == line_size * writers_count * lines_count);
    std::map<int, int> next;  // each writer's lines are all there, whole and in order
    for (size_t at = 0; at < text.size(); at += line_size) {
        int writer = -1;
        int line = -1;
        CHECK(std::sscanf(text.c_str() + at, "writer %d line %d\n", &writer, &line) == 2);
        CHECK(next[writer]++ == line);
    }
}

void unnamed_file_can_get_a_name() {
    const int fd = open(".", O_TMPFILE | O_RDWR, 0640);
    CHECK(fd >= 0);
    CHECK(stat_of(fd).st_nlink == 0);
    write_text(fd, "unnamed");
    const std::string self = "/proc/self/fd/" + std::to_string(fd);
    CHECK(linkat(AT_FDCWD, self.c_str(), AT_FDCWD, "named", AT_SYMLINK_FOLLOW) == 0);
    CHECK(read_path("named") == "unnamed");
    CHECK(stat_of(fd).st_nlink == 1 && (stat_of(fd).st_mode & 07777) == 0640);
    const int lost = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600);
    CHECK(lost >= 0);
    const std::string other = "/proc/self/fd/" + std::to_string(lost);
    CHECK(linkat(AT_FDCWD, other.c_str(), AT_FDCWD, "lost", AT_SYMLINK_FOLLOW) != 0);
    CHECK(close(fd) == 0 && close(lost) == 0);
}

void file_beyond_four_gib() {
    constexpr off_t far = (off_t{5} << 30) + 123;
    const int fd = open("big", O_CREAT | O_RDWR, 0644);
    CHECK(fd >= 0);
    CHECK(pwrite(fd, "first", 5, 0) == 5);
    CHECK(pwrite(fd, "far", 3, far) == 3);
    CHECK(fsync(fd) == 0);
    CHECK(stat_of(fd).st_size == far + 3);
    CHECK(stat_of(fd).st_blocks < 1024);  // 512-byte units: it stayed sparse
    char text[8] = {};
    CHECK(pread(fd, text, 8, far) == 3 && std::memcmp(text, "far", 3) == 0);
    CHECK(pread(fd, text, 8, far - 8) == 8 && std::memcmp(text, "\0\0\0\0\0\0\0\0", 8) == 0);
    const off_t hole = lseek(fd, 0, SEEK_HOLE);
    CHECK(hole >= 5 && hole <= off_t{1} << 20);
    const off_t data = lseek(fd, hole, SEEK_DATA);
    CHECK(data > hole && data <= far);
    CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, block_size) == 0);
    CHECK(pread(fd, text, 5, 0) == 5 && std::memcmp(text, "\0\0\0\0\0", 5) == 0);
    CHECK(ftruncate(fd, (off_t{4} << 30) + 1) == 0);
    CHECK(stat_of(fd).st_size == (off_t{4} << 30) + 1);
    CHECK(close(fd) == 0);
}

mode_t mode_of(const char* path) {
    struct stat st = {};
    CHECK(stat(path, &st) == 0);
    return st.st_mode & 07777;
}

/// Runs `body` in a process of another user.
template <typename Body>
void as_user(uid_t user, const Body& body) {
    in_processes(1, [&](int) {
        CHECK(setgid(user) == 0 && setuid(user) == 0);
        body();
    });
}

void set_id_bits_go_on_change() {
    constexpr mode_t set_id = 06777;
    CHECK(chmod(".", 0777) == 0);
    const auto fresh = [](const char* path) {
        create(path, "program");
        CHECK(chmod(path, set_id) == 0 && mode_of(path) == set_id);
    };
    fresh("written");
    as_user(1001, [] {
        const int fd = open("written", O_WRONLY);
        CHECK(fd >= 0);
        write_text(fd, "x");
        CHECK(close(fd) == 0);
    });
    CHECK(mode_of("written") == 0777);
    fresh("truncated");
    as_user(1001, [] { CHECK(truncate("truncated", 1) == 0); });
    CHECK(mode_of("truncated") == 0777);
    fresh("opened");
    as_user(1001, [] { CHECK(open("opened", O_WRONLY | O_TRUNC) >= 0); });
    CHECK(mode_of("opened") == 0777);
    fresh("given away");
    CHECK(chown("given away", 1001, 1001) == 0);
    CHECK(mode_of("given away") == 0777);
}

const std::map<std::string, void (*)()> checks = {
    {"unlinked_file_lives_while_open", unlinked_file_lives_while_open},
    {"removed_folder_lives_while_open", removed_folder_lives_while_open},
    {"rename_replaces_an_open_file", rename_replaces_an_open_file},
    {"shared_mapping_reaches_the_file", shared_mapping_reaches_the_file},
    {"private_mapping_stays_private", private_mapping_stays_private},
    {"direct_io_bypasses_and_agrees_with_the_cache",
     direct_io_bypasses_and_agrees_with_the_cache},
    {"append_never_overwrites", append_never_overwrites},
    {"unnamed_file_can_get_a_name", unnamed_file_can_get_a_name},
    {"file_beyond_four_gib", file_beyond_four_gib},
    {"set_id_bits_go_on_change", set_id_bits_go_on_change},
};

}  // namespace

int main(int argc, char** argv) {
    const auto found = argc == 2 ? checks.find(argv[1]) : checks.end();
    if (found == checks.end()) {
        for (const auto& [name, check] : checks) std::printf("%s\n", name.c_str());
        return 2;
    }
    umask(022);
    found->second();
    return 0;
}
