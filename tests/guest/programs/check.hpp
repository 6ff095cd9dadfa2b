// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

/// Ends the program with the source line, the values' text and errno if a statement is not
/// true.
#define CHECK(statement)                                        \
    do {                                                        \
        if (!(statement)) {                                     \
            std::printf("%s:%d: not true: %s (errno %d: %s)\n", \
                        __FILE__,                               \
                        __LINE__,                               \
                        #statement,                             \
                        errno,                                  \
                        std::strerror(errno));                  \
            std::fflush(stdout);                                \
            std::_Exit(1);                                      \
        }                                                       \
    } while (false)
