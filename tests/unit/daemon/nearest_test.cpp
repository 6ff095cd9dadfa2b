// SPDX-License-Identifier: Apache-2.0
// Goal: a typing error is answered with the word that was meant, and nonsense with none.
#include "daemon/nearest.hpp"

#include <gtest/gtest.h>

#include <array>

namespace dpfs::daemon {
namespace {

constexpr std::array<std::string_view, 4> words = {"queues", "queue_size", "socket", "dir"};

TEST(Nearest, finds_a_letter_too_many) {
    EXPECT_EQ(nearest("queuess", words), "queues");
}
TEST(Nearest, finds_a_letter_too_few) {
    EXPECT_EQ(nearest("soket", words), "socket");
}
TEST(Nearest, finds_two_letters_swapped) {
    EXPECT_EQ(nearest("quesue", words), "queues");
}
TEST(Nearest, finds_a_short_word) {
    EXPECT_EQ(nearest("dri", words), "dir");
}
TEST(Nearest, does_not_guess) {
    EXPECT_EQ(nearest("mountpoint", words), "");
}
TEST(Nearest, does_not_guess_for_the_empty_word) {
    EXPECT_EQ(nearest("", words), "");
}
TEST(Nearest, does_not_compare_very_long_words) {
    EXPECT_EQ(nearest(std::string(100'000, 'q'), words), "");
}
TEST(Suggestion, is_a_part_of_a_sentence) {
    EXPECT_EQ(suggestion("soket", words), "; did you mean 'socket'?");
    EXPECT_EQ(suggestion("mountpoint", words), "");
}
TEST(Listing, joins_words_as_people_do) {
    EXPECT_EQ(listing(words), "queues, queue_size, socket or dir");
    EXPECT_EQ(listing(std::span(words).first(1)), "queues");
}

}  // namespace
}  // namespace dpfs::daemon
