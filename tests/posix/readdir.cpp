// SPDX-License-Identifier: Apache-2.0

// Listing directories: readdir(3) and its seeking, getdents64(2), changes on the way.

#include "cases.hpp"

#include <cstring>
#include <dirent.h>
#include <map>
#include <set>

namespace posix {
namespace {

std::string numbered(int i) {
    return "entry_with_a_number_" + std::to_string(i);
}

void make_entries(const char* directory, int count) {
    const int dir = open_file(directory, O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < count; ++i) {
        const int fd = CHECK_OK(openat(dir, numbered(i).c_str(), O_CREAT | O_EXCL, 0600));
        CHECK_OK(close(fd));
    }
    CHECK_OK(close(dir));
}

/// How often each name comes, in what is left of the stream.
std::map<std::string, int> rest_of(DIR* stream) {
    std::map<std::string, int> names;
    while (const dirent* entry = next_entry(stream)) ++names[entry->d_name];
    return names;
}

/// All names, by getdents64 with a buffer of `size` bytes.
std::map<std::string, int> names_by_buffer(const char* path, std::size_t size) {
    const int dir = open_file(path, O_RDONLY | O_DIRECTORY);
    std::string buffer(size, '\0');
    std::map<std::string, int> names;
    for (;;) {
        const ssize_t count = CHECK_OK(getdents64(dir, buffer.data(), buffer.size()));
        if (count == 0) return names;
        for (ssize_t at = 0; at < count;) {
            const auto* entry = reinterpret_cast<const dirent64*>(buffer.data() + at);
            ++names[entry->d_name];
            at += entry->d_reclen;
        }
    }
}

void check_complete(const std::map<std::string, int>& names, int count) {
    CHECK_SAME(count + 2, names.size());
    for (const auto& [name, times] : names) CHECK_SAME(1, times);
    CHECK(names.contains("."));
    CHECK(names.contains(".."));
    for (int i = 0; i < count; ++i) CHECK(names.contains(numbered(i)));
}

void add_contents(Suite& suite) {
    suite.add("readdir.empty_directory_has_dot_and_dot_dot_once", [] {
        make_dir("d");
        check_complete(rest_of(opendir("d")), 0);
    });
    for (const int count : {1, 100, 1000}) {
        suite.add_row("readdir.lists_" + std::to_string(count) + "_entries_once_each", [count] {
            make_dir("d");
            make_entries("d", count);
            check_complete(rest_of(opendir("d")), count);
        });
    }
    suite.add("readdir.lists_names_of_255_bytes", [] {
        make_dir("d");
        for (char c = 'a'; c <= 'z'; ++c) {
            make_file(("d/" + std::string(255, c)).c_str());
        }
        CHECK_SAME(26, names_in("d").size());
        for (const std::string& name : names_in("d")) CHECK_SAME(255, name.size());
    });
}

void add_entries(Suite& suite) {
    suite.add("readdir.types_are_right_or_unknown", [] {
        make_dir("d");
        make_file("d/file");
        make_dir("d/directory");
        make_symlink("x", "d/symlink");
        CHECK_OK(mkfifo("d/fifo", 0600));
        CHECK_OK(mknod("d/socket", S_IFSOCK | 0600, 0));
        CHECK_OK(mknod("d/char", S_IFCHR | 0600, 0x103));
        CHECK_OK(mknod("d/block", S_IFBLK | 0600, 0x700));
        const std::map<std::string, int> types = {{".", DT_DIR},
                                                  {"..", DT_DIR},
                                                  {"file", DT_REG},
                                                  {"directory", DT_DIR},
                                                  {"symlink", DT_LNK},
                                                  {"fifo", DT_FIFO},
                                                  {"socket", DT_SOCK},
                                                  {"char", DT_CHR},
                                                  {"block", DT_BLK}};
        DIR* stream = CHECK_OK(opendir("d"));
        while (const dirent* entry = next_entry(stream)) {
            if (entry->d_type != DT_UNKNOWN) {
                CHECK_SAME(types.at(entry->d_name), entry->d_type);
            }
        }
    });
    suite.add("readdir.inode_numbers_are_those_of_stat", [] {
        make_dir("d");
        make_entries("d", 20);
        make_dir("d/e");
        DIR* stream = CHECK_OK(opendir("d"));
        CHECK_OK(chdir("d"));
        while (const dirent* entry = next_entry(stream)) {
            CHECK(entry->d_ino == lstat_of(entry->d_name).st_ino);
        }
    });
    suite.add("readdir.two_streams_are_independent", [] {
        make_dir("d");
        make_entries("d", 100);
        DIR* one = CHECK_OK(opendir("d"));
        DIR* two = CHECK_OK(opendir("d"));
        for (int i = 0; i < 50; ++i) CHECK(next_entry(one) != nullptr);
        check_complete(rest_of(two), 100);
        CHECK_SAME(52, rest_of(one).size());
    });
    suite.add("readdir.end_stays_the_end", [] {
        make_dir("d");
        DIR* stream = CHECK_OK(opendir("d"));
        rest_of(stream);
        CHECK_SAME(0, rest_of(stream).size());
    });
}

void add_errors(Suite& suite) {
    suite.add("opendir.without_read_permission_gives_EACCES", [] {
        make_dir("d", 0711);
        as(alice, [] { CHECK_FAILS(EACCES, opendir("d")); });
    });
    suite.add("opendir.needs_no_search_permission", [] {
        make_dir("d", 0744);
        make_file("d/f");
        as(alice, [] {
            CHECK_SAME(1, names_in("d").size());
            CHECK_FAILS(EACCES, open("d/f", O_RDONLY));
        });
    });
    suite.add("opendir.of_file_gives_ENOTDIR", [] {
        make_file("f");
        CHECK_FAILS(ENOTDIR, opendir("f"));
        CHECK_FAILS(ENOTDIR, fdopendir(open_file("f", O_RDONLY)));
    });
    suite.add("getdents.of_file_gives_ENOTDIR", [] {
        char buffer[1024];
        CHECK_FAILS(ENOTDIR, getdents64(make_open("f"), buffer, sizeof buffer));
    });
    suite.add("getdents.of_closed_descriptor_gives_EBADF", [] {
        char buffer[1024];
        CHECK_FAILS(EBADF, getdents64(bad_descriptor, buffer, sizeof buffer));
    });
    suite.add("getdents.into_too_small_buffer_gives_EINVAL", [] {
        make_dir("d");
        char buffer[8];
        const int dir = open_file("d", O_RDONLY);
        CHECK_FAILS(EINVAL, getdents64(dir, buffer, sizeof buffer));
    });
    suite.add("getdents.into_bad_address_gives_EFAULT", [] {
        make_dir("d");
        CHECK_FAILS(EFAULT, getdents64(open_file("d", O_RDONLY), bad_address(), 1024));
    });
}

void add_buffers(Suite& suite) {
    for (const std::size_t size : {64, 100, 300, 1000, 4096, 1 << 20}) {
        suite.add_row("getdents.complete_with_buffer_of_" + std::to_string(size), [size] {
            make_dir("d");
            make_entries("d", 150);
            check_complete(names_by_buffer("d", size), 150);
        });
    }
    suite.add("getdents.goes_on_where_a_too_small_buffer_stopped", [] {
        make_dir("d");
        make_file(("d/" + std::string(255, 'n')).c_str());
        const int dir = open_file("d", O_RDONLY);
        char small[64];
        char large[1024];
        std::set<std::string> names;
        for (int round = 0; round < 10; ++round) {
            char* buffer = small;
            ssize_t count = getdents64(dir, small, sizeof small);
            if (count < 0) {
                CHECK_SAME(EINVAL, errno);
                buffer = large;
                count = CHECK_OK(getdents64(dir, large, sizeof large));
            }
            if (count == 0) break;
            for (ssize_t at = 0; at < count;) {
                const auto* entry = reinterpret_cast<const dirent64*>(buffer + at);
                names.insert(entry->d_name);
                at += entry->d_reclen;
            }
        }
        CHECK_SAME(3, names.size());
    });
}

void add_seeking(Suite& suite) {
    suite.add("telldir.seekdir_leads_back_to_each_entry", [] {
        make_dir("d");
        make_entries("d", 200);
        DIR* stream = CHECK_OK(opendir("d"));
        std::vector<std::pair<long, std::string>> places;
        for (;;) {
            const long place = telldir(stream);
            const dirent* entry = next_entry(stream);
            if (entry == nullptr) break;
            places.emplace_back(place, entry->d_name);
        }
        CHECK_SAME(202, places.size());
        for (auto it = places.rbegin(); it != places.rend(); ++it) {
            seekdir(stream, it->first);
            const dirent* entry = next_entry(stream);
            CHECK(entry != nullptr);
            CHECK_SAME(it->second, entry->d_name);
        }
    });
    suite.add("telldir.seekdir_to_the_middle_gives_the_rest", [] {
        make_dir("d");
        make_entries("d", 100);
        DIR* stream = CHECK_OK(opendir("d"));
        for (int i = 0; i < 40; ++i) CHECK(next_entry(stream) != nullptr);
        const long middle = telldir(stream);
        const auto rest = rest_of(stream);
        CHECK_SAME(62, rest.size());
        seekdir(stream, middle);
        CHECK(rest == rest_of(stream));
    });
    suite.add("seekdir.place_survives_removal_of_the_entries_before", [] {
        make_dir("d");
        make_entries("d", 100);
        DIR* stream = CHECK_OK(opendir("d"));
        std::vector<std::string> seen;
        for (int i = 0; i < 40; ++i) {
            const dirent* entry = next_entry(stream);
            CHECK(entry != nullptr);
            seen.push_back(entry->d_name);
        }
        const long middle = telldir(stream);
        for (const std::string& name : seen) {
            if (name != "." && name != "..") CHECK_OK(unlink(("d/" + name).c_str()));
        }
        const auto rest = rest_of(stream);
        seekdir(stream, middle);
        CHECK(rest == rest_of(stream));
        CHECK_SAME(62, rest.size());
    });
}

void add_rewinding(Suite& suite) {
    suite.add("rewinddir.starts_over_and_sees_changes", [] {
        make_dir("d");
        make_entries("d", 10);
        DIR* stream = CHECK_OK(opendir("d"));
        rest_of(stream);
        make_file("d/new");
        CHECK_OK(unlink(("d/" + numbered(3)).c_str()));
        rewinddir(stream);
        const auto names = rest_of(stream);
        CHECK_SAME(12, names.size());
        CHECK(names.contains("new"));
        CHECK(!names.contains(numbered(3)));
    });
    suite.add("rewinddir.by_lseek_to_0_works_too", [] {
        make_dir("d");
        make_entries("d", 10);
        const int dir = open_file("d", O_RDONLY);
        char buffer[4096];
        const ssize_t first = CHECK_OK(getdents64(dir, buffer, sizeof buffer));
        CHECK_RETURNS(0, getdents64(dir, buffer, sizeof buffer));
        CHECK_RETURNS(0, lseek(dir, 0, SEEK_SET));
        CHECK_RETURNS(first, getdents64(dir, buffer, sizeof buffer));
    });
    suite.add("readdir.duplicate_descriptor_shares_the_place", [] {
        make_dir("d");
        make_entries("d", 10);
        const int dir = open_file("d", O_RDONLY);
        const int twin = CHECK_OK(dup(dir));
        char buffer[4096];
        CHECK_OK(getdents64(dir, buffer, sizeof buffer));
        CHECK_RETURNS(0, getdents64(twin, buffer, sizeof buffer));
    });
}

void add_changes(Suite& suite) {
    suite.add("readdir.removing_each_entry_as_it_comes_empties_the_directory", [] {
        make_dir("d");
        make_entries("d", 700);
        DIR* stream = CHECK_OK(opendir("d"));
        while (const dirent* entry = next_entry(stream)) {
            const std::string name = entry->d_name;
            if (name != "." && name != "..") CHECK_OK(unlinkat(dirfd(stream), name.c_str(), 0));
        }
        CHECK_OK(rmdir("d"));
    });
    suite.add("readdir.entries_that_stay_come_once_while_others_go", [] {
        make_dir("d");
        make_entries("d", 600);
        DIR* stream = CHECK_OK(opendir("d"));
        std::map<std::string, int> names;
        for (int i = 0; const dirent* entry = next_entry(stream); ++i) {
            ++names[entry->d_name];
            // Odd ones go, while the listing is under way.
            if (2 * i + 1 < 600) {
                CHECK_OK(unlinkat(dirfd(stream), numbered(2 * i + 1).c_str(), 0));
            }
        }
        for (int i = 0; i < 600; i += 2) CHECK_SAME(1, names[numbered(i)]);
    });
    suite.add("readdir.entries_that_stay_come_once_while_others_come", [] {
        make_dir("d");
        make_entries("d", 300);
        DIR* stream = CHECK_OK(opendir("d"));
        std::map<std::string, int> names;
        int made = 0;
        while (const dirent* entry = next_entry(stream)) {
            ++names[entry->d_name];
            if (made < 300) make_file(("d/new" + std::to_string(made++)).c_str());
        }
        for (int i = 0; i < 300; ++i) CHECK_SAME(1, names[numbered(i)]);
        for (const auto& [name, times] : names) CHECK_SAME(1, times);
    });
    suite.add("readdir.entry_made_by_another_process_is_listed", [] {
        make_dir("d");
        CHECK_SAME(0, names_in("d").size());
        in_child([] { make_file("d/f"); });
        CHECK_SAME(1, names_in("d").size());
        in_child([] { CHECK_OK(unlink("d/f")); });
        CHECK_SAME(0, names_in("d").size());
    });
    suite.add("readdir.renamed_entry_is_listed_under_the_new_name", [] {
        make_dir("d");
        make_file("d/f");
        CHECK_SAME("f", names_in("d")[0]);
        CHECK_OK(rename("d/f", "d/g"));
        CHECK_SAME(1, names_in("d").size());
        CHECK_SAME("g", names_in("d")[0]);
    });
}

}  // namespace

void add_readdir_cases(Suite& suite) {
    add_contents(suite);
    add_entries(suite);
    add_errors(suite);
    add_buffers(suite);
    add_seeking(suite);
    add_rewinding(suite);
    add_changes(suite);
}

}  // namespace posix
