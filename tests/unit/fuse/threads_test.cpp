// SPDX-License-Identifier: Apache-2.0
// Goal: queues of one session on several threads share nothing but what they may; for
// ThreadSanitizer. Mounts begin and end, requests wait, are interrupted and are read about by a
// further thread while others go on.
// Method: real reactors, and a file system that waits now and then.
#include "fuse/wire_inode.hpp"
#include "message.hpp"
#include "reactor/blocking_pool.hpp"
#include "reactor/reactor_threads.hpp"
#include "session_fixture.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <thread>

namespace dpfs::fuse::test {
namespace {

using wire::Opcode;

/// Answers half of all at once and half after a wait; keeps no state.
class WaitingFileSystem final : public FileSystem {
  public:
    Task<Result<TimedAttributes>> getattr(Context& context,
                                          NodeId node,
                                          std::optional<FileHandle>) override {
        if (node == root_node) {
            return Task<Result<TimedAttributes>>::ready(TimedAttributes{});
        }
        return later(context);
    }

  private:
    static Task<Result<TimedAttributes>> later(Context& context) {
        const auto slept = co_await context.reactor.sleep(microseconds(50), &context.cancel);
        if (!slept) co_return fail(slept.error());
        co_return TimedAttributes{};
    }
};

Bytes getattr(std::uint64_t node, std::uint64_t unique) {
    wire::InHeader header{};
    header.unique = unique;
    header.nodeid = node;
    return make_request(Opcode::getattr, Message().add(wire::GetattrIn{}), header);
}

constexpr std::size_t thread_count = 3;
constexpr int round_count = 200;

struct Device {
    Session* session;
    std::vector<std::unique_ptr<TestQueue>> queues;
    std::vector<reactor::Reactor*> reactors;
    std::latch finished{1 + 2 * thread_count};
    std::atomic<bool> twice = false;
};

Task<void> ask(Device& device, std::size_t index, Bytes bytes) {
    TestRequest request(*device.queues[index], bytes, 4096, Layout::linux_like);
    device.session->handle(hal::RequestHandle(request));
    while (request.completions == 0) {
        static_cast<void>(co_await device.reactors[index]->sleep(microseconds(20)));
    }
    if (request.completions != 1) device.twice = true;
}

Task<void> ask_many(Device& device, std::size_t index) {
    for (int i = 0; i < round_count; ++i) {
        const auto unique = static_cast<std::uint64_t>(i) * 8 + index;
        co_await ask(device, index, getattr(1 + static_cast<std::uint64_t>(i % 2), unique));
        if (i % 16 == 3) device.session->interrupt_waits();
        if (i % 16 == 5) {
            co_await ask(
                device, index, make_request(Opcode::interrupt, Message().add(unique + 1)));
        }
    }
    device.finished.count_down();
}

/// Mounts and unmounts while others ask.
Task<void> remount(Device& device) {
    for (int i = 0; i < round_count / 10; ++i) {
        co_await ask(device, 0, make_request(Opcode::init, Message().add(linux_init())));
        static_cast<void>(co_await device.reactors[0]->sleep(microseconds(200)));
        co_await ask(device, 0, make_request(Opcode::destroy, {}));
    }
    device.finished.count_down();
}

Task<void> reset(Device& device) {
    co_await device.session->reset();
}

TEST(Threads, share_nothing_that_they_may_not) {
    SilentLog log;
    reactor::BlockingPool pool;
    reactor::ReactorThreadsOptions options;
    options.count = thread_count;
    auto threads = reactor::ReactorThreads::make(options, pool, Logger(log, ""));
    if (!threads) GTEST_SKIP() << "no reactors here";

    WaitingFileSystem files;
    Device device;
    SessionOptions session_options;
    for (std::size_t i = 0; i < thread_count; ++i) {
        device.reactors.push_back(&(*threads)->reactor(i));
        device.queues.push_back(std::make_unique<TestQueue>(
            *device.reactors.back(), static_cast<std::uint16_t>(i), false));
    }
    session_options.reactors = device.reactors;
    session_options.held_count_max = 4;
    Session session(files, session_options, Logger(log, ""));
    device.session = &session;

    (*threads)->spawn(0, remount(device));
    for (std::size_t i = 0; i < thread_count; ++i) {
        (*threads)->spawn(i, ask_many(device, i));
        (*threads)->spawn(i, ask_many(device, i));
    }
    while (!device.finished.try_wait()) {
        static_cast<void>(session.statistics());
        std::this_thread::yield();
    }
    (*threads)->spawn(1, reset(device));
    (*threads)->stop_all();
    (*threads)->join();
    EXPECT_FALSE(device.twice) << "a request was completed more than once";
    EXPECT_FALSE(session.running());
}

}  // namespace
}  // namespace dpfs::fuse::test
