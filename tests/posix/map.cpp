// SPDX-License-Identifier: Apache-2.0

// mmap(2) of files: coherence with read and write, protection, and the end of the file.

#include "cases.hpp"

#include <csignal>
#include <cstring>
#include <sys/mman.h>

namespace posix {
namespace {

constexpr std::size_t page = 4096;

char* map_of(int fd, std::size_t size, int protection, int flags, off_t offset = 0) {
    return static_cast<char*>(CHECK_OK(mmap(nullptr, size, protection, flags, fd, offset)));
}

char* shared_map_of(int fd, std::size_t size) {
    return map_of(fd, size, PROT_READ | PROT_WRITE, MAP_SHARED);
}

void add_shared(Suite& suite) {
    suite.add("mmap.shared_shows_the_content", [] {
        const int fd = make_open("f", pattern(3 * page));
        const char* map = map_of(fd, 3 * page, PROT_READ, MAP_SHARED);
        CHECK(std::string_view(map, 3 * page) == pattern(3 * page));
    });
    suite.add("mmap.shared_store_is_seen_by_read", [] {
        const int fd = make_open("f", "abc");
        shared_map_of(fd, 3)[1] = 'X';
        CHECK_SAME("aXc", content_of("f"));
    });
    suite.add("mmap.shared_shows_a_later_write", [] {
        const int fd = make_open("f", "abc");
        const char* map = shared_map_of(fd, 3);
        CHECK_SAME('b', map[1]);
        write_at(fd, 1, "X");
        CHECK_SAME('X', map[1]);
    });
    suite.add("mmap.shared_shows_a_write_by_another_process", [] {
        const int fd = make_open("f", "abc");
        const char* map = shared_map_of(fd, 3);
        CHECK_SAME('b', map[1]);
        in_child([] { write_at(open_file("f", O_WRONLY), 1, "X"); });
        CHECK_SAME('X', map[1]);
    });
    suite.add("mmap.two_processes_share_memory", [] {
        const int fd = make_open("f", std::string(page, '-'));
        const char* map = shared_map_of(fd, page);
        in_child([] { shared_map_of(open_file("f", O_RDWR), page)[7] = 'X'; });
        CHECK_SAME('X', map[7]);
    });
    suite.add("mmap.stores_outlive_munmap_and_close", [] {
        const int fd = make_open("f", std::string(page, '-'));
        char* map = shared_map_of(fd, page);
        map[100] = 'X';
        CHECK_OK(munmap(map, page));
        CHECK_OK(close(fd));
        CHECK_SAME('X', content_of("f")[100]);
    });
    suite.add("mmap.outlives_close_and_unlink", [] {
        const int fd = make_open("f", "abc");
        char* map = shared_map_of(fd, 3);
        CHECK_OK(close(fd));
        CHECK_OK(unlink("f"));
        map[0] = 'X';
        CHECK_SAME("Xbc", std::string_view(map, 3));
    });
    suite.add("mmap.at_an_offset_shows_that_part", [] {
        const int fd = make_open("f", pattern(4 * page));
        const char* map = map_of(fd, page, PROT_READ, MAP_SHARED, 2 * page);
        CHECK(std::string_view(map, page) == pattern(4 * page).substr(2 * page, page));
    });
    suite.add("mmap.store_into_a_hole_fills_it", [] {
        const int fd = make_open("f");
        CHECK_OK(ftruncate(fd, 100 * page));
        shared_map_of(fd, 100 * page)[50 * page] = 'X';
        CHECK_SAME("X", read_at(fd, 50 * page, 1));
        CHECK_SAME(100 * page, fstat_of(fd).st_size);
    });
}

void add_private(Suite& suite) {
    suite.add("mmap.private_store_stays_private", [] {
        const int fd = make_open("f", "abc");
        char* map = map_of(fd, 3, PROT_READ | PROT_WRITE, MAP_PRIVATE);
        map[1] = 'X';
        CHECK_SAME("aXc", std::string_view(map, 3));
        CHECK_SAME("abc", content_of("f"));
    });
    suite.add("mmap.private_of_read_only_descriptor_may_be_writable", [] {
        make_file("f", "abc");
        char* map = map_of(open_file("f", O_RDONLY), 3, PROT_READ | PROT_WRITE, MAP_PRIVATE);
        map[1] = 'X';
        CHECK_SAME("abc", content_of("f"));
    });
    suite.add("mmap.executable_map_works", [] {
        const int fd = make_open("f", pattern(page));
        const char* map = map_of(fd, page, PROT_READ | PROT_EXEC, MAP_PRIVATE);
        CHECK(std::string_view(map, page) == pattern(page));
    });
}

void add_syncs(Suite& suite) {
    suite.add("msync.works_in_each_way", [] {
        char* map = shared_map_of(make_open("f", std::string(page, '-')), page);
        map[0] = 'X';
        CHECK_OK(msync(map, page, MS_SYNC));
        CHECK_OK(msync(map, page, MS_ASYNC));
        CHECK_OK(msync(map, page, MS_SYNC | MS_INVALIDATE));
        CHECK_SAME('X', content_of("f")[0]);
    });
    suite.add("msync.with_bad_flags_gives_EINVAL", [] {
        char* map = shared_map_of(make_open("f", std::string(page, '-')), page);
        CHECK_FAILS(EINVAL, msync(map, page, MS_SYNC | MS_ASYNC));
        CHECK_FAILS(EINVAL, msync(map + 1, page - 1, MS_SYNC));
    });
    suite.add("msync.of_unmapped_memory_gives_ENOMEM", [] {
        char* map = shared_map_of(make_open("f", std::string(page, '-')), page);
        CHECK_OK(munmap(map, page));
        CHECK_FAILS(ENOMEM, msync(map, page, MS_SYNC));
    });
    suite.add("msync.data_is_seen_after_dropping_the_cache", [] {
        const int fd = make_open("f", std::string(8 * page, '-'));
        char* map = shared_map_of(fd, 8 * page);
        const std::string data = pattern(8 * page);
        std::memcpy(map, data.data(), data.size());
        CHECK_OK(msync(map, 8 * page, MS_SYNC));
        CHECK_OK(munmap(map, 8 * page));
        CHECK_SAME(0, posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
        CHECK(content_of("f") == data);
    });
}

void touch(const volatile char* address) {
    static_cast<void>(*address);
}

void add_end_of_file(Suite& suite) {
    suite.add("mmap.rest_of_the_last_page_is_zero", [] {
        const char* map = shared_map_of(make_open("f", "abc"), page);
        CHECK_SAME(std::string(page - 3, '\0'), std::string_view(map + 3, page - 3));
    });
    suite.add("mmap.store_behind_the_end_is_not_written", [] {
        const int fd = make_open("f", "abc");
        char* map = shared_map_of(fd, page);
        map[10] = 'X';
        CHECK_OK(msync(map, page, MS_SYNC));
        CHECK_SAME("abc", content_of("f"));
    });
    suite.add("mmap.page_behind_the_end_raises_SIGBUS", [] {
        const char* map = shared_map_of(make_open("f", "abc"), 2 * page);
        CHECK_SAME(SIGBUS, signal_from([map] { touch(map + page); }));
    });
    suite.add("mmap.page_cut_off_later_raises_SIGBUS", [] {
        const int fd = make_open("f", std::string(2 * page, 'x'));
        const char* map = shared_map_of(fd, 2 * page);
        touch(map + page);
        CHECK_OK(ftruncate(fd, 10));
        CHECK_SAME(SIGBUS, signal_from([map] { touch(map + page); }));
        CHECK_SAME('x', map[0]);
    });
    suite.add("mmap.page_added_later_is_accessible", [] {
        const int fd = make_open("f", "abc");
        char* map = shared_map_of(fd, 2 * page);
        CHECK_OK(ftruncate(fd, 2 * page));
        map[page] = 'X';
        CHECK_SAME("X", read_at(fd, page, 1));
    });
    suite.add("mmap.read_into_own_map_works", [] {
        // The buffer's page may have to be fetched while the file is being read.
        const int fd = make_open("f", pattern(2 * page));
        char* map = shared_map_of(fd, 2 * page);
        CHECK_RETURNS(page, pread(fd, map + page, page, 0));
        CHECK(read_at(fd, page, page) == pattern(2 * page).substr(0, page));
    });
    suite.add("mmap.write_from_own_map_works", [] {
        const int fd = make_open("f", pattern(2 * page));
        const char* map = shared_map_of(fd, 2 * page);
        CHECK_RETURNS(page, pwrite(fd, map, page, page));
        CHECK(read_at(fd, page, page) == pattern(2 * page).substr(0, page));
    });
}

void add_errors(Suite& suite) {
    suite.add("mmap.shared_writable_of_read_only_descriptor_gives_EACCES", [] {
        make_file("f", "abc");
        CHECK_FAILS(EACCES,
                    mmap(nullptr, 3, PROT_WRITE, MAP_SHARED, open_file("f", O_RDONLY), 0));
    });
    suite.add("mmap.of_write_only_descriptor_gives_EACCES", [] {
        make_file("f", "abc");
        const int fd = open_file("f", O_WRONLY);
        CHECK_FAILS(EACCES, mmap(nullptr, 3, PROT_READ, MAP_PRIVATE, fd, 0));
        CHECK_FAILS(EACCES, mmap(nullptr, 3, PROT_WRITE, MAP_SHARED, fd, 0));
    });
    suite.add("mmap.mprotect_beyond_the_open_mode_gives_EACCES", [] {
        make_file("f", "abc");
        char* map = map_of(open_file("f", O_RDONLY), page, PROT_READ, MAP_SHARED);
        CHECK_FAILS(EACCES, mprotect(map, page, PROT_READ | PROT_WRITE));
    });
    suite.add("mmap.of_directory_gives_ENODEV", [] {
        CHECK_FAILS(ENODEV,
                    mmap(nullptr, page, PROT_READ, MAP_SHARED, open_file(".", O_RDONLY), 0));
    });
    suite.add("mmap.of_fifo_gives_ENODEV", [] {
        CHECK_OK(mkfifo("p", 0600));
        CHECK_FAILS(ENODEV,
                    mmap(nullptr, page, PROT_READ, MAP_SHARED, open_file("p", O_RDWR), 0));
    });
    suite.add("mmap.of_0_bytes_gives_EINVAL", [] {
        CHECK_FAILS(EINVAL, mmap(nullptr, 0, PROT_READ, MAP_SHARED, make_open("f", "x"), 0));
    });
    suite.add("mmap.at_odd_offset_gives_EINVAL", [] {
        CHECK_FAILS(EINVAL, mmap(nullptr, 1, PROT_READ, MAP_SHARED, make_open("f", "x"), 1));
    });
    suite.add("mmap.neither_shared_nor_private_gives_EINVAL", [] {
        CHECK_FAILS(EINVAL, mmap(nullptr, 1, PROT_READ, 0, make_open("f", "x"), 0));
    });
    suite.add("mmap.of_closed_descriptor_gives_EBADF", [] {
        CHECK_FAILS(EBADF, mmap(nullptr, 1, PROT_READ, MAP_SHARED, bad_descriptor, 0));
    });
    suite.add("mmap.store_to_read_only_map_raises_SIGSEGV", [] {
        char* map = map_of(make_open("f", "abc"), 3, PROT_READ, MAP_SHARED);
        CHECK_SAME(SIGSEGV, signal_from([map] { *static_cast<volatile char*>(map) = 'X'; }));
    });
}

}  // namespace

void add_map_cases(Suite& suite) {
    add_shared(suite);
    add_private(suite);
    add_syncs(suite);
    add_end_of_file(suite);
    add_errors(suite);
}

}  // namespace posix
