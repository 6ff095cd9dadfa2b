// SPDX-License-Identifier: Apache-2.0
// Goal: every work runs to its end in every way of driving a device, and results are about what
// was asked for. Method: short runs against bare devices in this process.
#include "bench/run.hpp"

#include "bench/report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <unistd.h>

namespace dpfs::bench {
namespace {

using testing::HasSubstr;

class Silent final : public Observer {
  public:
    void progress(const std::string& line) override { last = line.empty() ? last : line; }
    std::string last;
};

Options short_run() {
    Options options;
    options.floors = {"null"};
    options.round_count = 2;
    options.round_time = milliseconds(5);
    options.warm_up_time = milliseconds(1);
    options.load.depth = 4;
    options.load.file_size = {1 << 20};
    return options;
}

class Run : public testing::Test {
  protected:
    std::vector<WorkResult> succeed() {
        auto results = run(options, observer, stop);
        EXPECT_TRUE(results) << results.error();
        return results.value_or(std::vector<WorkResult>{});
    }
    /// Runs, and checks that every group has done something in every round.
    std::vector<WorkResult> work() {
        auto results = succeed();
        EXPECT_EQ(results.size(), options.load.works.works.size());
        for (const WorkResult& result : results) {
            for (const GroupResult& group : result.groups) {
                EXPECT_EQ(group.all.rates().size(), options.round_count);
                EXPECT_GT(group.all.operation_count(), 0U) << name_of(result.work);
                EXPECT_LE(group.all.latency(0), group.all.latency(percentile_count - 1));
            }
        }
        return results;
    }

