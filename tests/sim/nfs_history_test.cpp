// SPDX-License-Identifier: Apache-2.0
// Goal: the checker of histories finds each breach of its rules, and nothing else.
// Method: doctored histories, one for each rule and for each exception.
#include "nfs_history.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dpfs::sim {
namespace {

using nfs4::Status;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr Instant at(std::int64_t time) {
    return Instant{} + nanoseconds(time);
}

TEST(NfsHistory, is_content_with_what_was_done_once_while_it_was_asked_for) {
    NfsHistory history;
    const auto asked = history.ask("make a", at(10));
    history.executed("make a", Status::ok, 1, at(15));
    history.tell_done(asked, at(20));
    EXPECT_THAT(history.check(), IsEmpty());
}

TEST(NfsHistory, is_content_with_an_error_where_nothing_was_done) {
    NfsHistory history;
    const auto asked = history.ask("make a", at(10));
    history.executed("make a", Status::exist, 1, at(15));
    history.tell_error(asked, Errno::exists, at(20));
    EXPECT_THAT(history.check(), IsEmpty());
}

TEST(NfsHistory, finds_what_is_lost) {
    NfsHistory history;
    const auto asked = history.ask("make a", at(10));
    history.tell_done(asked, at(20));
    EXPECT_THAT(history.check(), ElementsAre(HasSubstr("answered, and not done")));
}

TEST(NfsHistory, finds_what_is_done_twice) {
    NfsHistory history;
    const auto asked = history.ask("make a", at(10));
    history.executed("make a", Status::ok, 1, at(15));
    history.executed("make a", Status::ok, 1, at(16));
    history.tell_done(asked, at(20));
    EXPECT_THAT(history.check(), ElementsAre(HasSubstr("done twice, at 15 and 16 ns")));
}

TEST(NfsHistory, finds_what_is_done_again_after_its_answer) {
    NfsHistory history;
    const auto asked = history.ask("make a", at(10));
    history.executed("make a", Status::ok, 1, at(15));
    history.tell_done(asked, at(20));
    history.executed("make a", Status::ok, 1, at(21));
    EXPECT_THAT(history.check(), ElementsAre(HasSubstr("when it was not asked for")));
}

TEST(NfsHistory, finds_what_is_done_before_it_is_asked_for) {
    NfsHistory history;
    history.executed("make a", Status::ok, 1, at(5));
    const auto asked = history.ask("make a", at(10));
    history.tell_error(asked, Errno::exists, at(20));
    EXPECT_THAT(history.check(), ElementsAre(HasSubstr("when it was not asked for")));
}

TEST(NfsHistory, finds_what_nobody_has_asked_for) {
    NfsHistory history;
    history.executed("remove a", Status::ok, 1, at(5));
    EXPECT_THAT(history.check(), ElementsAre(HasSubstr("never asked for")));
}

TEST(NfsHistory, finds_an_error_for_what_was_done) {
    NfsHistory history;
    const auto asked = history.ask("make a", at(10));
    history.executed("make a", Status::ok, 1, at(15));
    history.tell_error(asked, Errno::exists, at(20));
    EXPECT_THAT(history.check(), ElementsAre(HasSubstr("answered EEXIST, and was done")));
}

TEST(NfsHistory, finds_what_was_never_answered) {
    NfsHistory history;
    history.ask("make a", at(10));
    EXPECT_THAT(history.check(), ElementsAre(HasSubstr("never answered")));
}

TEST(NfsHistory, lets_what_was_given_up_be_done_once_or_not_at_all) {
    NfsHistory history;
    history.tell_nothing(history.ask("make a", at(10)));
    history.tell_nothing(history.ask("make b", at(10)));
    history.executed("make b", Status::ok, 1, at(1000));
    EXPECT_THAT(history.check(), IsEmpty());
}

TEST(NfsHistory, finds_what_was_given_up_and_done_twice) {
    NfsHistory history;
    history.tell_nothing(history.ask("make a", at(10)));
    history.executed("make a", Status::ok, 1, at(15));
    history.executed("make a", Status::ok, 1, at(1000));
    EXPECT_THAT(history.check(), ElementsAre(HasSubstr("done twice")));
}

TEST(NfsHistory, excuses_a_second_attempt_after_the_session_was_lost) {
    NfsHistory history;
    const auto made = history.ask("make a", at(10));
    const auto renamed = history.ask("rename a b", at(10));
    history.executed("make a", Status::ok, 1, at(15));
    history.executed("rename a b", Status::ok, 1, at(15));
    history.session_lost(1, at(16));
    history.executed("rename a b", Status::ok, 2, at(18));
    history.tell_error(made, Errno::exists, at(20));
    history.tell_done(renamed, at(20));
    EXPECT_THAT(history.check(), IsEmpty());
    EXPECT_EQ(history.excused_count(), 2U);
}

TEST(NfsHistory, excuses_nothing_when_another_session_was_lost) {
    NfsHistory history;
    const auto asked = history.ask("make a", at(10));
    history.executed("make a", Status::ok, 1, at(15));
    history.session_lost(2, at(16));
    history.tell_error(asked, Errno::exists, at(20));
    EXPECT_THAT(history.check(), ElementsAre(HasSubstr("answered EEXIST, and was done")));
}

TEST(NfsHistory, excuses_nothing_when_the_session_was_lost_before) {
    NfsHistory history;
    const auto asked = history.ask("make a", at(10));
    history.session_lost(1, at(12));
    history.executed("make a", Status::ok, 1, at(15));
    history.tell_error(asked, Errno::exists, at(20));
    EXPECT_THAT(history.check(), ElementsAre(HasSubstr("answered EEXIST, and was done")));
}

}  // namespace
}  // namespace dpfs::sim
