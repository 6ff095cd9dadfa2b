// SPDX-License-Identifier: Apache-2.0
// Goal: a whole device, from the vhost-user socket to files, loses nothing and invents nothing,
// whatever the order, the times, the faults and the moment at which its guest dies.
// Method: device and guest on simulated reactors; one seed decides everything. Programs in the
// guest hold each answer against what they know. DPFS_SIM_SEED=N replays one seed,
// DPFS_SIM_SEEDS=N runs so many of them.
#include "fs/mirror/mirror_fs.hpp"
#include "fuse/session.hpp"
#include "fuse/wire_init.hpp"
#include "hal/vhost_user/device.hpp"
#include "reactor/sim_world.hpp"
#include "sim_guest.hpp"
#include "sim_program.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <unistd.h>
#include <vector>

namespace dpfs::sim {
namespace {

class SilentSink final : public LogSink {
  public:
    void write(LogLevel, std::string_view, std::string_view) override {}
    [[nodiscard]] bool enabled(LogLevel) const override { return false; }
};

/// A fresh directory on a file system in memory, gone at the end.
class ScratchDirectory {
  public:
    ScratchDirectory() {
        std::string pattern = "/dev/shm/dpfs-sim-XXXXXX";
        path_ = ::mkdtemp(pattern.data());
        std::filesystem::create_directory(path_ + "/shared");
    }
    ~ScratchDirectory() { std::filesystem::remove_all(path_); }
    ScratchDirectory(const ScratchDirectory&) = delete;
    ScratchDirectory& operator=(const ScratchDirectory&) = delete;

    [[nodiscard]] std::string shared() const { return path_ + "/shared"; }
    [[nodiscard]] std::string socket() const { return path_ + "/socket"; }

  private:
    std::string path_;
};

/// What one seed decides beyond order and times.
struct Scenario {
    explicit Scenario(reactor::SimRandom& random)
        : packed(random.chance(500)),
          event_idx(random.chance(700)),
          always_async(random.chance(500)),
          crashes(random.chance(400)) {
        if (random.chance(700)) faults.short_io = 100;
        if (random.chance(300)) faults.io_error = 20;
        if (random.chance(300)) faults.no_space = 20;
        if (random.chance(300)) faults.late = 50;
    }

    bool packed;
    bool event_idx;
    bool always_async;
    bool crashes;
    reactor::SimFaults faults;
};

constexpr int program_count = 3;
constexpr int step_count = 25;

class DeviceRun {
  public:
    DeviceRun(std::uint64_t seed, const ScratchDirectory& scratch)
        : world_(seed), scenario_(world_.random()), scratch_(scratch) {
        reactors_ = {&world_.add_reactor(), &world_.add_reactor()};
        guest_reactor_ = &world_.add_reactor();
    }

    void run() {
        mirror::MirrorOptions mirror;
        mirror.directory = scratch_.shared();
        mirror.always_async = scenario_.always_async;
        auto made = mirror::MirrorFs::make(mirror, log_);
        ASSERT_TRUE(made.has_value()) << made.error();
        const std::unique_ptr<mirror::MirrorFs> fs = std::move(*made);
        fuse::SessionOptions options;
        options.reactors.assign(reactors_.begin(), reactors_.end());
        fuse::Session session(*fs, options, log_);
        hal::vhost_user::DeviceOptions device_options;
        device_options.socket_path = scratch_.socket();
        device_options.tag = "sim";
        device_options.request_queue_count = 2;
        hal::vhost_user::VhostUserDevice device(device_options, reactors_, session, log_);

        ASSERT_TRUE(world_.run(*reactors_[0], start(device)));
        world_.run(*guest_reactor_, live());
        world_.run(*reactors_[0], stop(device));
    }

  private:
    static Task<bool> start(hal::Device& device) {
        const Result<void> started = device.start();
        co_return started.has_value();
    }
    static Task<bool> stop(hal::Device& device) {
        co_await device.stop();
        co_return true;
    }

    [[nodiscard]] GuestOptions guest_options() const {
        return {.socket_path = scratch_.socket(),
                .request_queue_count = 2,
                .packed = scenario_.packed,
                .event_idx = scenario_.event_idx};
    }

    static Task<void> mount(Guest& guest) {
        const Result<void> connected = co_await guest.connect();
        EXPECT_TRUE(connected.has_value()) << errno_name(connected.error());
        fuse::wire::InitIn in{};
        in.major = fuse::wire::kernel_version;
        in.minor = 38;
        const auto body = std::as_bytes(std::span(&in, 1));
        const auto answer = co_await guest.request(
            0, fuse::wire::Opcode::init, 0, body, sizeof(fuse::wire::InitOut));
        EXPECT_TRUE(answer.has_value()) << errno_name(answer.error());
    }

    Task<void> crash_some_time(Guest& guest) {
        co_await guest_reactor_->sleep(
            microseconds(static_cast<std::int64_t>(world_.random().below(8000))));
        co_await guest.crash();
    }

    /// A guest's life, its death, and a second guest that looks at what the first has left.
    Task<bool> live() {
        Guest first(world_, *guest_reactor_, guest_options());
        co_await mount(first);
        std::vector<std::unique_ptr<Program>> programs;
        programs.reserve(program_count);
        for (int i = 0; i < program_count; ++i) {
            programs.push_back(std::make_unique<Program>(first,
                                                         world_.random(),
                                                         "program" + std::to_string(i),
                                                         static_cast<std::uint16_t>(i % 2)));
        }
        world_.faults() = scenario_.faults;
        Gate running;
        for (const auto& program : programs) running.spawn(program->run(step_count));
        if (scenario_.crashes) running.spawn(crash_some_time(first));
        co_await running.close();
        world_.faults() = {};
        if (!scenario_.crashes) {
            for (const auto& program : programs) co_await program->finish();
            co_await first.crash();
        }

        Guest second(world_, *guest_reactor_, guest_options());
        co_await mount(second);
        for (const auto& program : programs) co_await program->check_all(second);
        co_await second.crash();
        co_return true;
    }

    SilentSink sink_;
    Logger log_{sink_, ""};
    reactor::SimWorld world_;
    Scenario scenario_;
    const ScratchDirectory& scratch_;
    std::array<reactor::Reactor*, 2> reactors_;
    reactor::Reactor* guest_reactor_;
};

std::uint64_t number_from_environment(const char* name, std::uint64_t otherwise) {
    const char* const text = std::getenv(name);
    return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

void run_seed(std::uint64_t seed) {
    SCOPED_TRACE("replay with DPFS_SIM_SEED=" + std::to_string(seed));
    const ScratchDirectory scratch;
    DeviceRun(seed, scratch).run();
}

TEST(SimulatedDevice, loses_nothing_and_invents_nothing) {
    if (const std::uint64_t seed = number_from_environment("DPFS_SIM_SEED", 0); seed != 0) {
        return run_seed(seed);
    }
    const std::uint64_t count = number_from_environment("DPFS_SIM_SEEDS", 500);
    for (std::uint64_t seed = 1; seed <= count && !HasFailure(); ++seed) run_seed(seed);
}

}  // namespace
}  // namespace dpfs::sim