    Options options = short_run();
    Silent observer;
    std::atomic<bool> stop = false;
};

TEST_F(Run, does_every_work_that_a_device_without_names_can) {
    options.load.works.works = {Work::seqread,
                                Work::randread,
                                Work::seqwrite,
                                Work::randwrite,
                                Work::mixed,
                                Work::statfs,
                                Work::getattr,
                                Work::lookup,
                                Work::create_unlink,
                                Work::open_close};
    work();
    EXPECT_EQ(observer.last, "removes the test files");
}

TEST_F(Run, finds_in_a_file_what_was_written) {
    options.floors = {"/tmp"};
    options.load.verify = true;
    options.load.works.works = {Work::mixed, Work::randread};
    work();
}

TEST_F(Run, finds_what_was_written_in_scattered_pages) {
    options.floors = {"/tmp"};
    options.load.verify = true;
    options.load.block_size = {16384};
    options.driver.scatter = true;
    options.load.works.works = {Work::mixed};
    work();
}

TEST_F(Run, notices_that_a_file_does_not_hold_what_was_written) {
    options.load.verify = true;
    const auto results = run(options, observer, stop);
    ASSERT_FALSE(results);
    EXPECT_THAT(results.error(), HasSubstr("does not hold at byte"));
}

TEST_F(Run, sleeps_on_interrupts) {
    options.driver.wait = WaitMode::interrupt;
    options.load.depth = 1;
    const auto results = work();
    EXPECT_GT(results.front().groups.front().all.calls_per_request(), 0);
}

TEST_F(Run, polls_without_being_called) {
    const auto results = work();
    EXPECT_LT(results.front().groups.front().all.calls_per_request(), 0.1);
}

TEST_F(Run, uses_packed_rings) {
    options.driver.ring = RingFormat::packed;
    options.load.works.works = {Work::mixed, Work::create_unlink};
    work();
}

TEST_F(Run, goes_without_indirect_descriptors_and_event_indices) {
    options.driver.indirect = false;
    options.driver.event_idx = false;
    options.driver.ring_size = 64;
    options.load.works.works = {Work::mixed};
    work();
}

TEST_F(Run, uses_some_queues_on_fewer_threads) {
    options.queue_count = 3;
    options.thread_count = 2;
    work();
}

TEST_F(Run, drives_devices_at_once_and_tells_them_apart) {
    options.floors = {"null", "/tmp"};
    const auto results = work();
    const GroupResult& group = results.front().groups.front();
    EXPECT_EQ(group.name, "2 devices");
    ASSERT_EQ(group.members.size(), 2U);
    EXPECT_EQ(group.member_names[1], "floor /tmp");
    EXPECT_EQ(group.members[0].operation_count() + group.members[1].operation_count(),
              group.all.operation_count());
}

TEST_F(Run, compares_devices_in_turn) {
    options.floors = {"null", "null"};
    options.compare = true;
    const auto results = work();
    ASSERT_EQ(results.front().groups.size(), 2U);
    EXPECT_EQ(results.front().ratio(0).median, 1);
    EXPECT_GT(results.front().ratio(1).median, 0);
}

TEST_F(Run, returns_inodes_in_batches) {
    options.load.batch_forget = true;
    options.load.works.works = {Work::create_unlink};
    work();
}

TEST_F(Run, ends_when_it_is_told_to) {
    stop = true;
    const auto results = run(options, observer, stop);
    ASSERT_FALSE(results);
    EXPECT_EQ(results.error(), "interrupted");
}

TEST_F(Run, says_what_cannot_be_connected_to) {
    options.floors.clear();
    options.sockets = {"/nonexistent/socket"};
    const auto results = run(options, observer, stop);
    ASSERT_FALSE(results);
    EXPECT_EQ(results.error(),
              "'/nonexistent/socket' cannot be connected to (ENOENT); is the device served?");
}

TEST_F(Run, says_which_directory_cannot_be_a_floor) {
    options.floors = {"/nonexistent"};
    const auto results = run(options, observer, stop);
    ASSERT_FALSE(results);
    EXPECT_EQ(results.error(), "floor /nonexistent: cannot be opened (ENOENT)");
}

TEST_F(Run, uses_the_file_that_is_there) {
    options.load.file = "data";
    const std::string path =
        testing::TempDir() + "dpfs-bench-test-" + std::to_string(::getpid());
    std::ofstream(path) << std::string(options.load.file_size.bytes, 'x');
    options.floors = {path};
    options.load.works.works = {Work::seqwrite, Work::randread};
    work();
    std::ifstream file(path);
    const std::string contents(std::istreambuf_iterator<char>(file), {});
    EXPECT_NE(contents.find_first_not_of('x'), std::string::npos) << "another was written to";
    EXPECT_EQ(std::filesystem::file_size(path), options.load.file_size.bytes);
    std::filesystem::remove(path);
}

TEST_F(Run, says_that_blocks_are_too_large) {
    options.load.block_size = {2 << 20};
    options.load.file_size = {8 << 20};
    const auto results = run(options, observer, stop);
    ASSERT_FALSE(results);
    EXPECT_THAT(results.error(), HasSubstr("at most 1024 KiB in one request"));
}

TEST_F(Run, reports_as_text_for_people) {
    options.compare = true;
    options.floors = {"null", "null"};
    const std::string text = text_report(succeed(), options);
    EXPECT_THAT(text, HasSubstr("randread: 4 KiB of 1 MiB, depth 4, queues 1, busy"));
    EXPECT_THAT(text, HasSubstr("p99.99"));
    EXPECT_THAT(text, HasSubstr("rate in relation to floor null:"));
}

TEST_F(Run, reports_as_json_for_programs) {
    const auto report = nlohmann::json::parse(json_report(succeed(), options));
    EXPECT_EQ(report["configuration"]["depth"], 4);
    const auto& target = report["works"][0]["targets"][0];
    EXPECT_EQ(report["works"][0]["work"], "randread");
    EXPECT_EQ(target["name"], "floor null");
    EXPECT_EQ(target["rounds"].size(), 2U);
    EXPECT_GT(target["operations_per_s"]["median"], 0.0);
    EXPECT_GT(target["latency_ns"]["p99.9"], 0.0);
    EXPECT_GT(target["server"]["user_ns"], 0.0);
}

}  // namespace
}  // namespace dpfs::bench
