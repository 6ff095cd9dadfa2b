// SPDX-License-Identifier: Apache-2.0
// Whatever a front end says, with whatever descriptors, wherever it stops: what comes back are
// replies to its messages; its device serves the next front end; and nothing of it stays, no
// descriptor, no mapping, no thread, no request.
//
// Method: the real device on simulated reactors, so that one thread, one seed and virtual time
// decide everything; the sockets are real. A wait that would never end is found at once.
//
// Input, from its front: a byte {bit 0: a second reactor, bits 1 and 2: latency}, then
// operations of the front end: message_script.hpp says how messages are made of bytes.
#include "hal/vhost_user/device.hpp"
#include "hal/vhost_user/front_end.hpp"
#include "hal/vhost_user/user_driver.hpp"
#include "hostile_memory.hpp"
#include "message_script.hpp"
#include "reactor/sim_world.hpp"
#include "reply_checker.hpp"
#include "require.hpp"
#include "script_sink.hpp"
#include "virtio/wire.hpp"

#include <algorithm>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <poll.h>
#include <string>
#include <unistd.h>

namespace dpfs::fuzz {
namespace {

using hal::vhost_user::DriverQueue;
using hal::vhost_user::FrontEnd;
using hal::vhost_user::SharedMemory;
using hal::vhost_user::VhostUserDevice;
namespace wire = hal::vhost_user::wire;
using wire::MessageId;

constexpr int operation_count_max = 100;
constexpr int connection_count_max = 6;
constexpr Duration settling_time = milliseconds(1);
constexpr int settle_count_max = 100;
constexpr Duration look_interval = microseconds(200);
constexpr int look_count_max = 100'000;  // of virtual time: 20 seconds

class SilentSink final : public LogSink {
  public:
    void write(LogLevel, std::string_view, std::string_view) override {}
    [[nodiscard]] bool enabled(LogLevel) const override { return true; }
};

class ScratchDirectory {
  public:
    ScratchDirectory() {
        std::string pattern = std::filesystem::temp_directory_path() / "dpfs-fuzz-XXXXXX";
        path_ = ::mkdtemp(pattern.data());
    }
    ~ScratchDirectory() { ::rmdir(path_.c_str()); }
    ScratchDirectory(const ScratchDirectory&) = delete;
    ScratchDirectory& operator=(const ScratchDirectory&) = delete;

    [[nodiscard]] std::string socket() const { return path_ + "/socket"; }

  private:
    std::string path_;
};

/// What a connection must not leave behind.
struct Holdings {
    std::size_t descriptors;
    std::size_t threads;
    std::size_t mappings;

    static std::size_t descriptor_count() { return entries_of("/proc/self/fd"); }
    static Holdings of_this_process() {
        return {.descriptors = descriptor_count(),
                .threads = entries_of("/proc/self/task"),
                .mappings = shared_mappings()};
    }
    bool operator==(const Holdings&) const = default;

  private:
    static std::size_t entries_of(const char* directory) {
        const std::filesystem::directory_iterator entries(directory);
        return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
    }
    static std::size_t shared_mappings() {
        std::ifstream maps("/proc/self/maps");
        std::size_t count = 0;
        for (std::string line; std::getline(maps, line);) {
            if (line.find("/memfd:") != std::string::npos) ++count;
        }
        return count;
    }
};

/// One input's life: a device, its front ends, and the last one that must be served.
class MessageFuzz {
  public:
    explicit MessageFuzz(ScriptReader& input)
        : input_(input), options_(input.number()), script_(input, memory_) {
        constexpr std::int64_t latencies_us[] = {0, 10, 100, 300};
        world_.faults().latency_max = microseconds(latencies_us[options_ >> 1U & 3]);
        reactors_.push_back(&world_.add_reactor());
        if ((options_ & 1) != 0) reactors_.push_back(&world_.add_reactor());
        front_ = &world_.add_reactor();
    }

