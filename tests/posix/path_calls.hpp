// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Every system call that takes a path, in one shape, so that what holds for all of them
/// is one row for each.

#include <span>

namespace posix {

enum class Last : bool { must_exist, may_be_missing };

struct PathCall {
    const char* name;
    long (*call)(const char* path);
    Last last;  // whether the last component has to exist
};

/// Calls by path; relative ones start at the current directory.
std::span<const PathCall> path_calls();

struct AtCall {
    const char* name;
    long (*call)(int dir, const char* path);
    bool creates;  // needs a name that is not in use
};

/// Calls with a directory descriptor.
std::span<const AtCall> at_calls();

}  // namespace posix
