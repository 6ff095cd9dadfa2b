// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/log.hpp"
#include "hal/vhost_user/device.hpp"
#include "hal/vhost_user/front_end.hpp"
#include "hal/vhost_user/user_driver.hpp"
#include "reactor/blocking_pool.hpp"
#include "reactor/make_reactor.hpp"
#include "test_sink.hpp"
#include "virtio/wire.hpp"

#include <gtest/gtest.h>

#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace dpfs::hal::test {

using vhost_user::DeviceOptions;
using vhost_user::DriverQueue;
using vhost_user::DriverQueueOptions;
using vhost_user::FrontEnd;
using vhost_user::SharedMemory;
using vhost_user::VhostUserDevice;
namespace wire = vhost_user::wire;
using wire::MessageId;

constexpr int timeout_ms = 60'000;  // never reached unless something is broken

constexpr std::uint64_t all_protocol_features = ~std::uint64_t{0};
constexpr std::uint64_t split_features =
    virtio::feature_version_1 | virtio::feature_indirect_desc | virtio::feature_event_idx |
    wire::feature_protocol_features;
constexpr std::uint64_t packed_features = split_features | virtio::feature_ring_packed;

/// Keeps what a device says.
class RecordingLog final : public LogSink {
  public:
    void write(LogLevel level, std::string_view scope, std::string_view message) override;
    [[nodiscard]] bool enabled(LogLevel) const override { return true; }

    /// Lines of level warning and up that contain `text`.
    [[nodiscard]] int count(std::string_view text) const;
    [[nodiscard]] int problem_count() const;
    [[nodiscard]] std::string all() const;
    /// Waits until so many lines of any level contain `text`.
    void wait_for(std::string_view text, int count);
    void clear();

  private:
    struct Line {
        LogLevel level;
        std::string text;
    };
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Line> lines_;
};

/// Reactors on threads of their own.
class ReactorThreads {
  public:
    ReactorThreads(std::size_t count, reactor::PollMode mode, reactor::ReactorKind kind);
    ~ReactorThreads();

    [[nodiscard]] std::vector<reactor::Reactor*> reactors() const;

    /// Runs `call()` on the first reactor's thread and gives its result.
    template <class Call>
    auto run(Call call) {
        using Value = std::invoke_result_t<Call&>;
        std::promise<Value> done;
        run_detached(std::move(call), done);
        return done.get_future().get();
    }
    /// Runs a task there.
    void run_task(Task<void> task);

  private:
    template <class Call, class Value>
    Detached run_detached(Call call, std::promise<Value>& done) {
        co_await reactor::Reactor::switch_to(*reactors_.front());
        done.set_value(call());
    }
    Detached await_detached(Task<void> task, std::promise<void>& done);

    reactor::BlockingPool pool_;
    std::vector<std::unique_ptr<reactor::EventLoop>> reactors_;
    std::vector<std::thread> threads_;
};

/// A device with an echo sink, served by one reactor or more, and a place for front ends.
class DeviceTest : public ::testing::Test {
  protected:
    struct Setup {
        std::size_t reactor_count = 1;
        std::uint16_t request_queue_count = 1;
        reactor::PollMode mode = reactor::PollMode::interrupt;
        bool fixed_buffers = false;
        reactor::ReactorKind kind = reactor::ReactorKind::automatic;
    };

    DeviceTest();
    ~DeviceTest() override;
    DeviceTest(const DeviceTest&) = delete;
    DeviceTest& operator=(const DeviceTest&) = delete;

    void start_device(const Setup& setup);
    void start_device() { start_device(Setup{}); }
    void stop_device();

    /// A connected front end.
    [[nodiscard]] FrontEnd connect() const;
    /// … that has negotiated, and shared `memory()`.
    [[nodiscard]] FrontEnd connect_and_share(std::uint64_t features);
    /// A queue that runs; queue i's ring lies in a place of its own.
    std::unique_ptr<DriverQueue> start_queue(FrontEnd& front_end, std::uint32_t index);

    /// Puts a request with `size` bytes into a queue's ring; its answer will be written behind
    /// them. `slot` tells requests of one test apart.
    std::uint16_t add_request(DriverQueue& queue, std::uint32_t slot, std::uint32_t size);
    /// Whether the request's bytes came back.
    [[nodiscard]] bool answered(std::uint32_t slot, std::uint32_t size) const;
    /// One request through a queue, there and back.
    void echo_once(DriverQueue& queue, std::uint32_t slot);

    [[nodiscard]] SharedMemory& memory() { return memory_; }
    [[nodiscard]] EchoSink& sink() { return sink_; }
    [[nodiscard]] RecordingLog& log() { return log_; }
    [[nodiscard]] VhostUserDevice& device() { return *device_; }
    [[nodiscard]] ReactorThreads& threads() { return *threads_; }
    [[nodiscard]] const std::string& socket_path() const { return socket_path_; }

    static constexpr std::uint64_t memory_start = 0x10000;
    static constexpr std::uint64_t memory_size = 16 << 20;
    static constexpr std::uint64_t queue_area_size = 1 << 16;
    static constexpr std::uint64_t requests_start = memory_start + (8 << 20);
    static constexpr std::uint32_t request_slot_size = 1 << 14;

  private:
    std::string directory_;
    std::string socket_path_;
    RecordingLog log_;
    EchoSink sink_;
    SharedMemory memory_;
    std::unique_ptr<ReactorThreads> threads_;
    std::unique_ptr<VhostUserDevice> device_;
};

/// Open descriptors of this process.
[[nodiscard]] std::size_t open_fd_count();
/// Mappings of this process whose name contains `text`.
[[nodiscard]] std::size_t mapping_count(std::string_view text);

}  // namespace dpfs::hal::test
