// SPDX-License-Identifier: Apache-2.0
#pragma once

/// One function for each file of cases; main.cpp calls all of them, in this order.

#include "actors.hpp"
#include "check.hpp"
#include "fixture.hpp"
#include "harness.hpp"

namespace posix {

void add_path_cases(Suite& suite);
void add_path_limit_cases(Suite& suite);
void add_at_cases(Suite& suite);
void add_open_cases(Suite& suite);
void add_open_special_cases(Suite& suite);
void add_openat2_cases(Suite& suite);
void add_read_write_cases(Suite& suite);
void add_vector_io_cases(Suite& suite);
void add_seek_cases(Suite& suite);
void add_truncate_cases(Suite& suite);
void add_allocate_cases(Suite& suite);
void add_copy_cases(Suite& suite);
void add_sync_cases(Suite& suite);
void add_large_offset_cases(Suite& suite);
void add_stat_cases(Suite& suite);
void add_statfs_cases(Suite& suite);
void add_access_cases(Suite& suite);
void add_mode_cases(Suite& suite);
void add_owner_cases(Suite& suite);
void add_set_id_cases(Suite& suite);
void add_times_cases(Suite& suite);
void add_time_rule_cases(Suite& suite);
void add_link_cases(Suite& suite);
void add_unlink_cases(Suite& suite);
void add_rename_cases(Suite& suite);
void add_rename_flag_cases(Suite& suite);
void add_symlink_cases(Suite& suite);
void add_directory_cases(Suite& suite);
void add_readdir_cases(Suite& suite);
void add_node_cases(Suite& suite);
void add_socket_cases(Suite& suite);
void add_xattr_cases(Suite& suite);
void add_xattr_namespace_cases(Suite& suite);
void add_acl_cases(Suite& suite);
void add_posix_lock_cases(Suite& suite);
void add_ofd_lock_cases(Suite& suite);
void add_flock_cases(Suite& suite);
void add_lease_cases(Suite& suite);
void add_map_cases(Suite& suite);
void add_permission_cases(Suite& suite);
void add_exec_cases(Suite& suite);
void add_ioctl_cases(Suite& suite);
void add_working_directory_cases(Suite& suite);
void add_concurrent_cases(Suite& suite);

/// What a copy of this binary does when a case executes it (see exec.cpp).
int be(int argc, char** argv);

}  // namespace posix
