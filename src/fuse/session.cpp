// SPDX-License-Identifier: Apache-2.0
#include "fuse/session.hpp"

#include "base/assert.hpp"
#include "fuse/lane.hpp"
#include "fuse/operations.hpp"
#include "reactor/reactor.hpp"

#include <limits>
#include <utility>

namespace dpfs::fuse {
namespace {

using reactor::Reactor;

/// What travels: Linux takes errors of 1 to 511 only. A wait that was ended early on the
/// tenant's behalf, or by us, is an interrupted call to it.
Errno wire_error(const Call& call, Errno error) noexcept {
    constexpr auto error_max = Errno{511};
    if (error == Errno::canceled && call.cancel.canceled()) return Errno::interrupted;
    if (error <= Errno{0} || error > error_max) return Errno::io_error;
    return error;
}

bool is_transition(const Call& call) noexcept {
    return call.operation->kind == Operation::Kind::transition;
}

/// What the table demands of every request of its kind.
/// Errors: ENOSYS; EINVAL, for arguments that are too short; EIO, where the file system would
/// do what the tenant could then not be told of.
Result<void> check(const Call& call) noexcept {
    const Operation* const operation = call.operation;
    if (operation == nullptr) return fail(Errno::not_implemented);
    if (operation->kind != Operation::Kind::no_reply &&
        !call.has_room_for(operation->payload_size_min)) {
        return fail(Errno::io_error);
    }
    if (call.arguments.left() < operation->arguments_size_min) return fail(Errno::invalid);
    return {};
}

}  // namespace

Session::Session(FileSystem& file_system, SessionOptions options, Logger logger)
    : file_system_(file_system), options_(std::move(options)), logger_(std::move(logger)) {
    DPFS_ASSERT(!options_.reactors.empty());
    for (Reactor* const reactor : options_.reactors) {
        lanes_.push_back(std::make_unique<Lane>(*reactor));
    }
}

Session::~Session() = default;  // the lanes' gates assert that nothing is under way

Lane& Session::lane_of(const Reactor& reactor) noexcept {
    // A handful of pointers side by side: cheaper than any map, and nothing to lock.
    std::size_t index = 0;
    while (options_.reactors[index] != &reactor) {
        ++index;
        DPFS_ASSERT(index < options_.reactors.size());
    }
    return *lanes_[index];
}

Lane& Session::lane_of_this_thread() noexcept {
    for (const auto& lane : lanes_) {
        if (lane->reactor.on_own_thread()) return *lane;
    }
    return *lanes_.front();
}

void Session::handle(hal::RequestHandle request) noexcept {
    Lane& lane = lane_of(request->queue->reactor());
    Call& call = lane.take_call();
    const auto received = call.receive(std::move(request));
    call.operation = find_operation(call.header.opcode);
    call.malformed = !received;
    if (!received) return finish(lane, call, fail(received.error()));
    // Before the state is asked, which an INIT or DESTROY changes.
    if (const auto checked = check(call); !checked) {
        return finish(lane, call, fail(checked.error()));
    }
    if (admit(lane, call)) dispatch(lane, call);
}

bool Session::admit(Lane& lane, Call& call) noexcept {
    while (true) {
        State state = state_.load(std::memory_order_acquire);
        if (state == State::running && !is_transition(call)) [[likely]]
            return true;

        const bool init = call.opcode() == wire::Opcode::init;
        switch (state) {
            case State::fresh:
            case State::running: {
                // A tenant that was restarted mounts again without having unmounted.
                if (!init && state == State::fresh) {
                    finish(lane, call, fail(Errno::io_error));
                    return false;
                }
                const State next = init ? State::initialising : State::destroying;
                // Another queue may have been faster: then look again.
                if (state_.compare_exchange_strong(state, next)) return true;
                break;
            }
            case State::initialising:
            case State::destroying: {
                // It waits for nothing and needs no file system.
                if (call.opcode() == wire::Opcode::interrupt) return true;
                hold(lane, call);
                return false;
            }
        }
    }
}

void Session::hold(Lane& lane, Call& call) noexcept {
    if (lane.held.size() >= options_.held_count_max) {
        return finish(lane, call, fail(Errno::io_error));
    }
    lane.held.push_back(&call);
}

void Session::dispatch(Lane& lane, Call& call) noexcept {
    const bool transition = is_transition(call);
    Answer answer = call.operation->handler(*this, call);
    if (answer.start() && !transition) {
        const Result<std::size_t> payload = answer.take();
        // The handler's frame, if there was one, lets go of what it holds before the reply.
        {
            const Answer ended = std::move(answer);
        }
        return finish(lane, call, payload);
    }

    // An INTERRUPT waits for nothing that could be ended early, and is let in while the calls'
    // gate may be closed.
    const bool interrupt = call.opcode() == wire::Opcode::interrupt;
    if (!interrupt) lane.add_pending(call);
    Gate& gate = transition || interrupt ? lane.transitions : lane.calls;
    // Gates close only when no request can come in: while destroying, and in reset().
    const bool entered = gate.spawn(finish_later(lane, call, std::move(answer)));
    DPFS_ASSERT(entered);
}

Task<void> Session::finish_later(Lane& lane, Call& call, Answer answer) {
    const bool transition = is_transition(call);
    Result<std::size_t> payload = fail(Errno::io_error);
    {
        // Its own scope: the handler's frame lets go of what it holds before the reply.
        Answer mine = std::move(answer);
        payload = co_await mine.join();
    }
    finish(lane, call, payload);
    if (transition) co_await release_held(lane);
}

void Session::finish(Lane& lane, Call& call, Result<std::size_t> payload) noexcept {
    if (call.pending) lane.remove_pending(call);
    const bool has_reply =
        call.operation == nullptr || call.operation->kind != Operation::Kind::no_reply;
    if (payload && *payload > call.payload_size_max) {
        logger_.error("{}: the file system answered with {} bytes where {} are room",
                      call.operation->name,
                      *payload,
                      call.payload_size_max);
        payload = fail(Errno::io_error);
    }

    wire::OutHeader out{.len = sizeof(out), .error = 0, .unique = call.header.unique};
    if (payload) {
        out.len += static_cast<std::uint32_t>(*payload);
    } else {
        out.error = -std::to_underlying(wire_error(call, payload.error()));
    }
    std::uint32_t written = 0;
    if (has_reply) {
        if (call.out_header.put(out)) {
            written = out.len;
        } else {
            call.malformed = true;
        }
    }
    count(lane, call, out.error != 0);

    // The call first: completing may bring the next request on the spot.
    DPFS_ASSERT(call.request.has_value());
    hal::RequestHandle request = std::move(*call.request);
    call.request.reset();
    lane.give_back(call);
    std::move(request).complete(written);
}

void Session::count(Lane& lane, const Call& call, bool error) noexcept {
    if (call.malformed) return lane.counters.malformed.add_one();
    if (call.operation == nullptr) return lane.counters.unknown.add_one();
    auto& counters = lane.counters.operations[call.header.opcode];
    counters.count.add_one();
    if (error) counters.errors.add_one();
}

SessionStatistics Session::statistics() const {
    SessionStatistics sum;
    for (std::uint32_t opcode = 0; opcode < wire::opcode_count; ++opcode) {
        const Operation* const operation = find_operation(opcode);
        if (operation == nullptr) continue;
        OperationStatistics one{operation->name, wire::Opcode{opcode}, 0, 0};
        for (const auto& lane : lanes_) {
            one.count += lane->counters.operations[opcode].count.get();
            one.errors += lane->counters.operations[opcode].errors.get();
        }
        if (one.count > 0) sum.operations.push_back(one);
    }
    for (const auto& lane : lanes_) {
        sum.unknown += lane->counters.unknown.get();
        sum.malformed += lane->counters.malformed.get();
    }
    return sum;
}

}  // namespace dpfs::fuse
