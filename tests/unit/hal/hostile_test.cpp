// SPDX-License-Identifier: Apache-2.0
// Front ends that break the rules: a catalogue of malformed messages, a handshake that ends at
// every byte, and random messages from a seed. Each ends its own connection with one line in
// the log, leaves no descriptor and no mapping, and the next front end is served.
#include "device_fixture.hpp"
#include "hostile_messages.hpp"

#include <cstdlib>
#include <random>
#include <sys/socket.h>

namespace dpfs::hal::test {
namespace {

/// Sends a step; the device may have hung up already.
void send(FrontEnd& front_end, const Step& step) {
    std::vector<UniqueFd> fds;
    std::vector<int> numbers;
    for (const Fd kind : step.fds) {
        fds.push_back(make_fd(kind));
        numbers.push_back(fds.back().get());
    }
    (void)front_end.send_bytes(step.bytes, numbers);
}

class HostileMessage : public DeviceTest, public ::testing::WithParamInterface<Malformed> {};

INSTANTIATE_TEST_SUITE_P(Catalogue,
                         HostileMessage,
                         ::testing::ValuesIn(malformed_messages()),
                         [](const auto& parameter) { return parameter.param.name; });

TEST_P(HostileMessage, ends_its_connection_with_one_line) {
    start_device();
    const std::size_t fds_before = open_fd_count();
    {
        FrontEnd front_end = connect_and_share(split_features);
        for (const Step& step : GetParam().steps) send(front_end, step);
        EXPECT_FALSE(front_end.receive().has_value());
    }
    FrontEnd next = connect();
    EXPECT_TRUE(next.queue_count().has_value());
    EXPECT_EQ(log().problem_count(), 1) << log().all();
    EXPECT_EQ(open_fd_count(), fds_before + 2);  // both ends of the next one's socket
    EXPECT_EQ(mapping_count("dpfs-hostile"), 0U);
}

class Hostile : public DeviceTest {};

TEST_F(Hostile, handshake_may_end_at_every_byte) {
    start_device();
    const std::vector<Step> steps = handshake();
    const std::size_t fds_before = open_fd_count();
    for (std::size_t last = 0; last < steps.size(); ++last) {
        for (std::size_t size = 0; size <= steps[last].bytes.size(); ++size) {
            FrontEnd front_end = connect();
            for (std::size_t i = 0; i < last; ++i) send(front_end, steps[i]);
            Step cut = steps[last];
            cut.bytes.resize(size);
            send(front_end, cut);
        }
    }
    FrontEnd next = connect();
    ASSERT_TRUE(next.queue_count().has_value());
    EXPECT_EQ(open_fd_count(), fds_before + 2);
    EXPECT_EQ(mapping_count("dpfs-hostile"), 0U);
}

/// DPFS_SEED replays one.
std::vector<std::uint64_t> seeds() {
    if (const char* const one = std::getenv("DPFS_SEED"))
        return {std::strtoull(one, nullptr, 0)};
    std::vector<std::uint64_t> many(300);
    for (std::size_t i = 0; i < many.size(); ++i) many[i] = i + 1;
    return many;
}

/// Messages that are half sensible: the right size most of the time, small numbers, some fds.
Step random_step(std::mt19937_64& random) {
    constexpr std::array<std::size_t, 9> sizes = {0, 8, 12, 16, 20, 24, 40, 72, 268};
    MessageBytes payload(sizes[random() % sizes.size()]);
    for (std::size_t i = 0; i < payload.size(); i += 4) {
        const auto byte = static_cast<std::byte>(random() % 4);
        payload[i] = random() % 8 == 0 ? static_cast<std::byte>(random()) : byte;
        if (i + 3 < payload.size() && random() % 16 == 0) payload[i + 3] = std::byte{0x70};
    }
    const auto request = static_cast<std::uint32_t>(random() % 41);
    const std::uint32_t flags = wire::flag_version | (random() % 2 == 0 ? 8U : 0U);
    Step step = {message(request, payload, random() % 64 == 0 ? 3U : flags)};
    for (std::uint64_t fds = random() % 3; fds > 0; --fds) {
        step.fds.push_back(static_cast<Fd>(random() % 4));
    }
    return step;
}

TEST_F(Hostile, random_messages_harm_nobody_else) {
    start_device();
    const std::size_t fds_before = open_fd_count();
    for (const std::uint64_t seed : seeds()) {
        SCOPED_TRACE("DPFS_SEED=" + std::to_string(seed));
        std::mt19937_64 random(seed);
        FrontEnd front_end = connect();
        const std::vector<Step> start = handshake();
        for (std::uint64_t i = random() % (start.size() + 1); i > 0; --i) {
            send(front_end, start[start.size() - i]);
        }
        for (int i = 0; i < 20; ++i) send(front_end, random_step(random));
        ::shutdown(front_end.fd(), SHUT_WR);
        while (front_end.receive()) continue;
    }
    {
        FrontEnd next = connect_and_share(split_features);
        const auto queue = start_queue(next, 1);
        echo_once(*queue, 0);
    }
    stop_device();
    EXPECT_LT(open_fd_count(), fds_before);
    EXPECT_EQ(mapping_count("dpfs-hostile"), 0U);
}

}  // namespace
}  // namespace dpfs::hal::test
