// SPDX-License-Identifier: Apache-2.0
#include "nfs_counter_program.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fcntl.h>

namespace dpfs::sim {

NfsCounterProgram::NfsCounterProgram(NfsMount& mount,
                                     reactor::Reactor& reactor,
                                     NfsRules& rules,
                                     NfsCounter& counter,
                                     std::uint64_t owner)
    : caller_(mount, reactor), rules_(rules), counter_(counter), owner_(owner) {}

Task<void> NfsCounterProgram::run(int steps) {
    co_await reactor::Reactor::switch_to(caller_.reactor());
    for (int i = 0; i < steps && !rules_.stopping; ++i) {
        const auto thought = co_await caller_.reactor().sleep(rules_.thought());
        static_cast<void>(thought);
        if (const auto time = rules_.interruption()) caller_.interrupt_after(*time);
        co_await count();
    }
}

bool NfsCounterProgram::may_be_lost() const {
    return rules_.server.core().state.loss_count() != losses_at_lock_;
}

void NfsCounterProgram::complain(const char* what, Errno error) {
    must_reopen_ = true;
    // Who has locked through a file is told, until it is closed, that the lock was lost.
    const bool had_loss = rules_.server.core().state.loss_count() != losses_at_open_;
    if (error == Errno::io_error && had_loss) {
        ++counter_.lost_lock_count;
        return;
    }
    EXPECT_TRUE(rules_.allows(error))
        << "counter " << owner_ << ": " << what << ": " << errno_name(error);
}

Task<bool> NfsCounterProgram::open() {
    if (open_ && must_reopen_) {
        open_ = false;
        const auto closed = co_await caller_.close(file_);
        static_cast<void>(closed);  // what it was is over
        co_await caller_.forget(file_.node);
    }
    must_reopen_ = false;
    if (open_) co_return true;
    losses_at_open_ = rules_.server.core().state.loss_count();
    const auto made = co_await caller_.create(fuse::root_node, counter_.name, O_RDWR | O_CREAT);
    if (!made) {
        complain("create", made.error());
        co_return false;
    }
    file_ = *made;
    open_ = true;
    co_return true;
}

Task<bool> NfsCounterProgram::take_lock() {
    losses_at_lock_ = rules_.server.core().state.loss_count();
    const bool waits = rules_.random.chance(800);
    const auto locked = co_await caller_.lock(file_, owner_, F_WRLCK, waits);
    if (!locked) {
        // A blocked lock that takes too long is interrupted.
        const bool is_denied = locked.error() == (waits ? Errno::interrupted : Errno::again);
        if (!is_denied) complain("lock", locked.error());
        co_return false;
    }
    // Granted, and lost again before the answer came: it says nothing about others.
    if (may_be_lost()) co_return true;
    const bool others_is_gone = rules_.server.core().state.loss_count() != counter_.losses_seen;
    EXPECT_TRUE(counter_.holder == 0 || others_is_gone)
        << "counter: " << owner_ << " and " << counter_.holder << " have the lock";
    counter_.holder = owner_;
    counter_.losses_seen = losses_at_lock_;
    co_return true;
}

Task<void> NfsCounterProgram::release_lock() {
    if (counter_.holder == owner_) counter_.holder = 0;
    const auto unlocked = co_await caller_.lock(file_, owner_, F_UNLCK, false);
    if (!unlocked) complain("unlock", unlocked.error());
}

Task<void> NfsCounterProgram::count() {
    const bool is_open = co_await open();
    if (!is_open) co_return;
    const bool is_locked = co_await take_lock();
    if (!is_locked) co_return;
    co_await add_one();
    co_await release_lock();
}

Task<void> NfsCounterProgram::add_one() {
    const auto data = co_await caller_.read(file_, 0, sizeof(std::uint64_t));
    if (!data) {
        complain("read", data.error());
        co_return;
    }
    std::uint64_t value = 0;
    std::memcpy(&value, data->data(), std::min(data->size(), sizeof value));
    const bool is_known = value == counter_.value || counter_.perhaps.contains(value);
    EXPECT_TRUE(is_known || may_be_lost())
        << "counter " << owner_ << ": reads " << value << " after " << counter_.value;
    const std::uint64_t next = value + 1;
    counter_.perhaps.insert(next);
    const auto written = co_await caller_.write(file_, 0, std::as_bytes(std::span(&next, 1)));
    if (!written || *written != sizeof next) {
        // A write that ends in the middle has met with an error there.
        complain("write", written ? Errno::io_error : written.error());
        co_return;
    }
    const auto synced = co_await caller_.sync(file_);
    if (!synced) {
        complain("fsync", synced.error());
        co_return;
    }
    counter_.value = std::max(counter_.value, next);
    if (rules_.interruptions == 0 && !rules_.has_time_limit && !may_be_lost()) {
        counter_.perhaps.clear();
    }
}

Task<void> NfsCounterProgram::finish() {
    co_await reactor::Reactor::switch_to(caller_.reactor());
    if (!open_) co_return;
    const auto closed = co_await caller_.close(file_);
    EXPECT_TRUE(closed || must_reopen_ || rules_.allows(closed.error()))
        << "counter " << owner_ << ": close: " << errno_name(closed.error());
    co_await caller_.forget(file_.node);
    open_ = false;
}

Task<void> NfsCounterProgram::check_all(NfsMount& mount) {
    const ModelInode* const file = rules_.server.core().files.find_path(counter_.name);
    static_cast<void>(mount);
    if (file == nullptr) {
        EXPECT_EQ(counter_.value, 0U);
        co_return;
    }
    std::uint64_t value = 0;
    const std::size_t size = std::min(file->data.size(), sizeof value);
    if (size > 0) std::memcpy(&value, file->data.data(), size);
    EXPECT_TRUE(value == counter_.value || counter_.perhaps.contains(value))
        << "counter: " << value << " at the server, " << counter_.value << " acknowledged";
}

}  // namespace dpfs::sim
