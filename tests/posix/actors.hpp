#pragma once

/// Other users and other processes.

#include <sys/types.h>

#include <functional>
#include <vector>

namespace posix {

struct User {
    uid_t uid;
    gid_t gid;
    std::vector<gid_t> groups = {};
};

// None of them needs to be known to the system.
inline constexpr uid_t alice_id = 20001;
inline constexpr uid_t bob_id = 20002;
inline constexpr gid_t team_id = 20100;
inline const User alice = {alice_id, alice_id};
inline const User bob = {bob_id, bob_id};
inline const User alice_in_team = {alice_id, alice_id, {team_id}};
inline const User bob_in_team = {bob_id, bob_id, {team_id}};

/// Runs `body` in a child as `user` without any capability. An expectation that is not met
/// in the child ends the case.
void as(const User& user, const std::function<void()>& body);

/// A process that runs beside the case's own.
class Child {
public:
    explicit Child(const std::function<void()>& body);
    pid_t pid() const { return pid_; }
    /// Waits; passes a failure or skip of the child on as the case's own.
    void finish() const;
    /// Waits; returns the signal that ended it, or 0.
    int finish_by_signal() const;

private:
    pid_t pid_;
};

/// Runs `body` in a child and waits for it.
void in_child(const std::function<void()>& body);
/// The signal that ends a child which runs `body`, or 0.
int signal_from(const std::function<void()>& body);
/// Runs `body(index)` in `count` children that start together; waits for all.
void in_parallel(int count, const std::function<void(int index)>& body);

/// A gate between processes, made before the fork; it is a pipe, so no file of the file
/// system under test is involved. Each pass() lets one wait() go on.
class Gate {
public:
    Gate();
    void pass() const;
    void wait() const;
    /// Whether a pass() has come within `limit_ms`.
    bool passed_within(int limit_ms) const;

private:
    int read_end_;
    int write_end_;
};

/// How long a call that has to block is watched. Long enough to catch a call that does not.
inline constexpr int blocking_ms = 60;
/// How long a call that has been set free may take to come back.
inline constexpr int release_ms = 10'000;

}  // namespace posix
