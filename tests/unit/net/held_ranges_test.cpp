// SPDX-License-Identifier: Apache-2.0
#include "fs/nfs/held_ranges.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace dpfs::nfs {
namespace {

using testing::IsEmpty;
using testing::UnorderedElementsAre;
using Range = HeldRanges::Range;

TEST(HeldRanges, a_lock_inside_another_replaces_its_middle) {
    HeldRanges held;
    held.lock({.start = 0, .end = 99, .exclusive = false});
    held.lock({.start = 10, .end = 19, .exclusive = true});
    EXPECT_THAT(
        held.list(),
        UnorderedElementsAre(Range{0, 9, false}, Range{10, 19, true}, Range{20, 99, false}));
}

TEST(HeldRanges, unlocking_cuts_what_reaches_into_the_range) {
    HeldRanges held;
    held.lock({.start = 0, .end = 9, .exclusive = true});
    held.lock({.start = 20, .end = 29, .exclusive = true});
    held.unlock(5, 24);
    EXPECT_THAT(held.list(), UnorderedElementsAre(Range{0, 4, true}, Range{25, 29, true}));
}

TEST(HeldRanges, unlocking_everything_leaves_nothing) {
    HeldRanges held;
    held.lock({.start = 7, .end = ~std::uint64_t{0}, .exclusive = true});
    held.unlock(0, ~std::uint64_t{0});
    EXPECT_THAT(held.list(), IsEmpty());
}

}  // namespace
}  // namespace dpfs::nfs
