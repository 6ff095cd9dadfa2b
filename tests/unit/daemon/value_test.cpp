// SPDX-License-Identifier: Apache-2.0
// Goal: a value is taken only if it is what its option may be; else the message says what it is
// and what it may be.
#include "daemon/value.hpp"

#include <gtest/gtest.h>

#include <array>

namespace dpfs::daemon {
namespace {

constexpr ValueRange one_to_64 = {.min = 1, .max = 64};
constexpr ValueRange ring_size = {.min = 4, .max = 1024, .power_of_two = true};
constexpr ValueRange pages = {.min = 4096, .max = 1 << 20, .multiple_of = 4096};
constexpr std::array<std::string_view, 3> policies = {"never", "auto", "always"};
constexpr ValueRange policy = {.choices = policies};

std::string message(ValueKind kind, const ValueRange& range, std::string_view text) {
    const auto parsed = parse_value(kind, range, text);
    return parsed ? "accepted" : parsed.error();
}

TEST(ParseValue, takes_the_bounds_of_a_range) {
    EXPECT_EQ(parse_value(ValueKind::integer, one_to_64, "1"), Value(std::int64_t{1}));
    EXPECT_EQ(parse_value(ValueKind::integer, one_to_64, "64"), Value(std::int64_t{64}));
}
TEST(ParseValue, refuses_what_is_below_or_above) {
    EXPECT_EQ(message(ValueKind::integer, one_to_64, "0"), "0 is not a number from 1 to 64");
    EXPECT_EQ(message(ValueKind::integer, one_to_64, "65"), "65 is not a number from 1 to 64");
}
TEST(ParseValue, refuses_what_is_no_number) {
    EXPECT_EQ(message(ValueKind::integer, one_to_64, "four"),
              "'four' is not a number from 1 to 64");
    EXPECT_EQ(message(ValueKind::integer, one_to_64, "4k"),
              "'4k' is not a number from 1 to 64");
    EXPECT_EQ(message(ValueKind::integer, one_to_64, " 4"),
              "' 4' is not a number from 1 to 64");
    EXPECT_EQ(message(ValueKind::integer, one_to_64, ""), "'' is not a number from 1 to 64");
}
TEST(ParseValue, refuses_a_number_beyond_64_bits) {
    EXPECT_EQ(message(ValueKind::integer, one_to_64, "18446744073709551617"),
              "'18446744073709551617' is not a number from 1 to 64");
}
TEST(ParseValue, wants_a_power_of_two_where_a_ring_does) {
    EXPECT_EQ(message(ValueKind::integer, ring_size, "512"), "accepted");
    EXPECT_EQ(message(ValueKind::integer, ring_size, "100"),
              "100 is not a power of two from 4 to 1024");
}
TEST(ParseValue, wants_whole_pages_where_they_count) {
    EXPECT_EQ(message(ValueKind::integer, pages, "8192"), "accepted");
    EXPECT_EQ(message(ValueKind::integer, pages, "5000"),
              "5000 is not a multiple of 4096 from 4096 to 1048576");
}
TEST(ParseValue, names_the_choices_and_the_nearest) {
    EXPECT_EQ(message(ValueKind::choice, policy, "auto"), "accepted");
    EXPECT_EQ(message(ValueKind::choice, policy, "alway"),
              "'alway' is not never, auto or always; did you mean 'always'?");
}
TEST(ParseValue, takes_true_and_false_only) {
    EXPECT_EQ(parse_value(ValueKind::boolean, {}, "true"), Value(true));
    EXPECT_EQ(parse_value(ValueKind::boolean, {}, "false"), Value(false));
    EXPECT_EQ(message(ValueKind::boolean, {}, "yes"), "'yes' is not true or false");
}
TEST(ParseValue, bounds_the_bytes_of_a_text) {
    EXPECT_EQ(message(ValueKind::text, {.min = 1, .max = 3}, "abc"), "accepted");
    EXPECT_EQ(message(ValueKind::text, {.min = 1, .max = 3}, "abcd"),
              "has 4 bytes; write a text of 1 to 3 bytes");
    EXPECT_EQ(message(ValueKind::text, {.min = 1, .max = 3}, ""),
              "is empty; write a text of 1 to 3 bytes");
}
TEST(ParseValue, refuses_a_newline_in_a_text) {
    EXPECT_EQ(message(ValueKind::text, {.min = 1, .max = 9}, "a\nb"),
              "a newline or NUL byte is in it; leave it out");
}
TEST(CheckValue, refuses_a_value_of_another_kind) {
    const Value text = std::string("4");
    EXPECT_EQ(check_value(ValueKind::integer, one_to_64, text).error(),
              "\"4\" is not a number from 1 to 64");
    EXPECT_EQ(check_value(ValueKind::text, one_to_64, Value(true)).error(),
              "true is not a text of 1 to 64 bytes");
}
TEST(ToToml, escapes_what_would_end_the_text) {
    EXPECT_EQ(to_toml(Value(std::string(R"(a"b\c)"))), R"("a\"b\\c")");
    EXPECT_EQ(to_toml(Value(std::vector<std::string>{"a", "b"})), R"(["a", "b"])");
}

}  // namespace
}  // namespace dpfs::daemon
