// SPDX-License-Identifier: Apache-2.0
// Goal: what a thread does as somebody else has that one's owner, groups and set-id rules, and
// no other thread notices. Method: real files, each case on a thread of its own.
#include "reactor/credentials.hpp"

#include "reactor_fixture.hpp"

#include <algorithm>
#include <latch>
#include <linux/openat2.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <thread>
#include <vector>

namespace dpfs::reactor {
namespace {

constexpr Credentials alice = {.uid = 4001, .gid = 4002};

Credentials with_groups(std::initializer_list<std::uint32_t> groups) {
    Credentials who = alice;
    std::ranges::copy(groups, who.groups.begin());
    who.group_count = static_cast<std::uint32_t>(groups.size());
    return who;
}

class ActAs : public testing::Test {
  protected:
    void SetUp() override {
        if (!can_switch_credentials()) GTEST_SKIP() << "needs CAP_SETUID and CAP_SETGID";
        ::chmod(scratch_.path().c_str(), 0777);
    }
    [[nodiscard]] std::string path(std::string_view name) const { return scratch_.path(name); }

    template <class Work>
    static void on_prepared_thread(Work work) {
        std::thread thread([&] {
            EXPECT_TRUE(prepare_thread_credentials());
            work();
        });
        thread.join();
    }
    [[nodiscard]] UniqueFd create(std::string_view name, mode_t mode = 0644) const {
        return UniqueFd(::open(path(name).c_str(), O_CREAT | O_RDWR | O_CLOEXEC, mode));
    }

