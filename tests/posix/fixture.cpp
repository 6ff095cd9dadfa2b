// SPDX-License-Identifier: Apache-2.0
#include "fixture.hpp"

#include "check.hpp"

#include <algorithm>
#include <poll.h>

namespace posix {
namespace {

/// Names can be long: a part of one will do.
[[noreturn]] void fail_at(const char* doing, std::string_view path) {
    constexpr std::size_t shown_max = 40;
    std::string message(doing);
    message.append(" ").append(path.substr(0, shown_max));
    if (path.size() > shown_max) message += "…";
    fail(message + ": expected success, came " + errno_name(errno));
}

}  // namespace

int make_open(const char* path, std::string_view content) {
    const int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) fail_at("making file", path);
    write_at(fd, 0, content);
    return fd;
}

void make_file(const char* path, std::string_view content, mode_t mode) {
    const int fd = make_open(path, content);
    if (fchmod(fd, mode) != 0) fail_at("fchmod of", path);
    close(fd);
}

void make_dir(const char* path, mode_t mode) {
    if (mkdir(path, 0700) != 0 || chmod(path, mode) != 0) {
        fail_at("making directory", path);
    }
}

void make_symlink(const char* target, const char* path) {
    if (symlink(target, path) != 0) {
        fail_at("making symlink", path);
    }
}

void make_dir_of(const char* path, uid_t uid, gid_t gid, mode_t mode) {
    make_dir(path, 0700);
    CHECK_OK(chown(path, uid, gid));
    CHECK_OK(chmod(path, mode));
}

void make_file_of(
    const char* path, uid_t uid, gid_t gid, mode_t mode, std::string_view content) {
    make_file(path, content, 0600);
    CHECK_OK(chown(path, uid, gid));
    CHECK_OK(chmod(path, mode));
}

int open_file(const char* path, int flags) {
    const int fd = open(path, flags | O_CLOEXEC);
    if (fd < 0) fail_at("opening", path);
    return fd;
}

std::string content_of(int fd) {
    std::string content;
    std::string chunk(1 << 16, '\0');
    for (;;) {
        const ssize_t size =
            CHECK_OK(pread(fd, chunk.data(), chunk.size(), static_cast<off_t>(content.size())));
        if (size == 0) return content;
        content.append(chunk, 0, static_cast<std::size_t>(size));
    }
}

std::string content_of(const char* path) {
    const int fd = open_file(path, O_RDONLY);
    std::string content = content_of(fd);
    close(fd);
    return content;
}

std::string read_at(int fd, off_t offset, std::size_t size) {
    std::string data(size, '\0');
    std::size_t done = 0;
    while (done < size) {
        const ssize_t count = CHECK_OK(
            pread(fd, data.data() + done, size - done, offset + static_cast<off_t>(done)));
        if (count == 0) break;
        done += static_cast<std::size_t>(count);
    }
    data.resize(done);
    return data;
}

void write_at(int fd, off_t offset, std::string_view data) {
    while (!data.empty()) {
        const ssize_t count = CHECK_OK(pwrite(fd, data.data(), data.size(), offset));
        if (count == 0) fail("pwrite: expected some bytes, came 0");
        data.remove_prefix(static_cast<std::size_t>(count));
        offset += count;
    }
}

std::string pattern(std::size_t size, unsigned seed) {
    std::string data(size, '\0');
    unsigned state = seed * 2654435761U + 1;
    for (char& c : data) {
        state = state * 1664525U + 1013904223U;
        c = static_cast<char>(state >> 24);
    }
    return data;
}

bool exists(const char* path) {
    struct stat st = {};
    if (lstat(path, &st) == 0) return true;
    if (errno != ENOENT) fail_at("lstat of", path);
    return false;
}

struct stat stat_of(const char* path) {
    struct stat st = {};
    if (stat(path, &st) != 0) fail_at("stat of", path);
    return st;
}

struct stat lstat_of(const char* path) {
    struct stat st = {};
    if (lstat(path, &st) != 0) fail_at("lstat of", path);
    return st;
}

struct stat fstat_of(int fd) {
    struct stat st = {};
    if (fstat(fd, &st) != 0) fail("fstat: " + errno_name(errno));
    return st;
}

unsigned mode_of(const char* path) {
    return lstat_of(path).st_mode & 07777;
}

unsigned mode_of(int fd) {
    return fstat_of(fd).st_mode & 07777;
}

const dirent* next_entry(DIR* stream) {
    errno = 0;
    const dirent* entry = readdir(stream);
    if (entry == nullptr && errno != 0) {
        fail("readdir: expected an entry or the end, came " + errno_name(errno));
    }
    return entry;
}

std::vector<std::string> names_in(const char* path) {
    DIR* stream = CHECK_OK(opendir(path));
    std::vector<std::string> names;
    while (const dirent* entry = next_entry(stream)) {
        const std::string name = entry->d_name;
        if (name != "." && name != "..") names.push_back(name);
    }
    closedir(stream);
    std::sort(names.begin(), names.end());
    return names;
}

void let_clock_tick() {
    // The clock that counts is the file system's own, which may be another machine's.
    constexpr const char* probe = "clock_probe";
    make_file(probe);
    const timespec before = stat_of(probe).st_ctim;
    do {
        poll(nullptr, 0, 1);
        CHECK_OK(utimensat(AT_FDCWD, probe, nullptr, 0));
    } while (!(before < stat_of(probe).st_ctim));
    CHECK_OK(unlink(probe));
}

bool operator==(const timespec& a, const timespec& b) {
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool operator<(const timespec& a, const timespec& b) {
    return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

void make_old(const char* path) {
    const timespec times[2] = {long_ago, long_ago};
    CHECK_OK(utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW));
}

Pipe make_pipe() {
    int ends[2];
    CHECK_OK(pipe2(ends, O_CLOEXEC));
    return {ends[0], ends[1]};
}

}  // namespace posix
