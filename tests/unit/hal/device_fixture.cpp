// SPDX-License-Identifier: Apache-2.0
#include "device_fixture.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace dpfs::hal::test {

void RecordingLog::write(LogLevel level, std::string_view /*scope*/, std::string_view message) {
    const std::lock_guard lock(mutex_);
    lines_.push_back({level, std::string(message)});
    changed_.notify_all();
}

int RecordingLog::count(std::string_view text) const {
    const std::lock_guard lock(mutex_);
    return static_cast<int>(std::ranges::count_if(lines_, [&](const Line& line) {
        return line.level >= LogLevel::warning && line.text.find(text) != std::string::npos;
    }));
}

int RecordingLog::problem_count() const {
    return count("");
}

std::string RecordingLog::all() const {
    const std::lock_guard lock(mutex_);
    std::string text;
    for (const Line& line : lines_) text += line.text + "\n";
    return text;
}

void RecordingLog::wait_for(std::string_view text, int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] {
        return std::ranges::count_if(lines_, [&](const Line& line) {
                   return line.text.find(text) != std::string::npos;
               }) >= count;
    });
}

void RecordingLog::clear() {
    const std::lock_guard lock(mutex_);
    lines_.clear();
}

ReactorThreads::ReactorThreads(std::size_t count,
                               reactor::PollMode mode,
                               reactor::ReactorKind kind)
    : pool_({.thread_count_max = 2}) {
    RecordingLog log;
    const Logger logger(log, "test");
    for (std::size_t i = 0; i < count; ++i) {
        reactor::ReactorOptions options;
        options.kind = kind;
        options.uring.loop.policy.mode = mode;
        auto made = reactor::make_reactor(options, pool_, logger);
        if (!made) std::abort();
        reactors_.push_back(std::move(*made));
    }
    for (const auto& one : reactors_) threads_.emplace_back([&one] { one->run(); });
}

ReactorThreads::~ReactorThreads() {
    for (const auto& one : reactors_) one->stop();
    for (std::thread& thread : threads_) thread.join();
}

std::vector<reactor::Reactor*> ReactorThreads::reactors() const {
    std::vector<reactor::Reactor*> all;
    all.reserve(reactors_.size());
    for (const auto& one : reactors_) all.push_back(one.get());
    return all;
}

void ReactorThreads::run_task(Task<void> task) {
    std::promise<void> done;
    await_detached(std::move(task), done);
    done.get_future().get();
}

Detached ReactorThreads::await_detached(Task<void> task, std::promise<void>& done) {
    Task<void> mine = std::move(task);
    co_await reactor::Reactor::switch_to(*reactors_.front());
    co_await std::move(mine);
    done.set_value();
}

DeviceTest::DeviceTest() {
    std::string pattern = std::filesystem::temp_directory_path() / "dpfs-hal-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    socket_path_ = directory_ + "/socket";
    auto memory = SharedMemory::make(memory_start, memory_size);
    if (!memory) std::abort();
    memory_ = std::move(*memory);
}

DeviceTest::~DeviceTest() {
    stop_device();
    std::filesystem::remove_all(directory_);
}

void DeviceTest::start_device(const Setup& setup) {
    threads_ = std::make_unique<ReactorThreads>(setup.reactor_count, setup.mode, setup.kind);
    DeviceOptions options;
    options.socket_path = socket_path_;
    options.tag = "home";
    options.request_queue_count = setup.request_queue_count;
    options.fixed_buffers = setup.fixed_buffers;
    device_ = std::make_unique<VhostUserDevice>(
        options, threads_->reactors(), sink_, Logger(log_, "device"));
    const auto started = threads_->run([this] { return device_->start(); });
    ASSERT_TRUE(started.has_value()) << log_.all();
}

void DeviceTest::stop_device() {
    if (device_ == nullptr) return;
    threads_->run_task(device_->stop());
    device_.reset();
    threads_.reset();
}

FrontEnd DeviceTest::connect() const {
    auto front_end = FrontEnd::connect(socket_path_);
    EXPECT_TRUE(front_end.has_value());
    return std::move(*front_end);
}

FrontEnd DeviceTest::connect_and_share(std::uint64_t features) {
    FrontEnd front_end = connect();
    EXPECT_TRUE(front_end.negotiate(features, all_protocol_features));
    const wire::MemoryRegion region = memory_.region();
    const int fd = memory_.fd();
    EXPECT_TRUE(front_end.set_memory_table(std::span(&region, 1), std::span(&fd, 1)));
    return front_end;
}

std::unique_ptr<DriverQueue> DeviceTest::start_queue(FrontEnd& front_end, std::uint32_t index) {
    const DriverQueueOptions options = {
        .index = index,
        .size = 64,
        .table_count = 4,
        .guest_address = memory_start + index * queue_area_size,
    };
    auto queue = DriverQueue::make(memory_, front_end, options);
    EXPECT_TRUE(queue.has_value());
    EXPECT_TRUE((*queue)->start(front_end)) << log_.all();
    return std::move(*queue);
}

std::uint16_t DeviceTest::add_request(DriverQueue& queue,
                                      std::uint32_t slot,
                                      std::uint32_t size) {
    const std::uint64_t at = requests_start + std::uint64_t{slot} * request_slot_size;
    for (std::uint32_t i = 0; i < size; ++i) {
        memory_.at(at)[i] = static_cast<std::byte>(slot + i + 1);
        memory_.at(at + request_slot_size / 2)[i] = std::byte{0};
    }
    const virtio::Segment in = {.address = at, .size = size};
    const virtio::Segment out = {.address = at + request_slot_size / 2, .size = size};
    const auto id = queue.ring().add({.readable = std::span(&in, 1),
                                      .writable = std::span(&out, 1),
                                      .direct_count = 2,
                                      .indirect = false});
    EXPECT_TRUE(id.has_value());
    return id.value_or(0);
}

bool DeviceTest::answered(std::uint32_t slot, std::uint32_t size) const {
    const std::uint64_t at = requests_start + std::uint64_t{slot} * request_slot_size;
    return std::equal(
        memory_.at(at), memory_.at(at) + size, memory_.at(at + request_slot_size / 2));
}

void DeviceTest::echo_once(DriverQueue& queue, std::uint32_t slot) {
    constexpr std::uint32_t size = 100;
    const std::uint16_t id = add_request(queue, slot, size);
    queue.publish();
    const auto used = queue.wait_for_used(timeout_ms);
    ASSERT_TRUE(used.has_value()) << log_.all();
    EXPECT_EQ(used->id, id);
    EXPECT_EQ(used->written, size);
    EXPECT_TRUE(answered(slot, size));
}

std::size_t open_fd_count() {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        (void)entry;
        ++count;
    }
    return count;
}

std::size_t mapping_count(std::string_view text) {
    std::ifstream maps("/proc/self/maps");
    std::size_t count = 0;
    for (std::string line; std::getline(maps, line);) {
        if (line.find(text) != std::string::npos) ++count;
    }
    return count;
}

}  // namespace dpfs::hal::test
