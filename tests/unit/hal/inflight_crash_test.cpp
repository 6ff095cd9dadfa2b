// SPDX-License-Identifier: Apache-2.0
// Goal: a back end may die between any two of its instructions. A process that serves a ring is
// run one instruction at a time; whatever the memory that it shares looks like in between, the
// next process must find each request exactly once: given back, listed, or still in the ring.
#include "inflight_machine.hpp"
#include "virtio/shared_access.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

namespace dpfs::hal::test {
namespace {

constexpr std::uint64_t split = virtio::feature_version_1 | virtio::feature_indirect_desc;
constexpr std::uint64_t packed = split | virtio::feature_ring_packed;

/// Then instructions are a hundred times as many, and each is a stop.
#ifdef DPFS_SANITIZED
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

struct Case {
    const char* name;
    std::uint64_t features;
    std::uint32_t served_before;  // chains of one slot, so that the work begins in mid-ring
    void (*work)(InflightServer& server);
};

void out_of_order(InflightServer& server) {
    for (int i = 0; i < 3; ++i) server.take();
    server.give(1);
    server.give(0);
    for (int i = 0; i < 2; ++i) server.take();
    server.flush();
    server.give(2);
    server.flush();
}

/// A batch as long as the ring: its positions differ in the wrap counter alone.
void whole_ring_at_once(InflightServer& server) {
    while (server.take()) continue;
    while (!server.held().empty()) server.give(server.held().size() / 2);
    server.flush();
}

void one_by_one(InflightServer& server) {
    while (server.take()) {
        server.give(0);
        server.flush();
    }
}

/// What a front end tells that knows nothing of the process that died: for split rings, as VMMs
/// do, the index of the used ring; for packed ones there is none to know.
virtio::RingState told(const InflightMachine& machine) {
    if (machine.packed()) return {};
    const auto used = machine.memory().ring_part(virtio::AddressSpace::guest,
                                                 machine.config().addresses.device,
                                                 sizeof(virtio::UsedHeader),
                                                 virtio::used_alignment);
    auto* const header = virtio::shared_array<virtio::UsedHeader>(used.value().bytes.get());
    return virtio::RingState::from_vring_base(header->idx, false);
}

/// Which part of a process's life is looked at.
enum class Part : std::uint8_t { work, opening };

/// What a process does, stopped after each of its instructions.
/// Out: what it would have left behind, each picture once; none where the system does not let
/// us look.
std::vector<Remains> all_remains(const InflightMachine& machine,
                                 Part part,
                                 void (*work)(InflightServer&)) {
    const pid_t child = ::fork();
    if (child == 0) {
        if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(2);
        if (part == Part::opening) ::raise(SIGSTOP);
        auto server = InflightServer::open(machine, told(machine));
        if (!server) ::_exit(1);
        if (part == Part::work) {
            ::raise(SIGSTOP);
            work(*server);
        }
        ::_exit(0);
    }
    std::vector<Remains> found;
    int status = 0;
    if (child < 0 || ::waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) {
        return found;
    }
    found.push_back(machine.remains());
    while (WIFSTOPPED(status)) {
        ::ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr);
        if (::waitpid(child, &status, 0) != child) break;
        if (machine.differs_from(found.back())) found.push_back(machine.remains());
    }
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    return found;
}

/// Goes on where the process died, to the end.
void recover(InflightMachine& machine) {
    const std::vector<std::uint16_t> given = machine.poll();
    auto server = InflightServer::open(machine, told(machine));
    ASSERT_TRUE(server.has_value()) << errno_name(server.error());

    // In the order of the offers, as they were taken.
    std::vector<std::uint16_t> rest;
    for (const std::uint16_t id : machine.offered()) {
        if (std::ranges::find(given, id) == given.end()) rest.push_back(id);
    }
    while (server->take()) continue;
    ASSERT_EQ(server->held_ids(), rest);
    for (const auto& held : server->held()) {
        EXPECT_EQ(held.text, machine.text_of(held.head.id));
    }
    // The last first: what the dead process staged must not come along.
    while (!server->held().empty()) {
        const std::size_t last = server->held().size() - 1;
        const std::uint16_t id = server->held()[last].head.id;
        server->give(last);
        server->flush();
        ASSERT_EQ(machine.poll(), std::vector{id});
    }
    machine.forget_offers();
    machine.offer({3, 0, 2});
    while (server->take()) server->give(0);
    server->flush();
    EXPECT_EQ(machine.poll(), machine.offered());
}

class InflightCrash : public testing::TestWithParam<Case> {
  protected:
    InflightCrash() : machine_(GetParam().features) {
        auto server = InflightServer::open(machine_).value();
        for (std::uint32_t i = 0; i < GetParam().served_before; ++i) {
            machine_.offer({1});
            server.take();
            server.give(0);
            server.flush();
            EXPECT_EQ(machine_.poll().size(), 1U);
        }
        machine_.forget_offers();
        machine_.offer({1, 3, 2, 0, 1});
    }

