// SPDX-License-Identifier: Apache-2.0
#include "nfs_run.hpp"

#include "nfs_data_program.hpp"
#include "nfs_name_program.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

namespace dpfs::sim {
namespace {

constexpr int step_count = 30;
/// Where no lease is to be lost, a client that cannot reach its server for a while must not.
ModelState::Times times_of(const NfsScenario& scenario) {
    if (scenario.lost_leases) return {.lease = seconds(10), .grace = seconds(4)};
    return {.lease = seconds(300), .grace = seconds(60)};
}

}  // namespace

/// DPFS_SIM_LOG=1 shows what client and server say, with the simulation's time.
class NfsRun::Sink final : public LogSink {
  public:
    explicit Sink(const reactor::SimWorld& world) : world_(world) {}
    void write(LogLevel, std::string_view scope, std::string_view message) override {
        std::fprintf(stderr,
                     "%12.6f %.*s: %.*s\n",
                     static_cast<double>(world_.now().ns) / 1e9,
                     static_cast<int>(scope.size()),
                     scope.data(),
                     static_cast<int>(message.size()),
                     message.data());
    }
    [[nodiscard]] bool enabled(LogLevel) const override { return enabled_; }

  private:
    const reactor::SimWorld& world_;
    const bool enabled_ = std::getenv("DPFS_SIM_LOG") != nullptr;
};

NfsRun::NfsRun(std::uint64_t seed, const NfsScenario& scenario)
    : sink_(std::make_unique<Sink>(world_)),
      log_(*sink_, ""),
      scenario_(scenario),
      world_(seed),
      reactors_{&world_.add_reactor(), &world_.add_reactor(), &world_.add_reactor()},
      server_(world_, *reactors_[2], history_, times_of(scenario), log_.child("server")),
      rules_{.random = world_.random(),
             .history = history_,
             .server = server_,
             .log = log_.child("program"),
             .interruptions = scenario.interruptions ? 100U : 0U,
             .has_time_limit = scenario.time_limit,
             .hostile = scenario.hostile} {}

NfsRun::~NfsRun() = default;

Duration NfsRun::up_to(Duration longest) {
    return nanoseconds(static_cast<std::int64_t>(
        world_.random().below(static_cast<std::uint64_t>(longest.ns) + 1)));
}

std::unique_ptr<NfsMount> NfsRun::make_mount(const std::string& name) {
    nfs::NfsOptions options;
    options.client.servers = {"127.0.0.1"};
    options.client.owner = "sim " + name;
    options.client.slot_count = 4 + static_cast<std::uint32_t>(world_.random().below(12));
    options.client.data_size_max = world_.random().chance(500) ? 16384 : 1 << 20;
    options.client.answer_time_max = seconds(5);
    if (scenario_.time_limit) options.client.request_time_max = seconds(2);
    options.inode_count_max = 1000;
    options.open_file_count_max = 1000;
    return std::make_unique<NfsMount>(
        world_, std::move(options), std::vector{reactors_[0], reactors_[1]}, log_.child(name));
}

void NfsRun::choose_behaviour() {
    auto& random = world_.random();
    ModelBehaviour& behaviour = server_.core().behaviour;
    behaviour.binds_silently = random.chance(500);
    behaviour.tells_false_retries = random.chance(500);
    behaviour.keeps_uncached = random.chance(500);
    behaviour.is_strict_in_grace = random.chance(500);
    behaviour.slot_count_max = 2 + static_cast<std::uint32_t>(random.below(12));
    behaviour.judges_targets = scenario_.slot_targets && !scenario_.cuts;
    behaviour.promotes = random.chance(500) ? 300 : 0;
    behaviour.small_page = random.chance(500) ? 300 : 0;
}

void NfsRun::choose_faults() {
    auto& random = world_.random();
    ModelWire& wire = server_.wire();
    ModelBehaviour& behaviour = server_.core().behaviour;
    if (random.chance(500)) wire.late = 50;
    if (random.chance(500)) wire.pieces = 100;
    if (scenario_.slow_execution && random.chance(500)) wire.slow = 300;
    if (scenario_.delays && random.chance(700)) behaviour.delay = 20;
    if (scenario_.delays && random.chance(700)) behaviour.sequence_delay = 20;
    if (scenario_.late_delays && random.chance(700)) behaviour.late_delay = 20;
    if (scenario_.short_io && random.chance(700)) behaviour.short_io = 100;
    if (scenario_.slot_targets && random.chance(700)) behaviour.new_target = 50;
    if (scenario_.hostile) {
        wire.corrupt = random.chance(500) ? 20 : 0;
        wire.truncated = random.chance(500) ? 20 : 0;
        wire.oversized = random.chance(500) ? 20 : 0;
        wire.duplicated = 50;
    }
    if (!scenario_.cuts) return;
    if (random.chance(800)) wire.cut = 900;
    wire.cut_size_max = random.chance(300) ? 200'000 : 20'000;
    if (random.chance(300)) wire.silent = 10;
    if (random.chance(300)) wire.duplicated = 50;
}

void NfsRun::calm_down() {
    calm_ = true;
    trouble_over_.cancel();
    server_.wire() = {};
    ModelBehaviour& behaviour = server_.core().behaviour;
    behaviour.delay = behaviour.sequence_delay = behaviour.late_delay = 0;
    behaviour.new_target = 0;
    server_.cut_all();  // those that were to be cut some day
}

Task<void> NfsRun::be_away(bool restart) {
    const bool is_long = scenario_.lost_leases && world_.random().chance(300);
    Duration time = up_to(seconds(is_long ? 5 : 1));
    if (is_long) time.ns += times_of(scenario_).lease.ns;
    restart ? server_.crash() : server_.set_reachable(false);
    const auto slept = co_await reactors_[2]->sleep(time, &trouble_over_);
    static_cast<void>(slept);
    restart ? server_.start_again() : server_.set_reachable(true);
}

Task<void> NfsRun::make_trouble() {
    switch (world_.random().below(6)) {
        case 0:
            if (scenario_.restarts) co_await be_away(true);
            break;
        case 1:
            if (scenario_.cuts) co_await be_away(false);
            break;
        case 2:
            if (scenario_.lost_sessions) server_.lose_sessions();
            break;
        case 3:
            if (scenario_.lost_leases) server_.forget_a_client();
            break;
        case 4:
            if (scenario_.slot_targets) {
                server_.recall_slots(static_cast<std::uint32_t>(world_.random().below(12)));
            }
            break;
        default:
            if (scenario_.cuts) server_.cut_all();
            break;
    }
}

Task<void> NfsRun::trouble() {
    co_await reactor::Reactor::switch_to(*reactors_[2]);
    while (!calm_) {
        const Duration longest =
            world_.random().chance(500) ? milliseconds(50) : milliseconds(1000);
        const auto slept = co_await reactors_[2]->sleep(up_to(longest), &trouble_over_);
        if (slept) co_await make_trouble();
    }
}

void NfsRun::make_programs() {
    for (std::size_t i = 0; i < mounts_.size(); ++i) {
        for (std::size_t j = 0; j < 2; ++j) {
            const std::string name = std::to_string(i) + std::to_string(j);
            NfsMount& mount = *mounts_[i];
            reactor::Reactor& here = *reactors_[j];
            programs_.push_back(
                std::make_unique<NfsDataProgram>(mount, here, rules_, "data" + name));
            programs_.push_back(
                std::make_unique<NfsNameProgram>(mount, here, rules_, "name" + name));
            if (!scenario_.counters) continue;
            programs_.push_back(std::make_unique<NfsCounterProgram>(
                mount, here, rules_, counter_, 10 * i + j + 1));
        }
    }
}

Task<bool> NfsRun::start_mounts() {
    for (const char* const name : {"first", "second"}) {
        mounts_.push_back(make_mount(name));
        const auto started = co_await mounts_.back()->start();
        EXPECT_TRUE(started.has_value()) << errno_name(started.error());
        if (!started) co_return false;
    }
    co_return true;
}

/// The tenants' devices are reset, and then stopped, whether the server is there or not.
Task<void> NfsRun::stop_some_time() {
    co_await reactor::Reactor::switch_to(*reactors_[2]);
    const auto slept = co_await reactors_[2]->sleep(up_to(milliseconds(200)));
    static_cast<void>(slept);
    rules_.stopping = true;
    for (const auto& mount : mounts_) mount->interrupt_all();
}

Task<void> NfsRun::work() {
    Gate troubles;
    troubles.spawn(trouble());
    Gate running;
    for (const auto& program : programs_) running.spawn(program->run(step_count));
    if (scenario_.stops) running.spawn(stop_some_time());
    co_await running.close();
    co_await reactor::Reactor::switch_to(*reactors_[0]);
    if (scenario_.stops) co_await stop_mounts();
    calm_down();
    co_await troubles.close();
    if (scenario_.slot_targets) co_await wish_for_few_slots();
    if (!scenario_.stops) {
        for (const auto& program : programs_) co_await program->finish();
    }
    co_await reactor::Reactor::switch_to(*reactors_[0]);
}

Task<void> NfsRun::stop_mounts() {
    constexpr Duration stop_time_max = seconds(60);
    constexpr Duration farewell_time = seconds(3);  // then the lease has to do it
    for (const auto& mount : mounts_) {
        const Instant begin = world_.now();
        co_await mount->stop();
        co_await reactor::Reactor::switch_to(*reactors_[0]);
        if (scenario_.slow_stop) {
            const auto slept = co_await reactors_[0]->sleep(seconds(61));
            static_cast<void>(slept);
        }
        const Duration taken = world_.now() - begin;
        EXPECT_LE(taken.ns, stop_time_max.ns) << "it took too long to stop";
        if (taken >= farewell_time) is_left_to_lease_ = true;
    }
}

/// What was made durable is so, whatever happens afterwards.
Task<void> NfsRun::check() {
    server_.crash();
    server_.start_again();
    const auto last = make_mount("last");
    const auto started = co_await last->start();
    EXPECT_TRUE(started.has_value()) << errno_name(started.error());
    if (!started) co_return;
    for (const auto& program : programs_) co_await program->check_all(*last);
    co_await last->stop();
}

/// What tenants have given up is brought to its end without them.
Task<void> NfsRun::wait_until_quiet() {
    for (int i = 0; i < 120 && !server_.core().state.held().empty(); ++i) {
        const auto slept = co_await reactors_[0]->sleep(seconds(1));
        static_cast<void>(slept);
    }
}

/// Long enough before the rest of the run for the clients to obey.
Task<void> NfsRun::wish_for_few_slots() {
    server_.recall_slots(static_cast<std::uint32_t>(world_.random().below(3)));
    const auto slept = co_await reactors_[0]->sleep(seconds(3));
    static_cast<void>(slept);
}

Task<bool> NfsRun::live() {
    server_.core().lies = scenario_.lies;
    choose_behaviour();
    const bool started = co_await start_mounts();
    if (!started) co_return false;
    ModelFiles& files = server_.core().files;
    files.make(files.root(), counter_.name, nfs4::FileType::regular);
    make_programs();
    choose_faults();
    co_await work();
    if (scenario_.no_state_stays && !is_left_to_lease_) {
        co_await wait_until_quiet();
        EXPECT_TRUE(server_.core().state.held().empty()) << "state was left at the server";
    }
    co_await check();
    if (!scenario_.stops) co_await stop_mounts();
    co_await reactor::Reactor::switch_to(*reactors_[2]);
    co_await server_.stop();
    co_return true;
}

Task<void> NfsRun::watch() {
    constexpr Duration run_time_max = seconds(6 * 3600);
    const auto slept = co_await reactors_[0]->sleep(run_time_max, &all_over_);
    if (!slept) co_return;
    std::fprintf(stderr,
                 "simulation: seed %llu: no end after six hours of its time\n",
                 static_cast<unsigned long long>(world_.seed()));
    std::abort();
}

Task<bool> NfsRun::live_watched() {
    Gate watching;
    watching.spawn(watch());
    const bool lived = co_await live();
    co_await reactor::Reactor::switch_to(*reactors_[0]);
    all_over_.cancel();
    co_await watching.close();
    co_return lived;
}

void NfsRun::run() {
    world_.run(*reactors_[0], live_watched());
    if (scenario_.hostile) return;  // it may have been told anything
    for (const std::string& wrong : history_.check()) ADD_FAILURE() << wrong;
    EXPECT_EQ(server_.core().false_retry_count, 0U)
        << "a slot's number was used for two requests";
    EXPECT_EQ(server_.core().slot_breach_count, 0U) << "slots were used that were not to be";
}

}  // namespace dpfs::sim
