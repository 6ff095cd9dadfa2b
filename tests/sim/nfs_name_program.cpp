// SPDX-License-Identifier: Apache-2.0
#include "nfs_name_program.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fcntl.h>
#include <iterator>

namespace dpfs::sim {
namespace {

constexpr std::uint64_t name_count_max = 12;

}  // namespace

NfsNameProgram::NfsNameProgram(NfsMount& mount,
                               reactor::Reactor& reactor,
                               NfsRules& rules,
                               std::string prefix)
    : caller_(mount, reactor), rules_(rules), prefix_(std::move(prefix)) {}

Task<void> NfsNameProgram::run(int steps) {
    co_await reactor::Reactor::switch_to(caller_.reactor());
    for (int i = 0; i < steps && !rules_.stopping; ++i) {
        const auto thought = co_await caller_.reactor().sleep(rules_.thought());
        static_cast<void>(thought);
        if (!has_home_) {
            has_home_ = co_await make_home();
            if (!has_home_) continue;
        }
        if (!knows_names_) co_await find_out();
        if (!knows_names_) continue;
        if (const auto time = rules_.interruption()) caller_.interrupt_after(*time);
        co_await step();
    }
}

Task<bool> NfsNameProgram::make_home() {
    const auto asked = rules_.history.ask("make " + prefix_, caller_.now());
    const auto made = co_await caller_.make_directory(fuse::root_node, prefix_);
    Result<void> done;
    if (!made) done = fail(made.error());
    if (settle(asked, done, Errno::exists)) {
        home_ = *made;
        co_return true;
    }
    if (rules_.allows(made.error())) {
        prefix_ += "+";  // the next attempt has a name of its own
        co_return false;
    }
    const auto found = co_await caller_.look_up(fuse::root_node, prefix_);
    if (found) home_ = found->node;
    co_return found.has_value();
}

Task<void> NfsNameProgram::step() {
    switch (rules_.random.below(8)) {
        case 0:
            return make_exclusively();
        case 1:
            return rename();
        case 2:
            return link();
        case 3:
        case 4:
            return remove();
        case 5:
            return list();
        default:
            return make();
    }
}

std::string NfsNameProgram::new_name() {
    const std::string name = prefix_ + "-" + std::to_string(given_up_count_) + "." +
                             std::to_string(rules_.random.below(name_count_max));
    return name;
}

std::string NfsNameProgram::pick(const std::set<std::string>& from) {
    if (from.empty()) return {};
    const auto at = static_cast<std::ptrdiff_t>(rules_.random.below(from.size()));
    return *std::next(from.begin(), at);
}

bool NfsNameProgram::settle(NfsHistory::Asked asked,
                            const Result<void>& done,
                            Errno if_done_before) {
    if (done) {
        rules_.history.tell_done(asked, caller_.now());
        return true;
    }
    knows_names_ = false;
    if (rules_.allows(done.error())) {
        rules_.history.tell_nothing(asked);
        // What was given up may still be done, later: its names are not used any more.
        ++given_up_count_;
        return false;
    }
    EXPECT_EQ(done.error(), if_done_before) << prefix_ << ": " << errno_name(done.error());
    rules_.history.tell_error(asked, done.error(), caller_.now());
    return false;
}

Task<void> NfsNameProgram::make() {
    const std::string name = new_name();
    if (files_.contains(name) || directories_.contains(name)) co_return;
    const auto asked = rules_.history.ask("make " + name, caller_.now());
    const auto made = co_await caller_.make_directory(home_, name);
    Result<void> done;
    if (!made) done = fail(made.error());
    if (!settle(asked, done, Errno::exists)) co_return;
    directories_.insert(name);
    co_await caller_.forget(*made);
}

/// O_EXCL: not even over a restart of the server may it fail because of itself.
Task<void> NfsNameProgram::make_exclusively() {
    const std::string name = new_name();
    if (files_.contains(name) || directories_.contains(name)) co_return;
    const auto asked = rules_.history.ask("make " + name, caller_.now());
    const auto made = co_await caller_.create(home_, name, O_RDWR | O_CREAT | O_EXCL);
    Result<void> done;
    if (!made) done = fail(made.error());
    if (!made) {
        EXPECT_TRUE(rules_.allows(made.error()))
            << prefix_ << ": exclusive create: " << errno_name(made.error());
    }
    if (!settle(asked, done, Errno::exists)) co_return;
    files_.insert(name);
    const auto closed = co_await caller_.close(*made);
    EXPECT_TRUE(closed || rules_.allows(closed.error())) << errno_name(closed.error());
    co_await caller_.forget(made->node);
}

Task<void> NfsNameProgram::rename() {
    const std::string from = pick(files_);
    const std::string to = new_name();
    if (from.empty() || files_.contains(to) || directories_.contains(to)) co_return;
    const auto asked = rules_.history.ask("rename " + from + " " + to, caller_.now());
    const auto done = co_await caller_.rename(home_, from, to);
    if (!settle(asked, done, Errno::no_entry)) co_return;
    files_.erase(from);
    files_.insert(to);
}

Task<void> NfsNameProgram::link() {
    const std::string from = pick(files_);
    const std::string to = new_name();
    if (from.empty() || files_.contains(to) || directories_.contains(to)) co_return;
    const auto found = co_await caller_.look_up(home_, from);
    if (!found) {
        EXPECT_TRUE(rules_.allows(found.error())) << prefix_ << errno_name(found.error());
        co_return;
    }
    const auto asked = rules_.history.ask("link " + to, caller_.now());
    const auto done = co_await caller_.link(found->node, home_, to);
    co_await caller_.forget(found->node);
    if (settle(asked, done, Errno::exists)) files_.insert(to);
}

Task<void> NfsNameProgram::remove() {
    const bool is_directory = rules_.random.chance(500);
    std::set<std::string>& names = is_directory ? directories_ : files_;
    const std::string name = pick(names);
    if (name.empty()) co_return;
    const auto asked = rules_.history.ask("remove " + name, caller_.now());
    Result<void> done;
    if (is_directory) {
        done = co_await caller_.remove_directory(home_, name);
    } else {
        done = co_await caller_.remove(home_, name);
    }
    if (settle(asked, done, Errno::no_entry)) names.erase(name);
}

Task<void> NfsNameProgram::list() {
    const auto names = co_await caller_.list(home_, rules_.random.chance(500));
    if (!names) {
        EXPECT_TRUE(rules_.allows(names.error()))
            << prefix_ << ": list: " << errno_name(names.error());
        co_return;
    }
    // A name that was spoilt on its way looks like any other.
    if (given_up_count_ > 0 || rules_.hostile) co_return;
    std::set<std::string> expected = files_;
    expected.insert(directories_.begin(), directories_.end());
    EXPECT_EQ(*names, expected) << prefix_;
}

Task<void> NfsNameProgram::find_out() {
    const auto names = co_await caller_.list(home_, false);
    if (!names) {
        EXPECT_TRUE(rules_.allows(names.error()))
            << prefix_ << ": list: " << errno_name(names.error());
        co_return;
    }
    files_.clear();
    directories_.clear();
    for (const std::string& name : *names) {
        // Names that were given up are left alone.
        if (!name.starts_with(prefix_ + "-" + std::to_string(given_up_count_) + ".")) continue;
        const auto found = co_await caller_.look_up(home_, name);
        if (!found) co_return;
        const bool is_directory = (found->attributes.mode & S_IFMT) == S_IFDIR;
        (is_directory ? directories_ : files_).insert(name);
        co_await caller_.forget(found->node);
    }
    knows_names_ = true;
}

Task<void> NfsNameProgram::finish() {
    co_await reactor::Reactor::switch_to(caller_.reactor());
    if (!has_home_ || rules_.stopping) co_return;
    if (!knows_names_) co_await find_out();
    co_await list();
    co_await caller_.forget(home_);
}

Task<void> NfsNameProgram::check_all(NfsMount& mount) {
    if (!has_home_ || given_up_count_ > 0 || !knows_names_ || rules_.hostile) co_return;
    NfsCaller caller(mount, mount.home());
    const auto home = co_await caller.look_up(fuse::root_node, prefix_);
    EXPECT_TRUE(home.has_value()) << prefix_ << ": " << errno_name(home.error());
    if (!home) co_return;
    const auto names = co_await caller.list(home->node, true);
    EXPECT_TRUE(names.has_value()) << prefix_ << ": " << errno_name(names.error());
    std::set<std::string> expected = files_;
    expected.insert(directories_.begin(), directories_.end());
    if (names) {
        EXPECT_EQ(*names, expected) << prefix_;
    }
}

}  // namespace dpfs::sim
