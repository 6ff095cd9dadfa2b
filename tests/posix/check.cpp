// SPDX-License-Identifier: Apache-2.0
#include "check.hpp"

#include <cstdio>
#include <cstring>
#include <unistd.h>

namespace posix {
namespace {

int report_descriptor = STDERR_FILENO;

// One write of less than PIPE_BUF bytes: lines of several processes do not mix.
constexpr std::size_t report_size_max = 1000;

[[noreturn]] void report(char kind, std::string_view text, int exit_code) {
    std::string line(1, kind);
    for (const char c : text.substr(0, report_size_max)) {
        line += c == '\n' ? ' ' : c;
    }
    line += '\n';
    // The exit code tells of the failure even where the line is lost.
    [[maybe_unused]] const auto written = write(report_descriptor, line.data(), line.size());
    _exit(exit_code);
}

std::string quoted(std::string_view text) {
    constexpr std::size_t shown_max = 60;
    std::string out = "\"";
    for (const char c : text.substr(0, shown_max)) {
        char buffer[8];
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte < 0x7f) {
            out += c;
        } else {
            std::snprintf(buffer, sizeof buffer, "\\x%02x", byte);
            out += buffer;
        }
    }
    out += '"';
    if (text.size() > shown_max) out += "… of " + std::to_string(text.size()) + " bytes";
    return out;
}

[[noreturn]] void fail(std::string_view what,
                       std::string_view expected,
                       std::string_view came) {
    std::string message(what);
    message.append(": expected ").append(expected).append(", came ").append(came);
    report('F', message, exit_failed);
}

}  // namespace

void set_report_descriptor(int fd) {
    report_descriptor = fd;
}

void fail(const std::string& message) {
    report('F', message, exit_failed);
}

void skip(const std::string& reason) {
    report('S', reason, exit_skipped);
}

std::string errno_name(int error) {
    const char* name = strerrorname_np(error);
    return name != nullptr ? name : "errno " + std::to_string(error);
}

bool Errors::contain(int error) const {
    for (const int value : values) {
        if (value != 0 && value == error) return true;
    }
    return false;
}

std::string Errors::text() const {
    std::string out;
    for (const int value : values) {
        if (value == 0) continue;
        if (!out.empty()) out += " or ";
        out += errno_name(value);
    }
    return out;
}

void check_fails(Errors expected, Outcome outcome, std::string_view call) {
    if (!expected.contain(outcome.error)) {
        // A successful result may be a descriptor number: not worth a difference.
        fail(call, expected.text(), outcome.failed() ? errno_name(outcome.error) : "success");
    }
}

void check_returns(long long expected, Outcome outcome, std::string_view call) {
    if (outcome.failed() || outcome.value != expected) {
        fail(call, std::to_string(expected), outcome.text());
    }
}

void check_same(long long expected, long long actual, std::string_view what) {
    if (expected != actual) fail(what, std::to_string(expected), std::to_string(actual));
}

void check_same(std::string_view expected, std::string_view actual, std::string_view what) {
    if (expected != actual) fail(what, quoted(expected), quoted(actual));
}

void check_mode(unsigned expected, unsigned actual, std::string_view what) {
    if (expected == actual) return;
    char texts[2][16];
    std::snprintf(texts[0], sizeof texts[0], "%04o", expected);
    std::snprintf(texts[1], sizeof texts[1], "%04o", actual);
    fail(what, texts[0], texts[1]);
}

void check_true(bool holds, std::string_view what) {
    if (!holds) fail(what, "true", "false");
}

void check_success(Outcome outcome, std::string_view call) {
    if (outcome.failed()) fail(call, "success", errno_name(outcome.error));
}

void check_supported(Errors unsupported, Outcome outcome, std::string_view call) {
    if (!outcome.failed()) return;
    if (!unsupported.contain(outcome.error)) fail(call, "success", errno_name(outcome.error));
    std::string reason(call);
    reason.append(": ").append(errno_name(outcome.error));
    report('S', reason, exit_skipped);
}

}  // namespace posix
