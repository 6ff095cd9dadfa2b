// SPDX-License-Identifier: Apache-2.0
#include "cases.hpp"

#include <cstdio>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>
#include <unistd.h>

namespace {

constexpr const char* usage =
    "usage: posix_conformance [--list] [--filter GLOB] [--limit SECONDS] [--quick] DIR\n";

void add_data_cases(posix::Suite& suite) {
    posix::add_path_cases(suite);
    posix::add_path_limit_cases(suite);
    posix::add_at_cases(suite);
    posix::add_open_cases(suite);
    posix::add_open_special_cases(suite);
    posix::add_openat2_cases(suite);
    posix::add_read_write_cases(suite);
    posix::add_vector_io_cases(suite);
    posix::add_seek_cases(suite);
    posix::add_truncate_cases(suite);
    posix::add_allocate_cases(suite);
    posix::add_copy_cases(suite);
    posix::add_sync_cases(suite);
    posix::add_large_offset_cases(suite);
    posix::add_map_cases(suite);
}

void add_attribute_cases(posix::Suite& suite) {
    posix::add_stat_cases(suite);
    posix::add_statfs_cases(suite);
    posix::add_access_cases(suite);
    posix::add_mode_cases(suite);
    posix::add_owner_cases(suite);
    posix::add_set_id_cases(suite);
    posix::add_times_cases(suite);
    posix::add_time_rule_cases(suite);
    posix::add_xattr_cases(suite);
    posix::add_xattr_namespace_cases(suite);
    posix::add_acl_cases(suite);
    posix::add_permission_cases(suite);
}

void add_name_cases(posix::Suite& suite) {
    posix::add_link_cases(suite);
    posix::add_unlink_cases(suite);
    posix::add_rename_cases(suite);
    posix::add_rename_flag_cases(suite);
    posix::add_symlink_cases(suite);
    posix::add_directory_cases(suite);
    posix::add_readdir_cases(suite);
    posix::add_node_cases(suite);
    posix::add_socket_cases(suite);
    posix::add_working_directory_cases(suite);
}

void add_process_cases(posix::Suite& suite) {
    posix::add_posix_lock_cases(suite);
    posix::add_ofd_lock_cases(suite);
    posix::add_flock_cases(suite);
    posix::add_lease_cases(suite);
    posix::add_exec_cases(suite);
    posix::add_ioctl_cases(suite);
    posix::add_concurrent_cases(suite);
}

bool names_are_unique(const posix::Suite& suite) {
    std::set<std::string_view> names;
    bool unique = true;
    for (const auto& test : suite.cases()) {
        if (names.insert(test.name).second) continue;
        std::fprintf(stderr, "posix_conformance: two cases are named %s\n", test.name.c_str());
        unique = false;
    }
    return unique;
}

int bad_usage(const std::string& what) {
    std::fprintf(stderr, "posix_conformance: %s\n%s", what.c_str(), usage);
    return 2;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc > 1 && std::string_view(argv[1]) == "--be") return posix::be(argc, argv);

    posix::Suite suite;
    add_data_cases(suite);
    add_attribute_cases(suite);
    add_name_cases(suite);
    add_process_cases(suite);
    if (!names_are_unique(suite)) return 2;

    posix::RunOptions options;
    bool list_only = false;
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument = argv[i];
        if (argument == "--list") {
            list_only = true;
        } else if (argument == "--quick") {
            options.quick = true;
        } else if (argument == "--filter" && i + 1 < argc) {
            options.filter = argv[++i];
        } else if (argument == "--limit" && i + 1 < argc) {
            options.limit_s = std::atoi(argv[++i]);
            if (options.limit_s <= 0) return bad_usage("--limit needs a number of seconds");
        } else if (argument.starts_with("-") || !options.directory.empty()) {
            return bad_usage("unexpected argument " + std::string(argument));
        } else {
            options.directory = argument;
        }
    }
    if (list_only) {
        for (const auto& test : suite.cases()) {
            if (posix::is_chosen(test, options)) std::printf("%s\n", test.name.c_str());
        }
        return 0;
    }
    if (options.directory.empty()) return bad_usage("the directory is missing");
    if (geteuid() != 0) return bad_usage("must be run as root: it switches users");
    return posix::run(suite, options);
}
