// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Other users and other processes.

#include <sys/types.h>
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

/// A process that runs beside the case's own.
class Child {
  public:
    template <typename Body>
    explicit Child(const Body& body) : pid_(fork_child()) {
        if (pid_ != 0) return;
        body();
        leave();
    }
    pid_t pid() const { return pid_; }
    /// Waits; passes a failure or skip of the child on as the case's own.
    void finish() const;
    /// Waits; returns the signal that ended it, or 0.
    int finish_by_signal() const;

  private:
    static pid_t fork_child();
    [[noreturn]] static void leave();

    pid_t pid_;
};

/// Gives up root for good: ids, groups and with them all capabilities.
void become(const User& user);

/// Runs `body` in a child and waits for it.
template <typename Body>
void in_child(const Body& body) {
    Child(body).finish();
}

/// Runs `body` in a child as `user`. An expectation that is not met there ends the case.
template <typename Body>
void as(const User& user, const Body& body) {
    in_child([&] {
        become(user);
        body();
    });
}

/// The signal that ends a child which runs `body`, or 0.
template <typename Body>
int signal_from(const Body& body) {
    return Child(body).finish_by_signal();
}

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

/// Runs `body(index)` in `count` children that start together; waits for all.
template <typename Body>
void in_parallel(int count, const Body& body) {
    const Gate start;
    std::vector<Child> children;
    for (int index = 0; index < count; ++index) {
        children.emplace_back([&, index] {
            start.wait();
            body(index);
        });
    }
    for (int index = 0; index < count; ++index) start.pass();
    for (const Child& child : children) child.finish();
}

/// How long a call that has to block is watched. Long enough to catch a call that does not.
inline constexpr int blocking_ms = 60;
/// How long a call that has been set free may take to come back.
inline constexpr int release_ms = 10'000;

}  // namespace posix
