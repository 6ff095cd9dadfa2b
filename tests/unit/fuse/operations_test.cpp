// SPDX-License-Identifier: Apache-2.0
// Goal: each opcode asks the file system for the right thing and tells the tenant its answer,
// byte for byte, whatever the descriptors look like and whenever the answer comes.
// Method: one request of each kind (operation_cases.cpp) against a file system that writes down
// what it is asked, in every layout, answered at once and later.
#include "operation_cases.hpp"
#include "session_fixture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dpfs::fuse::test {
namespace {

using testing::ElementsAre;

class Operations : public testing::TestWithParam<OperationCase> {
  protected:
    void SetUp() override { fixture.mount(); }

    void expect_answered(const TestRequest& request) {
        EXPECT_EQ(request.completions, 1);
        if (!GetParam().has_reply) {
            EXPECT_EQ(request.size, 0U);
            return;
        }
        EXPECT_EQ(request.out_header().error, 0);
        EXPECT_EQ(request.out_header().unique, 7U);
        EXPECT_EQ(request.out_header().len, request.size);
        EXPECT_EQ(request.payload(), GetParam().payload.bytes());
    }

    SessionFixture fixture;
};

TEST_P(Operations, asks_and_answers_in_every_layout) {
    for (const Layout layout : layouts) {
        fixture.files.calls.clear();
        const auto request = fixture.ask(GetParam().request, GetParam().reply_room, layout);
        SCOPED_TRACE(static_cast<int>(layout));
        EXPECT_THAT(fixture.files.calls, ElementsAre(GetParam().call));
        expect_answered(*request);
    }
}

TEST_P(Operations, answers_the_same_later) {
    fixture.files.delay = milliseconds(5);
    const auto request = fixture.send(GetParam().request, GetParam().reply_room);
    EXPECT_EQ(request->completions, 0);
    fixture.wait_for(*request);
    EXPECT_THAT(fixture.files.calls, ElementsAre(GetParam().call));
    expect_answered(*request);
}

TEST_P(Operations, passes_an_error_on) {
    fixture.files.error = Errno::quota;
    fixture.files.entry_count = 0;  // a listing with entries in it is no error
    const auto request = fixture.ask(GetParam().request, GetParam().reply_room);
    EXPECT_EQ(request->completions, 1);
    if (!GetParam().has_reply) return;
    EXPECT_EQ(request->size, sizeof(wire::OutHeader));
    EXPECT_EQ(request->out_header().error, -EDQUOT);
}

TEST_P(Operations, passes_a_late_error_on) {
    fixture.files.error = Errno::quota;
    fixture.files.delay = milliseconds(5);
    fixture.files.entry_count = 0;
    const auto request = fixture.ask(GetParam().request, GetParam().reply_room);
    EXPECT_EQ(request->completions, 1);
    if (!GetParam().has_reply) return;
    EXPECT_EQ(request->out_header().error, -EDQUOT);
}

TEST_P(Operations, is_interrupted_by_its_number) {
    if (!GetParam().has_reply) GTEST_SKIP() << "forget is not to be cut short";
    fixture.files.delay = seconds(1000);
    fixture.files.entry_count = 0;
    const auto request = fixture.send(GetParam().request, GetParam().reply_room);
    const auto interrupt =
        fixture.ask(make_request(wire::Opcode::interrupt, Message().add(std::uint64_t{7})), 0);
    fixture.wait_for(*request);
    EXPECT_EQ(interrupt->size, 0U);
    EXPECT_EQ(request->out_header().error, -EINTR);
}

TEST_P(Operations, tells_who_the_caller_is) {
    fixture.ask(GetParam().request, GetParam().reply_room);
    EXPECT_EQ(fixture.files.caller.uid, 1000U);
    EXPECT_EQ(fixture.files.caller.gid, 100U);
    EXPECT_EQ(fixture.files.caller.group_count, 0U);
}

std::string name_of(const testing::TestParamInfo<OperationCase>& info) {
    std::string name = info.param.name;
    std::ranges::replace(name, ' ', '_');
    return name;
}

INSTANTIATE_TEST_SUITE_P(Each, Operations, testing::ValuesIn(operation_cases()), name_of);

}  // namespace
}  // namespace dpfs::fuse::test
