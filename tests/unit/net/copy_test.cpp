// SPDX-License-Identifier: Apache-2.0
// Copies on the wire, byte for byte after the XDR of RFC 7863; and who is told of their end.
#include "net/nfs4/copy.hpp"

#include "encoded.hpp"
#include "fs/nfs/copies.hpp"
#include "reactor/make_reactor.hpp"

#include <gtest/gtest.h>

namespace dpfs::nfs4 {
namespace {

StateId state(std::uint32_t sequence, std::byte fill) {
    StateId id{.sequence = sequence};
    id.other.fill(fill);
    return id;
}

CopyRange some_range() {
    return {.from = state(0, std::byte{0xaa}),
            .to = state(1, std::byte{0xbb}),
            .from_offset = 0x1000,
            .to_offset = 0x2'0000'0000,
            .size = 0x300};
}

constexpr std::string_view range_hex =
    "00000000 aaaaaaaa aaaaaaaa aaaaaaaa 00000001 bbbbbbbb bbbbbbbb bbbbbbbb "
    "00000000 00001000 00000002 00000000 00000000 00000300";

TEST(CopyRequest, asks_for_all_from_the_start_and_need_not_wait) {
    Encoded encoded;
    put_copy(encoded.request(), some_range(), false);
    EXPECT_EQ(encoded.hex(),
              "0000003c " + std::string(range_hex) + " 00000001 00000000 00000000");
}

TEST(CloneRequest, has_the_range_only) {
    Encoded encoded;
    put_clone(encoded.request(), some_range());
    EXPECT_EQ(encoded.hex(), "00000047 " + std::string(range_hex));
}

TEST(OffloadRequest, names_the_copy) {
    Encoded encoded;
    encoded.request().put_state(Op::offload_status, state(1, std::byte{0xcc}));
    encoded.request().put_state(Op::offload_cancel, state(1, std::byte{0xcc}));
    EXPECT_EQ(encoded.hex(),
              "00000043 00000001 cccccccc cccccccc cccccccc "
              "00000042 00000001 cccccccc cccccccc cccccccc");
}

TEST(CopyAnswer, of_a_copy_that_is_done) {
    const auto message =
        from_hex("00000000 00000000 00000300 00000002 01020304 05060708 00000001 00000001");
    rpc::XdrReader in(message);
    const Copied copied = take_copied(in);
    ASSERT_TRUE(in.ok());
    EXPECT_FALSE(copied.written.copy);
    EXPECT_EQ(copied.written.size, 0x300U);
    EXPECT_EQ(copied.written.stable, Stable::file);
    EXPECT_EQ(to_hex(copied.written.verifier), "01020304 05060708");
    EXPECT_TRUE(copied.consecutive);
    EXPECT_TRUE(copied.synchronous);
    EXPECT_EQ(in.left(), 0U);
}

TEST(CopyAnswer, of_a_copy_that_goes_on) {
    const auto message = from_hex(
        "00000001 00000001 cccccccc cccccccc cccccccc 00000000 00000000 00000000 "
        "00000000 00000000 00000001 00000000");
    rpc::XdrReader in(message);
    const Copied copied = take_copied(in);
    ASSERT_TRUE(in.ok());
    EXPECT_EQ(copied.written.copy, state(1, std::byte{0xcc}));
    EXPECT_FALSE(copied.synchronous);
    EXPECT_EQ(in.left(), 0U);
}

TEST(CopyAnswer, with_two_names_for_one_copy_is_refused) {
    const auto message = from_hex("00000002 00000001 cccccccc cccccccc cccccccc");
    rpc::XdrReader in(message);
    static_cast<void>(take_copied(in));
    EXPECT_FALSE(in.ok());
}

TEST(CopyAnswer, that_is_stable_in_no_known_way_is_refused) {
    const auto message =
        from_hex("00000000 00000000 00000300 00000003 01020304 05060708 00000001 00000001");
    rpc::XdrReader in(message);
    static_cast<void>(take_copied(in));
    EXPECT_FALSE(in.ok());
}

TEST(CopyProgress, is_a_size_until_there_is_an_outcome) {
    const auto going = from_hex("00000000 00000100 00000000");
    rpc::XdrReader in(going);
    const CopyProgress progress = take_copy_progress(in);
    ASSERT_TRUE(in.ok());
    EXPECT_EQ(progress.size, 0x100U);
    EXPECT_FALSE(progress.outcome);

    const auto ended = from_hex("00000000 00000300 00000001 0000001c");
    rpc::XdrReader end(ended);
    EXPECT_EQ(take_copy_progress(end).outcome, Status::nospc);
    EXPECT_EQ(end.left(), 0U);
}

class CopiesTest : public testing::Test {
  protected:
    static CopyOutcome outcome(std::byte of, std::uint64_t size) {
        CopyOutcome made;
        made.copy = state(1, of);
        made.size = size;
        return made;
    }