    void recover_from(const Remains& remains, const InflightMachine::Driver& driver) {
        machine_.restore(remains);
        machine_.go_back_to(driver);
        recover(machine_);
    }

    InflightMachine machine_;
};

TEST_P(InflightCrash, loses_nothing_and_repeats_nothing_between_any_two_instructions) {
    const InflightMachine::Driver driver = machine_.driver();
    const std::vector<Remains> all = all_remains(machine_, Part::work, GetParam().work);
    if (all.empty()) GTEST_SKIP() << "ptrace(2) is forbidden here";
    EXPECT_GT(all.size(), 20U);  // the server has done something
    for (std::size_t i = 0; i < all.size() && !HasFailure(); ++i) {
        SCOPED_TRACE(testing::Message() << "picture " << i << " of " << all.size());
        recover_from(all[i], driver);
    }
}

/// The same for a process that dies while it settles what another one left half done.
TEST_P(InflightCrash, may_come_again_while_the_last_one_is_being_settled) {
    if (sanitized) GTEST_SKIP() << "no more to be seen than without a sanitizer";
    const InflightMachine::Driver driver = machine_.driver();
    const std::vector<Remains> all = all_remains(machine_, Part::work, GetParam().work);
    if (all.empty()) GTEST_SKIP() << "ptrace(2) is forbidden here";
    constexpr int looked_at_every = 3;  // each is a process that runs step by step
    int settled = 0;
    for (std::size_t i = 0; i < all.size() && !HasFailure(); ++i) {
        machine_.restore(all[i]);
        ASSERT_TRUE(InflightServer::open(machine_, told(machine_)).has_value());
        if (machine_.has_header_of(all[i])) continue;  // there was nothing half done
        if (settled++ % looked_at_every != 0) continue;
        machine_.restore(all[i]);
        const auto halves = all_remains(machine_, Part::opening, nullptr);
        for (std::size_t j = 0; j < halves.size() && !HasFailure(); ++j) {
            SCOPED_TRACE(testing::Message() << "picture " << i << ", then " << j);
            recover_from(halves[j], driver);
        }
    }
    EXPECT_GT(settled, 3);
}

constexpr std::array cases = {
    Case{"packed_out_of_order", packed, 5, out_of_order},
    Case{"split_out_of_order", split, 5, out_of_order},
    Case{"split_whole_ring", split, 3, whole_ring_at_once},
    Case{"split_one_by_one", split, 6, one_by_one},
    Case{"packed_in_the_second_lap", packed, 5 + 8, out_of_order},
    Case{"packed_whole_ring", packed, 3, whole_ring_at_once},
    Case{"packed_whole_ring_from_its_start", packed, 8, whole_ring_at_once},
    Case{"packed_one_by_one", packed, 6, one_by_one},
};

constexpr std::size_t case_count = sanitized ? 1 : cases.size();

INSTANTIATE_TEST_SUITE_P(All,
                         InflightCrash,
                         testing::ValuesIn(cases.begin(), cases.begin() + case_count),
                         [](const auto& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace dpfs::hal::test
