// SPDX-License-Identifier: Apache-2.0
// READ_PLUS on the wire, after the XDR of RFC 7863: what holes and data become in a tenant's
// memory, and a catalogue of answers that are refused.
#include "net/nfs4/read_plus.hpp"

#include "encoded.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>

namespace dpfs::nfs4 {
namespace {

constexpr std::uint64_t offset = 0x1'0000'1000;
constexpr std::size_t size = 24;

/// Builds results, segment by segment, and reads them into memory in two pieces.
class ReadPlusTest : public testing::Test {
  protected:
    ReadPlusTest() {
        memory_.fill('?');
        begin(false);
    }
    void begin(bool at_end) {
        message_.clear();
        count_ = 0;
        out_.boolean(at_end);
        out_.u32(0);
    }
    void data(std::uint64_t at, std::string_view text) {
        out_.u32(0);
        out_.u64(at);
        out_.string(text);
        out_.patch_u32(4, ++count_);
    }
    void hole(std::uint64_t at, std::uint64_t length) {
        out_.u32(1);
        out_.u64(at);
        out_.u64(length);
        out_.patch_u32(4, ++count_);
    }
    Result<ReadPlus> take(std::optional<std::size_t> placed = {}) {
        rpc::XdrReader in(message_);
        return take_read_plus(in, offset, room_, placed);
    }
    /// The size that was read; 0: the answer is refused.
    std::size_t taken() { return take().value_or(ReadPlus{}).size; }
    [[nodiscard]] std::string_view memory() const { return {memory_.data(), memory_.size()}; }

    std::array<char, size + 1> memory_ = {};  // one more, which nobody must touch
    std::array<iovec, 2> room_ = {{{.iov_base = memory_.data(), .iov_len = 5},
                                   {.iov_base = memory_.data() + 5, .iov_len = size - 5}}};
    std::vector<std::byte> message_;
    rpc::XdrWriter out_{message_};
    std::uint32_t count_ = 0;
};

TEST_F(ReadPlusTest, asks_as_READ_does) {
    Encoded encoded;
    encoded.request().put_read_plus({}, offset, room_);
    EXPECT_EQ(encoded.hex(),
              "00000044 00000000 00000000 00000000 00000000 00000001 00001000 00000018");
}

TEST_F(ReadPlusTest, puts_data_and_zeros_where_they_belong) {
    data(offset, "abc");
    hole(offset + 3, 16);
    data(offset + 19, "vwxyz");
    EXPECT_EQ(taken(), size);
    const std::string zeros(16, '\0');
    EXPECT_EQ(memory(), "abc" + zeros + "vwxyz?");
}

TEST_F(ReadPlusTest, cuts_a_hole_that_is_larger_than_what_was_asked_for) {
    hole(offset - 4096, 8192);
    EXPECT_EQ(taken(), size);
    EXPECT_EQ(memory(), std::string(size, '\0') + "?");
}

TEST_F(ReadPlusTest, may_end_early_and_says_whether_that_is_the_end) {
    data(offset, "abc");
    EXPECT_FALSE(take()->at_end);
    begin(true);
    data(offset, "abc");
    EXPECT_TRUE(take()->at_end);
    EXPECT_EQ(take()->size, 3U);
    begin(true);
    EXPECT_EQ(take()->size, 0U);
}

TEST_F(ReadPlusTest, knows_data_that_were_received_in_place) {
    begin(true);
    data(offset, "abcd");
    message_.resize(message_.size() - 4);
    ASSERT_TRUE(take(4));
    EXPECT_EQ(take(4)->size, 4U);
    EXPECT_EQ(memory().substr(0, 4), "????") << "nothing is copied";
    EXPECT_FALSE(take(5)) << "another size than the segment's";
}

TEST_F(ReadPlusTest, refuses_data_outside_of_what_was_asked_for) {
    data(offset - 1, "abc");
    EXPECT_EQ(taken(), 0U);
    begin(false);
    data(offset + 1, "abc");
    EXPECT_EQ(taken(), 0U);
    begin(false);
    data(offset, std::string(size + 1, 'x'));
    EXPECT_EQ(taken(), 0U);
    begin(false);
    data(offset, std::string(size, 'x'));
    data(offset + size, "y");
    EXPECT_EQ(taken(), 0U);
    EXPECT_EQ(memory().back(), '?');
}

TEST_F(ReadPlusTest, refuses_segments_out_of_order_or_over_each_other) {
    data(offset + 3, "def");
    data(offset, "abc");
    EXPECT_EQ(taken(), 0U);
    begin(false);
    data(offset, "abc");
    data(offset + 2, "cde");
    EXPECT_EQ(taken(), 0U);
    begin(false);
    data(offset, "abc");
    hole(offset, 10);
    EXPECT_EQ(taken(), 0U);
    begin(false);
    data(offset, "abc");
    hole(offset + 4, 10);
    EXPECT_EQ(taken(), 0U);
    begin(false);
    hole(offset - 10, 20);
    hole(offset - 10, 30);
    EXPECT_EQ(taken(), 0U);
}

TEST_F(ReadPlusTest, refuses_holes_that_are_elsewhere) {
    hole(offset - 10, 10);
    EXPECT_EQ(taken(), 0U);
    begin(false);
    hole(offset + 1, 10);
    EXPECT_EQ(taken(), 0U);
    begin(false);
    hole(offset, 0);
    EXPECT_EQ(taken(), 0U);
    begin(false);
    hole(offset, ~std::uint64_t{0});
    EXPECT_EQ(taken(), 0U) << "beyond the end of all files";
    begin(false);
    hole(offset, size);
    hole(offset + size, 1);
    EXPECT_EQ(taken(), 0U);
}

TEST_F(ReadPlusTest, refuses_an_answer_that_brings_nothing) {
    EXPECT_EQ(taken(), 0U);
    data(0, "");  // as nfs-ganesha 5.9 does
    EXPECT_EQ(taken(), 0U);
    begin(false);
    data(offset, "");
    EXPECT_EQ(taken(), 0U);
}

TEST_F(ReadPlusTest, refuses_what_is_cut_or_of_an_unknown_kind) {
    data(offset, "abc");
    hole(offset + 3, 16);
    data(offset + 19, "vwxyz");
    const std::vector<std::byte> whole = message_;
    for (std::size_t left = 0; left < whole.size(); ++left) {
        message_.assign(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(left));
        EXPECT_EQ(taken(), 0U) << left;
    }
    message_ = whole;
    out_.patch_u32(8, 2);
    EXPECT_EQ(taken(), 0U);
    message_ = whole;
    out_.patch_u32(4, 0x1000'0000);
    EXPECT_EQ(taken(), 0U);
}

}  // namespace
}  // namespace dpfs::nfs4