    std::unique_ptr<LogSink> sink_ = make_stderr_sink(LogLevel::error);
    reactor::BlockingPool pool_;
    std::unique_ptr<reactor::EventLoop> reactor_ =
        *reactor::make_reactor({.kind = reactor::ReactorKind::epoll}, pool_, {*sink_, "test"});
    nfs::Copies copies_;
    nfs::Copies::Waiting waiting_{*reactor_};
};

TEST_F(CopiesTest, an_outcome_that_comes_later_finds_who_waits) {
    copies_.begin(waiting_, state(1, std::byte{7}));
    EXPECT_FALSE(copies_.outcome(waiting_));
    EXPECT_EQ(copies_.ended(outcome(std::byte{7}, 42)), reactor_.get());
    copies_.wake(state(1, std::byte{7}));
    EXPECT_TRUE(waiting_.nap.canceled());
    EXPECT_EQ(copies_.outcome(waiting_).value().size, 42U);
    copies_.end(waiting_);
}

TEST_F(CopiesTest, an_outcome_that_overtakes_the_answer_is_kept) {
    copies_.expect();
    EXPECT_EQ(copies_.ended(outcome(std::byte{7}, 42)), nullptr);
    copies_.begin(waiting_, state(1, std::byte{7}));
    copies_.expect_no_more();
    ASSERT_TRUE(copies_.outcome(waiting_));
    EXPECT_EQ(copies_.outcome(waiting_).value().size, 42U);
    copies_.end(waiting_);
}

TEST_F(CopiesTest, an_outcome_that_nobody_expects_is_dropped) {
    EXPECT_EQ(copies_.ended(outcome(std::byte{7}, 42)), nullptr);
    copies_.expect();
    copies_.begin(waiting_, state(1, std::byte{7}));
    EXPECT_FALSE(copies_.outcome(waiting_));
    copies_.expect_no_more();
    copies_.end(waiting_);
}

TEST_F(CopiesTest, an_outcome_of_another_copy_wakes_nobody) {
    copies_.begin(waiting_, state(1, std::byte{7}));
    EXPECT_EQ(copies_.ended(outcome(std::byte{8}, 42)), nullptr);
    copies_.wake(state(1, std::byte{8}));
    EXPECT_FALSE(waiting_.nap.canceled());
    copies_.end(waiting_);
}

TEST_F(CopiesTest, outcomes_that_a_server_makes_up_have_a_limit) {
    copies_.expect();
    copies_.ended(outcome(std::byte{7}, 42));
    for (std::uint8_t i = 100; i < 200; ++i) copies_.ended(outcome(std::byte{i}, 1));
    copies_.begin(waiting_, state(1, std::byte{7}));
    EXPECT_FALSE(copies_.outcome(waiting_));
    copies_.expect_no_more();
    copies_.end(waiting_);
}

}  // namespace
}  // namespace dpfs::nfs4
