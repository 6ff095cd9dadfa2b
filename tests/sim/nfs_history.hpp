// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/errno.hpp"
#include "base/time.hpp"
#include "net/nfs4/status.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace dpfs::sim {

/// What programs have asked for, what they were told, and what the server has really done: of
/// operations that must be done once. An operation is known by a key, which both sides make
/// from its arguments, and of which one at a time is under way.
///
/// The rules, for each operation asked for:
///   - told "done": the server has done it while it was asked for, once;
///   - told an error: the server has not done it;
///   - not told (given up, timed out): once or not at all.
/// And nothing is done that nobody has asked for. One exception, which RFC 8881 has no answer
/// to (docs/back-ends/nfs.md): what was done in a session that the server has lost before it
/// was answered is asked for again in the next one. So it may be done twice, or the second
/// attempt may fail because of the first.
class NfsHistory {
  public:
    using Asked = std::size_t;
    Asked ask(std::string key, Instant now);
    void tell_done(Asked asked, Instant now) { end(asked, now, Told::done, {}); }
    void tell_error(Asked asked, Errno error, Instant now) {
        end(asked, now, Told::error, error);
    }
    /// The program does not know, and will not ask for the same key again.
    void tell_nothing(Asked asked) { end(asked, Instant::never(), Told::nothing, {}); }

    // --- the server's
    void executed(std::string key, nfs4::Status status, std::uint64_t session, Instant now);
    /// The session is gone, and its reply cache with it, without its client's doing.
    void session_lost(std::uint64_t session, Instant now);

    /// What is against the rules, a line each.
    [[nodiscard]] std::vector<std::string> check() const;

    [[nodiscard]] std::size_t asked_count() const noexcept { return asked_.size(); }
    [[nodiscard]] std::size_t excused_count() const noexcept { return excused_count_; }

  private:
    enum class Told : std::uint8_t { nothing_yet, done, error, nothing };
    struct Operation {
        std::string key;
        Instant begin;
        Instant end = Instant::never();
        Told told = Told::nothing_yet;
        Errno error = {};
    };
    struct Execution {
        Instant at;
        std::uint64_t session;
    };

    void end(Asked asked, Instant now, Told told, Errno error);
    [[nodiscard]] std::vector<std::string> check(
        const std::string& key, const std::vector<const Operation*>& operations) const;
    [[nodiscard]] bool was_lost_between(std::uint64_t session, Instant from, Instant to) const;
    void check_one(const Operation& operation,
                   const std::vector<Execution>& done,
                   std::vector<std::string>& wrong) const;

    std::vector<Operation> asked_;
    std::map<std::string, std::vector<Execution>> done_;  // successfully
    std::map<std::uint64_t, Instant> lost_;
    mutable std::size_t excused_count_ = 0;
};

}  // namespace dpfs::sim
