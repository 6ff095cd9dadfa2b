// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Expectations. The first one that is not met ends the case: it sends one line to the
/// runner and leaves the process. The text of a line is the source text of the call, so it
/// is the same in each run and can be compared between two file systems.

#include <cerrno>
#include <concepts>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <type_traits>

namespace posix {

/// Ends the case as failed or skipped. `message` must not vary from run to run.
[[noreturn]] void fail(const std::string& message);
[[noreturn]] void skip(const std::string& reason);

/// Where fail() and skip() write to; set once in each case's process.
void set_report_descriptor(int fd);

/// How the process of a case ends; a parent passes its child's code on.
inline constexpr int exit_passed = 0;
inline constexpr int exit_failed = 101;
inline constexpr int exit_skipped = 102;

std::string errno_name(int error);

/// A set of errno values of which any one will do.
struct Errors {
    int values[4] = {};

    // Implicit, so that a plain errno stands for itself.
    Errors(int error) : values{error} {}
    Errors(int a, int b, int c = 0, int d = 0) : values{a, b, c, d} {}

    bool contain(int error) const;
    std::string text() const;
};

inline Errors either(int a, int b, int c = 0, int d = 0) {
    return Errors(a, b, c, d);
}

/// The result of a call, with errno as it was right behind the call.
struct Outcome {
    long long value = 0;
    int error = 0;  // 0: the call succeeded

    template <std::integral T>
    explicit Outcome(T result)
        : value(static_cast<long long>(result)), error(result == T(-1) ? errno : 0) {}
    template <typename T>
    explicit Outcome(T* result)
        : error(result == nullptr || result == MAP_FAILED ? errno : 0) {}

    bool failed() const { return error != 0; }
    std::string text() const { return failed() ? errno_name(error) : std::to_string(value); }
};

void check_fails(Errors expected, Outcome outcome, std::string_view call);
void check_returns(long long expected, Outcome outcome, std::string_view call);
void check_same(long long expected, long long actual, std::string_view what);
void check_same(std::string_view expected, std::string_view actual, std::string_view what);
void check_mode(unsigned expected, unsigned actual, std::string_view what);
void check_true(bool holds, std::string_view what);
void check_success(Outcome outcome, std::string_view call);
void check_supported(Errors unsupported, Outcome outcome, std::string_view call);

template <typename T>
T check_ok(T result, std::string_view call) {
    check_success(Outcome(result), call);
    return result;
}

template <typename T>
T check_needs(Errors unsupported, T result, std::string_view call) {
    check_supported(unsupported, Outcome(result), call);
    return result;
}

}  // namespace posix

// Macros, because the message is the source text of the call.

/// The call succeeds; yields its result.
#define CHECK_OK(...) ::posix::check_ok((__VA_ARGS__), #__VA_ARGS__)
/// The call fails with `error` (an errno, or `either(…)`).
#define CHECK_FAILS(error, ...) \
    ::posix::check_fails((error), ::posix::Outcome(__VA_ARGS__), #__VA_ARGS__)
/// The call returns `expected`; if it fails instead, the message names the errno.
#define CHECK_RETURNS(expected, ...) \
    ::posix::check_returns((expected), ::posix::Outcome(__VA_ARGS__), #__VA_ARGS__)
/// Two values, integers or strings, are equal.
#define CHECK_SAME(expected, ...) ::posix::check_same((expected), (__VA_ARGS__), #__VA_ARGS__)
/// Two modes are equal; printed in octal.
#define CHECK_MODE(expected, ...) ::posix::check_mode((expected), (__VA_ARGS__), #__VA_ARGS__)
#define CHECK(...) ::posix::check_true((__VA_ARGS__), #__VA_ARGS__)
/// As CHECK_OK, but skips the case where the call fails with one of `unsupported`: the
/// file system's own word that it does not have the feature.
#define CHECK_NEEDS(unsupported, ...) \
    ::posix::check_needs((unsupported), (__VA_ARGS__), #__VA_ARGS__)
