// SPDX-License-Identifier: Apache-2.0
// Goal: mounts begin and end as the state machine in session.hpp says, whatever arrives
// meanwhile and on whatever reactor. Method: simulated reactors; a file system that takes its
// time.
#include "fuse/wire_file.hpp"
#include "fuse/wire_inode.hpp"
#include "session_fixture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dpfs::fuse::test {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using wire::Opcode;

Bytes init_request() {
    return make_request(Opcode::init, Message().add(linux_init()));
}
Bytes lookup_request() {
    return make_request(Opcode::lookup, Message().add_string("n"));
}
Bytes destroy_request() {
    return make_request(Opcode::destroy, {});
}
Bytes forget_request() {
    return make_request(Opcode::forget, Message().add(wire::ForgetIn{.nlookup = 1}));
}

TEST(Life, refuses_everything_but_init_before_it) {
    SessionFixture fixture;
    EXPECT_EQ(fixture.ask(lookup_request())->out_header().error, -EIO);
    EXPECT_EQ(fixture.ask(destroy_request())->out_header().error, -EIO);
    EXPECT_EQ(fixture.ask(forget_request(), 0)->size, 0U);
    EXPECT_THAT(fixture.files.calls, IsEmpty());
}

// A guest that crashed and was restarted by the same VMM says nothing before its next INIT.
TEST(Life, a_second_init_ends_the_mount_before_it) {
    SessionFixture fixture(2);
    fixture.mount();
    fixture.files.delay = seconds(1000);
    const auto waiting = fixture.send(lookup_request(), 4096, Layout::linux_like, 1);
    const auto init = fixture.ask(init_request());
    EXPECT_EQ(waiting->out_header().error, -EINTR);
    EXPECT_EQ(fixture.files.destroyed, 1);
    EXPECT_EQ(init->out_header().error, 0);
    EXPECT_TRUE(fixture.session->running());
}

TEST(Life, a_malformed_init_or_destroy_changes_nothing) {
    SessionFixture fixture;
    EXPECT_EQ(fixture.ask(make_request(Opcode::init, Message().fill(15)))->out_header().error,
              -EINVAL);
    EXPECT_EQ(fixture.ask(init_request(), 15)->size, 0U);
    fixture.mount();
    EXPECT_TRUE(fixture.session->running());
    EXPECT_EQ(fixture.ask(destroy_request(), 15)->size, 0U);
    EXPECT_TRUE(fixture.session->running());
    EXPECT_EQ(fixture.ask(lookup_request())->out_header().error, 0);
}

TEST(Life, answers_init_when_the_file_system_is_ready) {
    SessionFixture fixture;
    fixture.files.init_delay = seconds(3);
    const auto init = fixture.send(init_request());
    fixture.sleep(seconds(2));
    EXPECT_EQ(init->completions, 0);
    EXPECT_FALSE(fixture.session->running());
    fixture.wait_for(*init);
    EXPECT_EQ(init->out_header().error, 0);
    EXPECT_TRUE(fixture.session->running());
}

TEST(Life, keeps_what_comes_during_init_and_serves_it_afterwards) {
    SessionFixture fixture(3);
    fixture.files.init_delay = seconds(3);
    const auto init = fixture.send(init_request(), 4096, Layout::linux_like, 1);
    const auto here = fixture.send(lookup_request(), 4096, Layout::linux_like, 1);
    const auto elsewhere = fixture.send(lookup_request(), 4096, Layout::linux_like, 2);
    const auto forget = fixture.send(forget_request(), 0);
    fixture.sleep(seconds(1));
    EXPECT_EQ(here->completions + elsewhere->completions + forget->completions, 0);
    fixture.wait_for(*here);
    fixture.wait_for(*elsewhere);
    fixture.wait_for(*forget);
    EXPECT_EQ(here->out_header().error, 0);
    EXPECT_EQ(elsewhere->out_header().error, 0);
    EXPECT_EQ(init->completions, 1);
    EXPECT_EQ(fixture.files.calls.size(), 4U);
}

TEST(Life, refuses_what_waits_for_an_init_that_fails) {
    SessionFixture fixture;
    fixture.files.init_delay = seconds(3);
    fixture.files.init_error = Errno::connection_refused;
    const auto init = fixture.send(init_request());
    const auto lookup = fixture.ask(lookup_request());
    EXPECT_EQ(init->out_header().error, -ECONNREFUSED);
    EXPECT_EQ(lookup->out_header().error, -EIO);

    fixture.files.init_error = Errno{0};
    fixture.mount();
    EXPECT_TRUE(fixture.session->running()) << "it may be tried again";
}

TEST(Life, holds_a_bounded_number_of_requests) {
    SessionOptions options;
    options.held_count_max = 2;
    SessionFixture fixture(1, options);
    fixture.files.init_delay = seconds(3);
    const auto init = fixture.send(init_request());
    const auto first = fixture.send(lookup_request());
    const auto second = fixture.send(lookup_request());
    const auto third = fixture.send(lookup_request());
    EXPECT_EQ(third->out_header().error, -EIO);
    fixture.wait_for(*first);
    fixture.wait_for(*second);
    EXPECT_EQ(first->out_header().error, 0);
    EXPECT_EQ(second->out_header().error, 0);
    EXPECT_EQ(init->completions, 1);
}

