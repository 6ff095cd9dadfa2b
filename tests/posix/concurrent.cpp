// SPDX-License-Identifier: Apache-2.0

// Eight processes at once: what has to be atomic, and races of which one side must win.

#include "cases.hpp"

#include <atomic>
#include <new>
#include <set>
#include <sys/mman.h>

namespace posix {
namespace {

constexpr int crowd = 8;
constexpr int rounds = 40;

/// A number that all children see.
class Counter {
  public:
    Counter()
        : value_(new(CHECK_OK(mmap(nullptr,
                                   sizeof(std::atomic<int>),
                                   PROT_READ | PROT_WRITE,
                                   MAP_SHARED | MAP_ANONYMOUS,
                                   -1,
                                   0))) std::atomic<int>(0)) {}
    void add() const { value_->fetch_add(1); }
    int value() const { return value_->load(); }

  private:
    std::atomic<int>* value_;
};

std::string numbered(int i) {
    return "n" + std::to_string(i);
}

/// In each round all try the same; exactly one must succeed, the others get `error`.
void one_wins(Errors error, long (*attempt)(int round, int index)) {
    const Counter wins;
    in_parallel(crowd, [&](int index) {
        for (int round = 0; round < rounds; ++round) {
            if (attempt(round, index) >= 0) {
                wins.add();
            } else if (!error.contain(errno)) {
                fail("expected success or " + error.text() + ", came " + errno_name(errno));
            }
        }
    });
    CHECK_SAME(rounds, wins.value());
}

void add_winners(Suite& suite) {
    suite.add("concurrent.exclusive_creation_has_one_winner", [] {
        one_wins(EEXIST, [](int round, int) -> long {
            return open(numbered(round).c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
        });
    });
    suite.add("concurrent.mkdir_has_one_winner", [] {
        one_wins(EEXIST,
                 [](int round, int) -> long { return mkdir(numbered(round).c_str(), 0700); });
    });
    suite.add("concurrent.symlink_has_one_winner", [] {
        one_wins(EEXIST,
                 [](int round, int) -> long { return symlink("x", numbered(round).c_str()); });
    });
    suite.add("concurrent.mknod_has_one_winner", [] {
        one_wins(EEXIST,
                 [](int round, int) -> long { return mkfifo(numbered(round).c_str(), 0600); });
    });
    suite.add("concurrent.link_has_one_winner", [] {
        make_file("f");
        one_wins(EEXIST,
                 [](int round, int) -> long { return link("f", numbered(round).c_str()); });
        CHECK_SAME(1 + rounds, stat_of("f").st_nlink);
    });
    suite.add("concurrent.unlink_has_one_winner", [] {
        for (int round = 0; round < rounds; ++round) make_file(numbered(round).c_str());
        one_wins(ENOENT,
                 [](int round, int) -> long { return unlink(numbered(round).c_str()); });
        CHECK_SAME(0, names_in(".").size());
    });
    suite.add("concurrent.rmdir_has_one_winner", [] {
        for (int round = 0; round < rounds; ++round) make_dir(numbered(round).c_str());
        one_wins(ENOENT, [](int round, int) -> long { return rmdir(numbered(round).c_str()); });
    });
    suite.add("concurrent.rename_of_one_source_has_one_winner", [] {
        for (int round = 0; round < rounds; ++round) make_file(numbered(round).c_str());
        one_wins(ENOENT, [](int round, int index) -> long {
            const std::string target = "to" + std::to_string(index) + numbered(round);
            return rename(numbered(round).c_str(), target.c_str());
        });
        CHECK_SAME(rounds, names_in(".").size());
    });
    suite.add("concurrent.rename_noreplace_has_one_winner", [] {
        make_file("f");
        CHECK_NEEDS(EINVAL, renameat2(AT_FDCWD, "f", AT_FDCWD, "g", RENAME_NOREPLACE));
        for (int index = 0; index < crowd; ++index) make_dir(("p" + numbered(index)).c_str());
        one_wins(EEXIST, [](int round, int index) -> long {
            const std::string source = "p" + numbered(index) + "/" + numbered(round);
            make_file(source.c_str());
            return renameat2(
                AT_FDCWD, source.c_str(), AT_FDCWD, numbered(round).c_str(), RENAME_NOREPLACE);
        });
    });
}

void add_data(Suite& suite) {
    suite.add("concurrent.appended_records_are_all_there_and_whole", [] {
        constexpr std::size_t record = 1000;
        make_file("f");
        in_parallel(crowd, [](int index) {
            const int fd = open_file("f", O_WRONLY | O_APPEND);
            const std::string data(record, static_cast<char>('a' + index));
            for (int round = 0; round < rounds; ++round) {
                CHECK_RETURNS(record, write(fd, data.data(), data.size()));
            }
        });
        const std::string content = content_of("f");
        CHECK_SAME(crowd * rounds * record, content.size());
        int counts[crowd] = {};
        for (std::size_t at = 0; at < content.size(); at += record) {
            CHECK(content.substr(at, record) == std::string(record, content[at]));
            ++counts[content[at] - 'a'];
        }
        for (const int count : counts) CHECK_SAME(rounds, count);
    });
    suite.add("concurrent.appends_by_one_shared_descriptor_are_whole", [] {
        const int fd = CHECK_OK(open("f", O_CREAT | O_RDWR | O_APPEND | O_CLOEXEC, 0600));
        in_parallel(crowd, [fd](int index) {
            const std::string data(100, static_cast<char>('a' + index));
            for (int round = 0; round < rounds; ++round) {
                CHECK_RETURNS(100, write(fd, data.data(), data.size()));
            }
        });
        const std::string content = content_of("f");
        CHECK_SAME(crowd * rounds * 100, content.size());
        for (std::size_t at = 0; at < content.size(); at += 100) {
            CHECK(content.substr(at, 100) == std::string(100, content[at]));
        }
    });
}

void add_shared_data(Suite& suite) {
    suite.add("concurrent.writes_to_own_regions_do_not_mix", [] {
        // Regions share pages: none may be lost by writing back a neighbour's old bytes.
        constexpr std::size_t piece = 1000;
        make_file("f");
        in_parallel(crowd, [](int index) {
            const int fd = open_file("f", O_WRONLY);
            for (int round = 0; round < rounds; ++round) {
                const auto place = static_cast<unsigned>(round * crowd + index);
                write_at(fd, static_cast<off_t>(place * piece), pattern(piece, place));
            }
        });
        const std::string content = content_of("f");
        CHECK_SAME(crowd * rounds * piece, content.size());
        for (unsigned place = 0; place < crowd * rounds; ++place) {
            CHECK(content.substr(place * piece, piece) == pattern(piece, place));
        }
    });
    suite.add("concurrent.stores_into_shared_maps_do_not_mix", [] {
        constexpr std::size_t size = 64 * 4096;
        make_file("f", std::string(size, '-'));
        in_parallel(crowd, [](int index) {
            char* map = static_cast<char*>(CHECK_OK(mmap(
                nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, open_file("f", O_RDWR), 0)));
            for (std::size_t at = static_cast<std::size_t>(index); at < size; at += crowd) {
                map[at] = static_cast<char>('a' + index);
            }
        });
        const std::string content = content_of("f");
        for (std::size_t at = 0; at < size; ++at) {
            if (content[at] != static_cast<char>('a' + at % crowd)) fail("a store is lost");
        }
    });
    suite.add("concurrent.reader_of_growing_file_sees_only_what_is_written", [] {
        make_file("f");
        in_parallel(2, [](int index) {
            if (index == 0) {
                const int fd = open_file("f", O_WRONLY | O_APPEND);
                const std::string data(4000, 'x');
                for (int i = 0; i < 200; ++i) {
                    CHECK_RETURNS(4000, write(fd, data.data(), data.size()));
                }
                return;
            }
            const int fd = open_file("f", O_RDONLY);
            std::size_t before = 0;
            for (int i = 0; i < 100; ++i) {
                const std::string content = content_of(fd);
                CHECK(content.size() >= before);
                CHECK(content.find_first_not_of('x') == std::string::npos);
                before = content.size();
            }
        });
    });
}

void add_names(Suite& suite) {
    suite.add("concurrent.target_of_renames_is_never_missing", [] {
        make_file("target");
        in_parallel(crowd, [](int index) {
            for (int round = 0; round < rounds; ++round) {
                if (index < crowd / 2) {
                    make_file(numbered(index).c_str());
                    CHECK_OK(rename(numbered(index).c_str(), "target"));
                } else {
                    CHECK_OK(close(CHECK_OK(open("target", O_RDONLY | O_CLOEXEC))));
                }
            }
        });
        CHECK_SAME(1, names_in(".").size());
    });
    suite.add("concurrent.exchange_never_shows_a_missing_name", [] {
        make_file("f");
        make_dir("d");
        CHECK_NEEDS(EINVAL, renameat2(AT_FDCWD, "f", AT_FDCWD, "d", RENAME_EXCHANGE));
        in_parallel(crowd, [](int index) {
            for (int round = 0; round < rounds; ++round) {
                if (index == 0) {
                    CHECK_OK(renameat2(AT_FDCWD, "f", AT_FDCWD, "d", RENAME_EXCHANGE));
                } else {
                    lstat_of("f");
                    lstat_of("d");
                }
            }
        });
    });
    suite.add("concurrent.opposite_directory_renames_make_no_circle", [] {
        make_dir("a");
        make_dir("b");
        in_parallel(crowd, [](int index) {
            for (int round = 0; round < rounds; ++round) {
                const bool even = index % 2 == 0;
                const int result = even ? rename("a", "b/a") : rename("b", "a/b");
                if (result != 0) CHECK(errno == ENOENT || errno == EINVAL);
                const int back = even ? rename("b/a", "a") : rename("a/b", "b");
                if (back != 0) CHECK(errno == ENOENT || errno == EINVAL);
            }
        });
        // Both are still reachable from here, whichever is inside the other.
        CHECK(exists("a") || exists("b"));
        CHECK(exists("a") || exists("b/a"));
        CHECK(exists("b") || exists("a/b"));
    });
}

void add_directories(Suite& suite) {
    suite.add("concurrent.rmdir_and_creation_leave_no_orphan", [] {
        for (int round = 0; round < rounds; ++round) {
            make_dir("d");
            in_parallel(2, [](int index) {
                if (index == 0) {
                    if (rmdir("d") != 0) CHECK(errno == ENOTEMPTY || errno == EEXIST);
                } else if (open("d/f", O_CREAT | O_WRONLY | O_CLOEXEC, 0600) < 0) {
                    CHECK_SAME(ENOENT, errno);
                }
            });
            if (exists("d")) {
                CHECK_OK(unlink("d/f"));
                CHECK_OK(rmdir("d"));
            }
        }
    });
    suite.add("concurrent.names_of_eight_in_one_directory_are_all_there", [] {
        make_dir("d");
        in_parallel(crowd, [](int index) {
            for (int round = 0; round < rounds; ++round) {
                make_file(("d/" + numbered(index) + numbered(round)).c_str());
            }
        });
        const auto names = names_in("d");
        CHECK_SAME(crowd * rounds, names.size());
        CHECK_SAME(crowd * rounds, std::set(names.begin(), names.end()).size());
    });
    suite.add("concurrent.link_count_adds_up", [] {
        make_file("f");
        in_parallel(crowd, [](int index) {
            for (int round = 0; round < rounds; ++round) {
                CHECK_OK(link("f", (numbered(index) + numbered(round)).c_str()));
            }
            for (int round = 0; round < rounds; round += 2) {
                CHECK_OK(unlink((numbered(index) + numbered(round)).c_str()));
            }
        });
        CHECK_SAME(1 + crowd * rounds / 2, stat_of("f").st_nlink);
    });
    suite.add("concurrent.listing_while_names_come_and_go_is_sane", [] {
        make_dir("d");
        for (int i = 0; i < 100; ++i) make_file(("d/stays" + numbered(i)).c_str());
        in_parallel(crowd, [](int index) {
            for (int round = 0; round < rounds; ++round) {
                const std::string path = "d/" + numbered(index) + numbered(round);
                if (index < crowd / 2) {
                    make_file(path.c_str());
                    CHECK_OK(unlink(path.c_str()));
                } else {
                    int stays = 0;
                    for (const std::string& name : names_in("d")) {
                        stays += name.starts_with("stays");
                    }
                    CHECK_SAME(100, stays);
                }
            }
        });
    });
}

}  // namespace

void add_concurrent_cases(Suite& suite) {
    add_winners(suite);
    add_data(suite);
    add_shared_data(suite);
    add_names(suite);
    add_directories(suite);
}

}  // namespace posix
