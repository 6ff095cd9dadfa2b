// SPDX-License-Identifier: Apache-2.0
#pragma once

/// What cases build their scene from and look at it with. Each function ends the case where
/// it does not succeed, so a broken scene is never taken for a result.

#include <ctime>
#include <dirent.h>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace posix {

/// A regular file with exactly this mode, whatever the umask.
void make_file(const char* path, std::string_view content = "", mode_t mode = 0644);
/// As make_file, open for reading and writing, at offset 0.
int make_open(const char* path, std::string_view content = "");
/// A directory with exactly this mode.
void make_dir(const char* path, mode_t mode = 0755);
void make_symlink(const char* target, const char* path);
/// A directory of this owner.
void make_dir_of(const char* path, uid_t uid, gid_t gid, mode_t mode = 0755);
void make_file_of(const char* path, uid_t uid, gid_t gid, mode_t mode, std::string_view = "");

int open_file(const char* path, int flags);
std::string content_of(const char* path);
std::string content_of(int fd);
/// Up to `size` bytes at `offset`.
std::string read_at(int fd, off_t offset, std::size_t size);
/// Writes all of `data` at `offset`.
void write_at(int fd, off_t offset, std::string_view data);

/// `size` bytes that differ with the position and with `seed`.
std::string pattern(std::size_t size, unsigned seed = 1);

bool exists(const char* path);
struct stat stat_of(const char* path);
struct stat lstat_of(const char* path);
struct stat fstat_of(int fd);
/// The twelve permission bits; of the link itself, if it is one.
unsigned mode_of(const char* path);
unsigned mode_of(int fd);
/// The next entry, or null at the end; an error ends the case.
const dirent* next_entry(DIR* stream);
/// Sorted, without '.' and '..'.
std::vector<std::string> names_in(const char* path);

/// Waits until the file system gives out a later time than it did so far. For a moment there
/// is one more entry in the current directory, so its own times change.
void let_clock_tick();
bool operator==(const timespec& a, const timespec& b);
bool operator<(const timespec& a, const timespec& b);
/// Atime and mtime of `path` (not followed) become this: well in the past.
inline constexpr timespec long_ago = {1'000'000'000, 123'456'789};
void make_old(const char* path);

/// An address that no process has mapped.
inline char* bad_address() {
    return reinterpret_cast<char*>(-4096L);
}

/// A descriptor number that is not open.
inline constexpr int bad_descriptor = 1'000'000;

/// The two ends of a pipe.
struct Pipe {
    int read_end = -1;
    int write_end = -1;
};
Pipe make_pipe();

}  // namespace posix