    void run() {
        hal::vhost_user::DeviceOptions options;
        options.socket_path = directory_.socket();
        options.tag = "fuzz";
        options.request_queue_count = queue_count - 1;
        VhostUserDevice device(options, reactors_, sink_, Logger(log_, "device"));
        require(world_.run(*reactors_[0], start(device)));
        const Holdings unconnected = Holdings::of_this_process();
        require(world_.run(*front_, live()));
        require(world_.run(*front_, be_back_at(unconnected)));
        require(world_.run(*reactors_[0], stop(device)));
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

    Task<bool> live() {
        connect();
        for (int i = 0; i < operation_count_max && !input_.at_end(); ++i) {
            if (!front_end_ && connection_count_ == connection_count_max) break;
            if (!front_end_) connect();
            if (operate()) co_await settle();
        }
        co_await leave();
        sink_.stop_holding();
        co_await be_served();
        co_return true;
    }

    void connect() {
        auto connected = FrontEnd::connect(directory_.socket());
        require(connected.has_value());
        front_end_.emplace(std::move(*connected));
        // The device may stop reading before we stop writing.
        require(::fcntl(front_end_->fd(), F_SETFL, O_RDWR | O_NONBLOCK) == 0);
        checker_ = {};
        ++connection_count_;
    }

    /// Whether the device is to have time for it.
    bool operate() {
        switch (input_.below(16)) {
            case 0:
                return send_all(script_.set_up());
            case 1:
                return send(script_.with_raw_header());
            case 2:
                return send(script_.raw());
            case 3:
                memory_.kick(input_.below(queue_count));
                return false;
            case 4:
                return offer();
            case 5:
                return write_memory();
            case 6:
                memory_.resize_file(input_.one_in(2), input_.below(9) * page_size);
                return false;
            case 7:
                return cut();
            case 8:
                input_.one_in(2) ? sink_.hold() : sink_.release();
                return false;
            case 9:
                return connect_twice();
            case 10:
                return true;
            default:
                return send(script_.told());
        }
    }

    bool send(const Sending& sending) { return send(sending.bytes, sending.fds); }
    bool send(std::span<const std::byte> bytes, const std::vector<UniqueFd>& fds) {
        std::vector<int> numbers;
        for (const UniqueFd& fd : fds) numbers.push_back(fd.get());
        checker_.sent(bytes);
        const auto sent = front_end_->send_bytes(bytes, numbers);
        if (!sent) front_end_.reset();
        return (input_.number() & 3) != 0;
    }
    bool send_all(const std::vector<Sending>& all) {
        for (const Sending& one : all) {
            if (front_end_) send(one.bytes, one.fds);
        }
        return true;
    }

    bool offer() {
        const std::uint32_t queue = input_.below(queue_count);
        const std::uint32_t readable = input_.below(8) * 600;
        const std::uint32_t writable = input_.below(8) * 600;
        for (std::uint32_t i = input_.below(4) + 1; i > 0; --i) {
            memory_.offer(queue, readable, writable);
        }
        memory_.kick(queue);
        return input_.one_in(2);
    }

    bool write_memory() {
        const std::uint64_t offset =
            input_.number<std::uint16_t>() % (memory_size + other_size - 256);
        memory_.write(guest_start + offset, input_.bytes(input_.below(64)));
        return false;
    }

    /// The connection ends in the middle of a message.
    bool cut() {
        const Sending whole = script_.told();
        const std::size_t size = input_.number() % (whole.bytes.size() + 1);
        send(std::span(whole.bytes).first(size), whole.fds);
        front_end_.reset();
        return input_.one_in(2);
    }

    /// A second front end is sent away while the first is there.
    bool connect_twice() {
        const auto second = FrontEnd::connect(directory_.socket());
        require(second.has_value());
        return true;
    }

    Task<void> settle() {
        (void)co_await front_->sleep(settling_time);
        collect();
    }

    void collect() {
        while (front_end_) {
            pollfd state = {.fd = front_end_->fd(), .events = POLLIN, .revents = 0};
            if (::poll(&state, 1, 0) == 0) return;
            auto reply = front_end_->receive();
            if (!reply) {
                require(reply.error() != Errno::protocol && reply.error() != Errno::again);
                front_end_.reset();
                return;
            }
            checker_.received(*reply);
            if (reply->fds.empty()) continue;
            memory_.keep_inflight(std::move(reply->payload), std::move(reply->fds[0]));
        }
    }

    Task<void> leave() {
        if (input_.number() != 1) co_await settle();
        front_end_.reset();
    }

    // --- the front end that does everything right

    Task<void> wait_for(int fd) {
        for (int i = 0;; ++i) {
            pollfd state = {.fd = fd, .events = POLLIN, .revents = 0};
            if (::poll(&state, 1, 0) == 1) co_return;
            require(i < look_count_max);
            (void)co_await front_->sleep(look_interval);
        }
    }

    /// The last front end has left: soon the device has nothing of any of them.
    Task<bool> be_back_at(Holdings unconnected) {
        memory_.keep_inflight({}, {});
        // Its socket goes last.
        for (int i = 0; Holdings::descriptor_count() != unconnected.descriptors; ++i) {
            require(i < settle_count_max);
            (void)co_await front_->sleep(settling_time);
        }
        require(Holdings::of_this_process() == unconnected);
        co_return true;
    }

    Task<std::uint64_t> ask(FrontEnd& good, MessageId id, hal::test::MessageBytes payload) {
        require(good.send_bytes(hal::test::message(id, payload)).has_value());
        co_await wait_for(good.fd());
        const auto reply = good.receive();
        require(reply && reply->request == std::to_underlying(id));
        co_return reply->as<wire::Number>().value;
    }

    Task<void> be_served() {
        auto good = FrontEnd::connect(directory_.socket());
        auto memory = SharedMemory::make(guest_start, 16 * page_size);
        require(good && memory);
        const std::uint64_t features = co_await ask(*good, MessageId::get_features, {});
        const std::uint64_t wanted = features & ~virtio::feature_ring_packed;
        auto queue = DriverQueue::make(
            *memory, wanted, {.index = 1, .size = 8, .guest_address = guest_start});
        require(queue.has_value());
        const wire::MemoryRegion region = memory->region();
        const int fd = memory->fd();
        require(good->tell(MessageId::set_features, wire::Number{wanted}).has_value());
        require(good->set_memory_table({&region, 1}, {&fd, 1}).has_value());
        require((*queue)->start(*good).has_value());
        co_await echo(**queue, *memory);
        const auto stopped = co_await ask(
            *good, MessageId::get_vring_base, hal::test::bytes_of(hal::test::state(1, 0)));
        require(stopped == (1ULL << 32 | 1));  // queue 1 has taken one request
    }

    Task<void> echo(DriverQueue& queue, SharedMemory& memory) {
        constexpr std::uint32_t size = 100;
        const virtio::Segment in = {.address = guest_start + 8 * page_size, .size = size};
        const virtio::Segment out = {.address = guest_start + 9 * page_size, .size = size};
        std::fill_n(memory.at(in.address), size, std::byte{0x5a});
        const auto id = queue.ring().add({.readable = {&in, 1}, .writable = {&out, 1}});
        require(id.has_value());
        queue.ring().publish();
        queue.kick();
        std::optional<virtio::UsedChain> used;
        for (int i = 0; !used; ++i) {
            require(i < look_count_max);
            (void)co_await front_->sleep(look_interval);
            const auto polled = queue.ring().poll();
            require(polled.has_value());
            used = *polled;
        }
        require(used->id == *id && used->written == size);
        require(std::equal(
            memory.at(in.address), memory.at(in.address) + size, memory.at(out.address)));
    }

    ScriptReader& input_;
    std::uint8_t options_;
    ScratchDirectory directory_;
    SilentSink log_;
    reactor::SimWorld world_{1};
    std::vector<reactor::Reactor*> reactors_;
    reactor::Reactor* front_ = nullptr;
    ScriptSink sink_;
    HostileMemory memory_;
    MessageScript script_;
    std::optional<FrontEnd> front_end_;
    ReplyChecker checker_;
    int connection_count_ = 0;
};

}  // namespace
}  // namespace dpfs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace dpfs::fuzz;
    ScriptReader input({data, size});
    const Holdings before = Holdings::of_this_process();
    MessageFuzz(input).run();
    require(Holdings::of_this_process() == before);
    return 0;
}
