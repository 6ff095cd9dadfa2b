// SPDX-License-Identifier: Apache-2.0

// Calls with a directory descriptor: what the descriptor may be, and when it matters.

#include "cases.hpp"
#include "path_calls.hpp"

#include <linux/limits.h>

namespace posix {
namespace {

/// "ours" here, and an empty "target" in d unless the call makes that itself.
void make_scene(const AtCall& row) {
    make_file("ours");
    make_dir("d");
    if (!row.creates) make_file("d/target");
}

void add_good_descriptors(Suite& suite) {
    for (const AtCall& row : at_calls()) {
        const std::string name = "at." + std::string(row.name);
        suite.add_row(name + "_starts_at_the_descriptor", [=] {
            make_scene(row);
            const int dir = open_file("d", O_RDONLY | O_DIRECTORY);
            CHECK_OK(row.call(dir, "target"));
        });
        suite.add_row(name + "_takes_a_path_descriptor", [=] {
            make_scene(row);
            const int dir = open_file("d", O_PATH | O_DIRECTORY);
            CHECK_OK(row.call(dir, "target"));
        });
        suite.add_row(name + "_ignores_the_descriptor_for_absolute_path", [=] {
            make_scene(row);
            char here[PATH_MAX];
            CHECK_OK(getcwd(here, sizeof here));
            CHECK_OK(row.call(bad_descriptor, (std::string(here) + "/d/target").c_str()));
        });
    }
}

void add_bad_descriptors(Suite& suite) {
    for (const AtCall& row : at_calls()) {
        const std::string name = "at." + std::string(row.name);
        suite.add_row(name + "_of_closed_descriptor_gives_EBADF", [=] {
            make_scene(row);
            CHECK_FAILS(EBADF, row.call(bad_descriptor, "target"));
        });
        suite.add_row(name + "_of_file_descriptor_gives_ENOTDIR", [=] {
            make_scene(row);
            CHECK_FAILS(ENOTDIR, row.call(open_file("ours", O_RDONLY), "target"));
        });
        suite.add_row(name + "_of_removed_directory_gives_ENOENT", [=] {
            make_file("ours");
            make_dir("gone");
            const int dir = open_file("gone", O_RDONLY | O_DIRECTORY);
            CHECK_OK(rmdir("gone"));
            CHECK_FAILS(ENOENT, row.call(dir, "target"));
        });
    }
}

}  // namespace

void add_at_cases(Suite& suite) {
    add_good_descriptors(suite);
    add_bad_descriptors(suite);
}

}  // namespace posix