  private:
    ScratchDirectory scratch_;
};

struct stat attributes_of(int fd) {
    struct stat found = {};
    EXPECT_EQ(::fstat(fd, &found), 0);
    return found;
}

std::vector<gid_t> thread_groups() {
    std::vector<gid_t> groups(64);
    const int count = ::getgroups(static_cast<int>(groups.size()), groups.data());
    groups.resize(static_cast<std::size_t>(std::max(count, 0)));
    std::ranges::sort(groups);
    return groups;
}

TEST_F(ActAs, a_new_file_belongs_to_whom_the_thread_acts_as) {
    on_prepared_thread([this] {
        ASSERT_TRUE(act_as(&alice));
        const UniqueFd hers = create("hers");
        EXPECT_EQ(attributes_of(hers.get()).st_uid, alice.uid);
        EXPECT_EQ(attributes_of(hers.get()).st_gid, alice.gid);

        ASSERT_TRUE(act_as(nullptr));
        const UniqueFd ours = create("ours");
        EXPECT_EQ(attributes_of(ours.get()).st_uid, ::geteuid());
        EXPECT_EQ(attributes_of(ours.get()).st_gid, ::getegid());
    });
}

TEST_F(ActAs, other_threads_do_not_notice) {
    on_prepared_thread([this] {
        ASSERT_TRUE(act_as(&alice));
        std::thread other([this] {
            // Made by a thread that acts as Alice, it is the daemon all the same.
            EXPECT_TRUE(prepare_thread_credentials());
            EXPECT_EQ(attributes_of(create("others").get()).st_uid, ::geteuid());
        });
        other.join();
        EXPECT_EQ(attributes_of(create("hers").get()).st_uid, alice.uid);
    });
    EXPECT_EQ(attributes_of(create("of_main_thread").get()).st_uid, ::geteuid());
}

TEST_F(ActAs, group_lists_come_and_go) {
    const Credentials grouped = with_groups({7001, 7002, 7003});
    on_prepared_thread([&] {
        const std::vector<gid_t> before = thread_groups();
        ASSERT_TRUE(act_as(&grouped));
        EXPECT_EQ(thread_groups(), (std::vector<gid_t>{7001, 7002, 7003}));
        ASSERT_TRUE(act_as(&alice));
        EXPECT_TRUE(thread_groups().empty());
        ASSERT_TRUE(act_as(nullptr));
        EXPECT_EQ(thread_groups(), before);
    });
}

TEST_F(ActAs, a_write_by_another_clears_set_id_bits) {
    on_prepared_thread([this] {
        const UniqueFd file = create("f");
        ASSERT_EQ(::fchmod(file.get(), 06755), 0);
        ASSERT_TRUE(act_as(&alice));
        EXPECT_EQ(::pwrite(file.get(), "x", 1, 0), 1);
        EXPECT_EQ(attributes_of(file.get()).st_mode & 06000, 0u);
    });
}

TEST_F(ActAs, permissions_are_the_tenants_business_not_ours) {
    on_prepared_thread([this] {
        ASSERT_TRUE(create("secret", 0600));
        ASSERT_TRUE(act_as(&alice));
        // default_permissions: the tenant's kernel has allowed it, so it is allowed.
        EXPECT_TRUE(UniqueFd(::open(path("secret").c_str(), O_RDWR | O_CLOEXEC)));
        EXPECT_TRUE(UniqueFd(::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)));
    });
}

TEST_F(ActAs, a_uid_that_is_none_is_refused_and_leaves_no_half_switch) {
    const Credentials none = {.uid = ~0u, .gid = 5};
    const Credentials no_group = {.uid = 5, .gid = ~0u};
    on_prepared_thread([&] {
        EXPECT_EQ(act_as(&none).error(), Errno::not_permitted);
        EXPECT_EQ(act_as(&no_group).error(), Errno::not_permitted);
        ASSERT_TRUE(act_as(nullptr));
        EXPECT_EQ(static_cast<uid_t>(::setfsuid(~0u)), ::geteuid());
        EXPECT_EQ(static_cast<gid_t>(::setfsgid(~0u)), ::getegid());
        ASSERT_TRUE(act_as(&alice));
        EXPECT_EQ(static_cast<uid_t>(::setfsuid(~0u)), alice.uid);
    });
}

TEST_F(ActAs, equal_values_are_equal_whatever_lies_behind_the_list) {
    Credentials one = with_groups({1, 2});
    Credentials other = one;
    other.groups[2] = 99;  // beyond group_count
    EXPECT_EQ(one, other);
    other.group_count = 3;
    EXPECT_NE(one, other);
    one.uid = 1;
    EXPECT_NE(one, with_groups({1, 2}));
}

// --- operations of a reactor

using Impersonation = EachReactor;

Task<void> create_as(Reactor& reactor, const Credentials* who, std::string path) {
    open_how how = {};
    how.flags = O_CREAT | O_WRONLY | O_CLOEXEC;
    how.mode = 0600;
    const auto fd = co_await reactor.openat2(AT_FDCWD, path.c_str(), how).as(who);
    EXPECT_TRUE(fd.has_value());
    EXPECT_EQ(attributes_of(fd->get()).st_uid, who != nullptr ? who->uid : ::geteuid());
    EXPECT_EQ(attributes_of(fd->get()).st_gid, who != nullptr ? who->gid : ::getegid());
}

constexpr int caller_count = 600;  // more than a ring keeps registered

Task<void> create_as_many(Reactor& reactor, ScratchDirectory& scratch) {
    std::vector<Credentials> callers(caller_count);
    for (std::uint32_t i = 0; i < caller_count; ++i) callers[i] = {.uid = 9000 + i, .gid = i};
    Gate gate;
    for (int i = 0; i < caller_count; ++i) {
        const auto index = static_cast<std::size_t>(i);
        const std::string name = std::to_string(i);
        gate.spawn(create_as(reactor, &callers[index], scratch.path("a" + name)));
        // In place, the thread becomes somebody else while requests wait in the queue.
        if (i % 5 == 0) {
            EXPECT_TRUE(act_as(&callers[index]).has_value());
        }
        if (i % 7 == 0) gate.spawn(create_as(reactor, nullptr, scratch.path("d" + name)));
    }
    co_await gate.close();
    EXPECT_TRUE(act_as(nullptr).has_value());
}

TEST_P(Impersonation, each_of_many_operations_acts_as_its_own_caller) {
    if (!can_switch_credentials()) GTEST_SKIP() << "needs CAP_SETUID and CAP_SETGID";
    ScratchDirectory scratch;
    run(create_as_many(reactor(), scratch));
}

Task<void> operate_as_nobody(Reactor& reactor, std::string path) {
    const Credentials none = {.uid = ~0u, .gid = 1};
    const auto made = co_await reactor.mkdirat(AT_FDCWD, path.c_str(), 0700).as(&none);
    EXPECT_EQ(made.error(), Errno::not_permitted);
}

TEST_P(Impersonation, an_operation_of_nobody_that_exists_is_refused) {
    if (!can_switch_credentials()) GTEST_SKIP() << "needs CAP_SETUID and CAP_SETGID";
    const ScratchDirectory scratch;
    const std::string path = scratch.path("never");
    run(operate_as_nobody(reactor(), path));
    EXPECT_EQ(::access(path.c_str(), F_OK), -1);
}

Task<void> write_as(Reactor& reactor, Credentials who, int fd) {
    std::string text = "x";
    const iovec from = buffer_of(text);
    EXPECT_EQ(co_await reactor.writev(fd, std::span(&from, 1), 0).as(&who), 1u);
}

TEST_P(Impersonation, a_write_as_another_clears_set_id_bits) {
    if (!can_switch_credentials()) GTEST_SKIP() << "needs CAP_SETUID and CAP_SETGID";
    const ScratchDirectory scratch;
    const UniqueFd file(::open(scratch.path("f").c_str(), O_CREAT | O_RDWR, 0755));
    ASSERT_EQ(::fchmod(file.get(), 06755), 0);
    run(write_as(reactor(), alice, file.get()));
    EXPECT_EQ(attributes_of(file.get()).st_mode & 06000, 0u);
}

DPFS_ON_EACH_REACTOR(Impersonation);

}  // namespace
}  // namespace dpfs::reactor
