// SPDX-License-Identifier: Apache-2.0
// Goal: docs/fuse-opcodes.md has a row for each opcode that is served and for each INIT flag.
#include "fuse/operations.hpp"
#include "fuse/wire.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

namespace dpfs::fuse::test {
namespace {

using testing::HasSubstr;

std::string page() {
    const std::ifstream file(DPFS_DOCUMENTATION "/fuse-opcodes.md");
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

TEST(Documentation, has_every_opcode_with_its_number) {
    const std::string text = page();
    for (std::uint32_t opcode = 0; opcode < wire::opcode_count; ++opcode) {
        const Operation* const operation = find_operation(opcode);
        if (operation == nullptr) continue;
        EXPECT_THAT(text, HasSubstr(fmt::format("\n| {} | {} |", operation->name, opcode)));
    }
}

TEST(Documentation, has_every_init_flag_up_to_the_last) {
    const std::string text = page();
    for (int bit = 0; bit <= 42; ++bit) {
        EXPECT_THAT(text, HasSubstr(fmt::format(" | {} | ", bit)));
    }
    EXPECT_THAT(text, HasSubstr("| FUSE_REQUEST_TIMEOUT | 42 |"));
}

}  // namespace
}  // namespace dpfs::fuse::test