TEST(Life, serves_two_inits_one_after_the_other) {
    SessionFixture fixture(2);
    fixture.files.init_delay = seconds(3);
    const auto first = fixture.send(init_request(), 4096, Layout::linux_like, 0);
    const auto second = fixture.ask(init_request(), 4096, Layout::linux_like, 1);
    EXPECT_EQ(first->out_header().error, 0);
    EXPECT_EQ(second->out_header().error, 0);
    EXPECT_EQ(fixture.files.destroyed, 1) << "the first mount, by the second INIT";
    EXPECT_THAT(fixture.files.calls, ElementsAre("init", "init"));
}

TEST(Life, destroy_ends_waits_and_is_answered_when_nothing_is_under_way) {
    SessionFixture fixture(2);
    fixture.mount();
    fixture.files.delay = seconds(1000);
    const auto waiting = fixture.send(lookup_request(), 4096, Layout::linux_like, 1);
    const auto forget = fixture.send(forget_request(), 0, Layout::linux_like, 1);
    const auto destroy = fixture.send(destroy_request());
    fixture.wait_for(*waiting);
    EXPECT_EQ(waiting->out_header().error, -EINTR);
    EXPECT_EQ(fixture.files.destroyed, 0) << "the forget is still under way";
    EXPECT_EQ(destroy->completions, 0);
    fixture.wait_for(*destroy);
    EXPECT_EQ(forget->completions, 1);
    EXPECT_EQ(fixture.files.destroyed, 1);
    EXPECT_EQ(destroy->size, sizeof(wire::OutHeader));
    EXPECT_EQ(destroy->out_header().error, 0);
    EXPECT_FALSE(fixture.session->running());
}

TEST(Life, starts_afresh_with_an_init_that_comes_during_destroy) {
    SessionFixture fixture(2);
    fixture.mount();
    fixture.files.delay = seconds(3);
    const auto destroy = fixture.send(destroy_request());
    const auto init = fixture.send(init_request(), 4096, Layout::linux_like, 1);
    EXPECT_EQ(init->completions, 0);
    fixture.wait_for(*init);
    EXPECT_EQ(init->out_header().error, 0);
    EXPECT_EQ(destroy->completions, 1);
    EXPECT_EQ(fixture.files.destroyed, 1);
    EXPECT_TRUE(fixture.session->running());
}

TEST(Life, reset_ends_a_mount_as_destroy_does) {
    SessionFixture fixture;
    fixture.mount();
    fixture.run(fixture.session->reset());
    EXPECT_EQ(fixture.files.destroyed, 1);
    EXPECT_EQ(fixture.ask(lookup_request())->out_header().error, -EIO);
    fixture.mount();
    EXPECT_EQ(fixture.ask(lookup_request())->out_header().error, 0);
}

TEST(Life, reset_of_a_fresh_session_tells_the_file_system_nothing) {
    SessionFixture fixture;
    fixture.run(fixture.session->reset());
    fixture.run(fixture.session->reset());
    EXPECT_EQ(fixture.files.destroyed, 0);
}

Task<void> interrupt_waits(Session& session) {
    session.interrupt_waits();
    co_return;
}

TEST(Life, interrupt_waits_ends_waits_on_every_reactor) {
    SessionFixture fixture(3);
    fixture.mount();
    fixture.files.delay = seconds(1000);
    const auto one = fixture.send(lookup_request(), 4096, Layout::linux_like, 1);
    const auto two = fixture.send(lookup_request(), 4096, Layout::linux_like, 2);
    fixture.run(interrupt_waits(*fixture.session));
    fixture.wait_for(*one);
    fixture.wait_for(*two);
    EXPECT_EQ(one->out_header().error, -EINTR);
    EXPECT_EQ(two->out_header().error, -EINTR);
    EXPECT_EQ(one->completions + two->completions, 2);
}

TEST(Life, interrupt_waits_ends_a_slow_init) {
    SessionFixture fixture(2);
    fixture.files.init_delay = seconds(1000);
    const auto init = fixture.send(init_request(), 4096, Layout::linux_like, 1);
    const auto held = fixture.send(lookup_request());
    fixture.run(interrupt_waits(*fixture.session));
    fixture.wait_for(*held);
    EXPECT_EQ(init->out_header().error, -EINTR);
    EXPECT_EQ(held->out_header().error, -EIO);
}

TEST(Life, interrupt_waits_ends_an_init_that_first_ends_a_mount) {
    SessionFixture fixture(2);
    fixture.mount();
    fixture.files.delay = seconds(3);
    const auto forget = fixture.send(forget_request(), 0, Layout::linux_like, 1);
    fixture.files.delay = {};
    fixture.files.init_delay = seconds(1000);
    const auto init = fixture.send(init_request());
    fixture.run(interrupt_waits(*fixture.session));
    EXPECT_EQ(forget->completions, 0) << "the old mount has not ended yet";
    fixture.wait_for(*init);
    EXPECT_EQ(init->out_header().error, -EINTR);
    EXPECT_FALSE(fixture.session->running());
}

