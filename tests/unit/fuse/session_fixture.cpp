// SPDX-License-Identifier: Apache-2.0
#include "session_fixture.hpp"

#include "reactor/reactor.hpp"

namespace dpfs::fuse::test {
namespace {

Task<bool> deliver(Session& session, TestRequest& request) {
    session.handle(hal::RequestHandle(request));
    co_return true;
}

Task<bool> wait_until_completed(reactor::Reactor& reactor, TestRequest& request) {
    while (request.completions == 0) {
        static_cast<void>(co_await reactor.sleep(milliseconds(1)));
    }
    co_return true;
}

Task<bool> pass(reactor::Reactor& reactor, Duration time) {
    static_cast<void>(co_await reactor.sleep(time));
    co_return true;
}

Task<bool> with_value(Task<void> work) {
    co_await std::move(work);
    co_return true;
}

}  // namespace

wire::InitIn linux_init() {
    // All but DAX, which needs a window, and io_uring and passthrough, which need /dev/fuse.
    const std::uint64_t flags = 0x7fff'ffff & ~wire::init::map_alignment;
    return {.major = 7,
            .minor = 41,
            .max_readahead = 128 << 10,
            .flags = static_cast<std::uint32_t>(flags),
            .flags2 = static_cast<std::uint32_t>(
                (wire::init::security_ctx | wire::init::create_supp_group |
                 wire::init::has_expire_only | wire::init::direct_io_allow_mmap |
                 wire::init::no_export_support | wire::init::has_resend |
                 wire::init::allow_idmap) >>
                32),
            .unused = {}};
}

SessionFixture::SessionFixture(std::size_t reactor_count, SessionOptions options) {
    for (std::size_t i = 0; i < reactor_count; ++i) {
        reactors.push_back(&world.add_reactor());
        queues_.push_back(std::make_unique<TestQueue>(
            *reactors.back(), static_cast<std::uint16_t>(i), i == 0));
    }
    options.reactors = reactors;
    session = std::make_unique<Session>(files, std::move(options), Logger(log, "test"));
}

SessionFixture::~SessionFixture() {
    if (session) run(session->reset());
}

std::unique_ptr<TestRequest> SessionFixture::send(const Bytes& request,
                                                  std::size_t reply_room,
                                                  Layout layout,
                                                  std::size_t reactor) {
    auto sent = std::make_unique<TestRequest>(*queues_[reactor], request, reply_room, layout);
    world.run(*reactors[reactor], deliver(*session, *sent));
    return sent;
}

std::unique_ptr<TestRequest> SessionFixture::ask(const Bytes& request,
                                                 std::size_t reply_room,
                                                 Layout layout,
                                                 std::size_t reactor) {
    auto sent = send(request, reply_room, layout, reactor);
    wait_for(*sent);
    return sent;
}

void SessionFixture::wait_for(TestRequest& request) {
    world.run(*reactors[0], wait_until_completed(*reactors[0], request));
}

void SessionFixture::sleep(Duration time) {
    world.run(*reactors[0], pass(*reactors[0], time));
}

void SessionFixture::run(Task<void> work) {
    world.run(*reactors[0], with_value(std::move(work)));
}

void SessionFixture::mount() {
    ask(make_request(wire::Opcode::init, Message().add(linux_init())));
    files.calls.clear();
}

}  // namespace dpfs::fuse::test
