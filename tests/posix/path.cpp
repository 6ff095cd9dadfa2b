// SPDX-License-Identifier: Apache-2.0

// What every call that takes a path has in common: how the path is resolved, and how that
// fails. Each rule is tried with each call of path_calls.cpp.

#include "cases.hpp"
#include "path_calls.hpp"

#include <algorithm>
#include <linux/limits.h>
#include <string_view>

namespace posix {
namespace {

using Scene = void (*)();

/// Calls that stand for the others where the kernel's path walk alone decides.
bool is_typical(const PathCall& row) {
    constexpr std::string_view typical[] = {"open",
                                            "stat",
                                            "mkdir",
                                            "unlink",
                                            "rename_from",
                                            "rename_to",
                                            "symlink",
                                            "readlink",
                                            "setxattr",
                                            "truncate"};
    return std::ranges::find(typical, row.name) != std::end(typical);
}

void add_for_each_call(Suite& suite,
                       const std::string& sentence,
                       int error,
                       const std::string& path,
                       Scene scene,
                       bool typical_only = false) {
    for (const PathCall& row : path_calls()) {
        if (typical_only && !is_typical(row)) continue;
        suite.add_row("path." + std::string(row.name) + "_" + sentence, [=] {
            make_file("ours");
            scene();
            CHECK_FAILS(error, row.call(path.c_str()));
        });
    }
}

void missing_names(Suite& suite) {
    add_for_each_call(suite, "through_missing_directory_gives_ENOENT", ENOENT, "no/x", [] {});
    add_for_each_call(
        suite,
        "through_dangling_symlink_gives_ENOENT",
        ENOENT,
        "dangling/x",
        [] { make_symlink("nowhere", "dangling"); },
        true);
    for (const PathCall& row : path_calls()) {
        if (row.last == Last::may_be_missing) continue;
        suite.add_row("path." + std::string(row.name) + "_of_missing_name_gives_ENOENT",
                      [=] { CHECK_FAILS(ENOENT, row.call("missing")); });
    }
}

void wrong_components(Suite& suite) {
    add_for_each_call(
        suite, "through_file_gives_ENOTDIR", ENOTDIR, "file/x", [] { make_file("file"); });
    add_for_each_call(
        suite,
        "through_symlink_to_file_gives_ENOTDIR",
        ENOTDIR,
        "s/x",
        [] {
            make_file("file");
            make_symlink("file", "s");
        },
        true);
    add_for_each_call(suite, "through_symlink_loop_gives_ELOOP", ELOOP, "one/x", [] {
        make_symlink("two", "one");
        make_symlink("one", "two");
    });
}

void long_names(Suite& suite) {
    const std::string too_long(256, 'n');
    add_for_each_call(
        suite, "of_256_byte_name_gives_ENAMETOOLONG", ENAMETOOLONG, too_long, [] {});
    add_for_each_call(
        suite,
        "through_256_byte_name_gives_ENAMETOOLONG",
        ENAMETOOLONG,
        too_long + "/x",
        [] {},
        true);
}

/// The kernel refuses these before any file system is asked, in one place for all calls: a
/// few calls will do.
void bad_strings(Suite& suite) {
    for (const PathCall& row : path_calls()) {
        const std::string name = row.name;
        if (!is_typical(row)) continue;
        suite.add_row("path." + name + "_of_empty_path_gives_ENOENT", [=] {
            make_file("ours");
            CHECK_FAILS(ENOENT, row.call(""));
        });
        suite.add_row("path." + name + "_of_bad_address_gives_EFAULT", [=] {
            make_file("ours");
            CHECK_FAILS(EFAULT, row.call(bad_address()));
        });
        suite.add_row("path." + name + "_of_PATH_MAX_bytes_gives_ENAMETOOLONG", [=] {
            make_file("ours");
            std::string path;
            while (path.size() < PATH_MAX) path += "./";
            path.resize(PATH_MAX);  // the NUL byte counts: one too many
            CHECK_FAILS(ENAMETOOLONG, row.call(path.c_str()));
        });
    }
}

void search_permission(Suite& suite) {
    for (const PathCall& row : path_calls()) {
        suite.add_row(
            "path." + std::string(row.name) + "_through_unsearchable_directory_gives_EACCES",
            [=] {
                CHECK_OK(chmod(".", 0777));
                make_file_of("ours", alice_id, alice_id, 0666);
                // Readable and writable, but not searchable.
                make_dir("closed", 0766);
                make_file("closed/x", "", 0777);
                as(alice, [=] { CHECK_FAILS(EACCES, row.call("closed/x")); });
            });
    }
}

}  // namespace

void add_path_cases(Suite& suite) {
    missing_names(suite);
    wrong_components(suite);
    long_names(suite);
    bad_strings(suite);
    search_permission(suite);
}

}  // namespace posix