TEST(Life, interrupt_finds_its_request_on_another_reactor) {
    SessionFixture fixture(3);
    fixture.mount();
    fixture.files.delay = seconds(1000);
    const auto waiting = fixture.send(lookup_request(), 4096, Layout::linux_like, 2);
    const auto interrupt = fixture.send(
        make_request(Opcode::interrupt, Message().add(wire::InterruptIn{.unique = 7})), 0);
    fixture.wait_for(*waiting);
    EXPECT_EQ(waiting->out_header().error, -EINTR);
    EXPECT_EQ(interrupt->completions, 1);
}

// Else a tenant could give the other reactors work without end.
TEST(Life, interrupt_is_under_way_as_long_as_it_looks) {
    SessionFixture fixture(3);
    fixture.mount();
    const auto interrupt = fixture.send(
        make_request(Opcode::interrupt, Message().add(wire::InterruptIn{.unique = 7})),
        0,
        Layout::linux_like,
        1);
    EXPECT_EQ(interrupt->completions, 0);
    fixture.wait_for(*interrupt);
    EXPECT_EQ(interrupt->size, 0U);
}

TEST(Life, interrupt_of_an_unknown_number_does_nothing) {
    SessionFixture fixture(2);
    fixture.mount();
    fixture.files.delay = milliseconds(10);
    const auto waiting = fixture.send(lookup_request());
    const auto interrupt = fixture.ask(
        make_request(Opcode::interrupt, Message().add(wire::InterruptIn{.unique = 8})), 0);
    fixture.wait_for(*waiting);
    EXPECT_EQ(waiting->out_header().error, 0);
    EXPECT_EQ(interrupt->size, 0U);
}

Bytes setlkw_request() {
    return make_request(
        Opcode::setlkw,
        Message().add(wire::LkIn{.fh = 1,
                                 .owner = 2,
                                 .lk = {.start = 0, .end = INT64_MAX, .type = 1, .pid = 0},
                                 .lk_flags = 0,
                                 .padding = 0}));
}

TEST(Life, a_lock_wait_is_bounded) {
    SessionOptions options;
    options.lock_wait_max = seconds(30);
    SessionFixture fixture(1, options);
    fixture.mount();
    fixture.files.delay = seconds(1000);
    const auto waiting = fixture.send(setlkw_request());
    fixture.sleep(seconds(29));
    EXPECT_EQ(waiting->completions, 0);
    fixture.sleep(seconds(2));
    EXPECT_EQ(waiting->completions, 1);
    EXPECT_EQ(waiting->out_header().error, -EDEADLK);
}

TEST(Life, a_lock_wait_is_unbounded_where_that_is_wanted) {
    SessionOptions options;
    options.lock_wait_max = {};
    SessionFixture fixture(1, options);
    fixture.mount();
    fixture.files.delay = seconds(100);
    EXPECT_EQ(fixture.ask(setlkw_request())->out_header().error, 0);
}

TEST(Life, a_blocked_lock_blocks_nothing_else) {
    SessionFixture fixture;
    fixture.mount();
    fixture.files.delay = seconds(10);
    const auto waiting = fixture.send(setlkw_request());
    fixture.files.delay = {};
    EXPECT_EQ(fixture.ask(lookup_request())->completions, 1);
    EXPECT_EQ(waiting->completions, 0);
    fixture.wait_for(*waiting);
}

TEST(Life, counts_what_it_answered) {
    SessionFixture fixture(2);
    fixture.mount();
    fixture.ask(lookup_request());
    fixture.ask(lookup_request(), 4096, Layout::linux_like, 1);
    fixture.files.error = Errno::no_entry;
    fixture.ask(lookup_request());
    fixture.ask(make_request(Opcode{99}, {}));
    fixture.ask(Bytes(5), 0);

    const SessionStatistics counted = fixture.session->statistics();
    ASSERT_EQ(counted.operations.size(), 2U);
    EXPECT_EQ(counted.operations[0].name, "LOOKUP");
    EXPECT_EQ(counted.operations[0].count, 3U);
    EXPECT_EQ(counted.operations[0].errors, 1U);
    EXPECT_EQ(counted.operations[1].name, "INIT");
    EXPECT_EQ(counted.unknown, 1U);
    EXPECT_EQ(counted.malformed, 1U);
}

TEST(LifeDeathTest, forgetting_to_complete_is_a_programmer_error) {
    reactor::SimWorld world{1};
    TestQueue queue(world.add_reactor(), 0, false);
    TestRequest request(queue, Bytes(40), 16, Layout::linux_like);
    EXPECT_DEATH(
        {
            hal::RequestHandle handle(request);
            // Forgotten: the duty is still there when the handle goes.
        },
        "request_ == nullptr");
}

}  // namespace
}  // namespace dpfs::fuse::test
