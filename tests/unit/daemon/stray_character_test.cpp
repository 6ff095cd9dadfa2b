// SPDX-License-Identifier: Apache-2.0
// Goal: what is not ASCII is found where TOML does not allow it, and only there.
#include "daemon/stray_character.hpp"

#include <gtest/gtest.h>

namespace dpfs::daemon {
namespace {

using Line = std::optional<std::size_t>;

TEST(StrayCharacter, is_found_with_its_line) {
    EXPECT_EQ(line_of_stray_character("a = 1\n\nt\u00e4g = 2\n"), Line(3));
    EXPECT_EQ(line_of_stray_character("\u00e4"), Line(1));
}
TEST(StrayCharacter, is_none_in_a_comment) {
    EXPECT_EQ(line_of_stray_character("# \u00e4\na = 1 # \u00e4"), Line());
}
TEST(StrayCharacter, is_none_in_quotes) {
    EXPECT_EQ(line_of_stray_character("a = \"\u00e4\"\nb = '\u00e4'"), Line());
}
TEST(StrayCharacter, is_none_in_quotes_of_many_lines) {
    EXPECT_EQ(line_of_stray_character("a = \"\"\"\n\u00e4 \" \u00e4\n\"\"\""), Line());
    EXPECT_EQ(line_of_stray_character("a = '''\n\u00e4 ' \u00e4\n'''"), Line());
}
TEST(StrayCharacter, is_found_behind_quotes) {
    EXPECT_EQ(line_of_stray_character("a = \"b\"\u00e4"), Line(1));
    EXPECT_EQ(line_of_stray_character("a = ''\u00e4"), Line(1));
    EXPECT_EQ(line_of_stray_character("a = '''b'''\n\u00e4"), Line(2));
}
TEST(StrayCharacter, does_not_take_an_escaped_quote_for_the_end) {
    EXPECT_EQ(line_of_stray_character(R"(a = "\"ä")"), Line());
}
TEST(StrayCharacter, knows_no_escapes_in_single_quotes) {
    EXPECT_EQ(line_of_stray_character("a = '\\'\u00e4"), Line(1));
}
TEST(StrayCharacter, is_found_after_a_quote_that_the_line_leaves_open) {
    EXPECT_EQ(line_of_stray_character("a = 'b\n\u00e4"), Line(2));
}
TEST(StrayCharacter, is_no_byte_order_mark) {
    EXPECT_EQ(line_of_stray_character("\xEF\xBB\xBF"
                                      "a = 1"),
              Line());
}
TEST(StrayCharacter, stands_text_that_ends_anywhere) {
    for (const char* const text : {"", "\"", "'", "\"\\", "\"\"\"", "'''", "#", "\"\"\"\""}) {
        EXPECT_EQ(line_of_stray_character(text), Line()) << text;
    }
}

}  // namespace
}  // namespace dpfs::daemon
