// SPDX-License-Identifier: Apache-2.0
#include "net/rpc/connection.hpp"

#include "base/or_return.hpp"
#include "net/rpc/message.hpp"
#include "net/rpc/receiver.hpp"
#include "net/rpc/tls_stream.hpp"

#include <algorithm>
#include <array>
#include <random>

namespace dpfs::rpc {
namespace {

constexpr std::uint32_t place_bits = 12;
constexpr std::size_t place_count_max = std::size_t{1} << place_bits;
constexpr std::uint32_t place_mask = place_count_max - 1;

constexpr std::size_t batch_iovec_count_max = 512;
constexpr std::size_t batch_size_max = 1 << 20;  // bytes, before the last call of a batch

/// Zeros, of which a record's padding is made. sendmsg() reads only.
iovec padding_buffer(std::size_t size) noexcept {
    static constinit std::array<std::byte, 3> zeros = {};
    return {.iov_base = zeros.data(), .iov_len = size};
}

}  // namespace

void Call::on_cancel() noexcept {
    connection_->abandon(*this, Errno::canceled);
}

Connection::Connection(reactor::Reactor& reactor,
                       ConnectionOptions options,
                       ConnectionOwner& owner,
                       Logger log)
    : reactor_(reactor),
      options_(std::move(options)),
      owner_(owner),
      log_(std::move(log)),
      // Not those of the process before: a server may still have its answers.
      first_generation_(std::random_device{}()),
      receiver_(std::make_unique<Receiver>(*this)) {}

Connection::~Connection() = default;

void Connection::start() {
    work_.spawn(run());
    work_.spawn(watch_loop());
}

Task<void> Connection::stop() {
    stopping_ = true;
    life_.cancel();
    break_off();
    watch_wake_.wake_all();
    co_await work_.close();
    for (CallQueue* const queue : {&early_queue_, &queue_}) {
        while (!queue->empty()) {
            Call& call = *queue->first();
            queue->remove(call);
            finish(call, fail(Errno::shut_down));
        }
    }
    for (Place& place : places_) {
        if (place.call != nullptr) finish(*place.call, fail(Errno::shut_down));
    }
}

Connection::Counters Connection::counters() const noexcept {
    return {.connects = counters_.connects.value(),
            .calls = counters_.calls.value(),
            .sent_again = counters_.sent_again.value(),
            .strays = counters_.strays.value(),
            .sends = counters_.sends.value(),
            .receives = counters_.receives.value(),
            .bytes_sent = counters_.bytes_sent.value(),
            .bytes_received = counters_.bytes_received.value(),
            .bytes_direct = counters_.bytes_direct.value()};
}

Connection::Awaiter Connection::perform(Call& call, reactor::CancelSource* cancel) noexcept {
    return {*this, call, cancel};
}

bool Connection::Awaiter::await_suspend(std::coroutine_handle<> waiter) noexcept {
    call_.outcome_ = {};
    if (cancel_ != nullptr && cancel_->canceled()) {
        call_.outcome_ = fail(Errno::canceled);
        return false;
    }
    if (connection_.stopping_ || (call_.early && !connection_.connected_)) {
        call_.outcome_ =
            fail(connection_.stopping_ ? Errno::shut_down : Errno::connection_reset);
        return false;
    }
    call_.waiter_ = waiter;
    if (cancel_ != nullptr) cancel_->link(call_);
    connection_.submit(call_);
    return true;
}

void Connection::submit(Call& call) noexcept {
    counters_.calls.add();
    call.connection_ = this;
    call.state_ = Call::State::queued;
    call.abandoned_ = false;
    call.answered_ = false;
    call.xid_ = 0;
    const std::size_t padding = padding_of(call.payload_size);
    finish_record(call.record, call.payload_size + padding);
    (call.early ? early_queue_ : queue_).push_back(call);
    if (connected_ && (ready_ || call.early)) send_wake_.wake_one();
    watch_wake_.wake_one();
}

void Connection::finish(Call& call, Result<void> outcome) noexcept {
    if (call.state_ == Call::State::sending) {
        // The kernel still reads what is being answered already: a hostile server's doing, or
        // one that answers before it has the whole call. The end of the batch finishes it.
        call.answered_ = true;
        call.outcome_ = outcome;
        return;
    }
    leave(call);
    call.state_ = Call::State::idle;
    call.outcome_ = outcome;
    call.unlink();
    reactor_.schedule(std::exchange(call.waiter_, nullptr));
}

void Connection::abandon(Call& call, Errno reason) noexcept {
    switch (call.state_) {
        case Call::State::queued:
            (call.early ? early_queue_ : queue_).remove(call);
            finish(call, fail(reason));
            return;
        case Call::State::sent:
            finish(call, fail(reason));
            return;
        case Call::State::sending:
        case Call::State::receiving:
            // The kernel has its memory: only the end of the connection gets it back.
            if (!call.abandoned_) {
                call.abandoned_ = true;
                call.abandoned_for_ = reason;
                break_off();
            }
            return;
        case Call::State::idle:
            return;
    }
}

void Connection::fail_all(Errno error) noexcept {
    while (!queue_.empty()) {
        Call& call = *queue_.first();
        queue_.remove(call);
        finish(call, fail(error));
    }
}

void Connection::restart() noexcept {
    break_off();
}

void Connection::break_off() noexcept {
    if (!connected_) return;
    connected_ = false;
    ready_ = false;
    io_.cancel();
    send_wake_.wake_all();
}

Task<void> Connection::run() {
    Duration pause = options_.retry_time_min;
    while (!stopping_) {
        problem_ = {};
        auto stream = co_await connect();
        const std::uint64_t greeted_before = counters_.connects.value();
        if (stream) {
            stream_ = std::move(*stream);
            co_await serve();
            problem_ = stream_->problem();
            stream_.reset();
        }
        if (stopping_) break;
        if (counters_.connects.value() != greeted_before) {
            // It worked for a while: the next attempt is made at once.
            log_.info("connection to {} lost{}{}",
                      address().text,
                      problem_.text.empty() ? "" : ": ",
                      problem_.text);
            reported_.clear();
            refusal_count_ = 0;
            pause = options_.retry_time_min;
            continue;
        }
        report(stream ? "it does not accept us" : errno_name(stream.error()));
        refusal_count_ = problem_.is_refusal ? refusal_count_ + 1 : 0;
        if (refusal_count_ >= options_.addresses.size()) owner_.refused();
        address_index_ = (address_index_ + 1) % options_.addresses.size();
        const auto slept = co_await reactor_.sleep(pause, &life_);
        if (!slept) break;
        pause = std::min(Duration{pause.ns * 2}, options_.retry_time_max);
    }
}

void Connection::report(std::string_view error) {
    const std::string& problem = problem_.text;
    if (!problem.empty() ? reported_ == problem : !reported_.empty()) return;
    if (problem.empty()) {
        log_.warning("server {} cannot be reached ({}); trying on", address().text, error);
        reported_ = error;
    } else {
        log_.error("server {}: {}", address().text, problem);
        reported_ = problem;
    }
}

Task<Result<std::unique_ptr<Stream>>> Connection::connect() {
    auto stream = co_await or_return(
        co_await TcpStream::connect(reactor_, address(), options_.tcp, life_));
    if (options_.tls != nullptr) co_return co_await open_tls(std::move(stream));
    co_return stream;
}

Task<Result<std::unique_ptr<Stream>>> Connection::open_tls(std::unique_ptr<TcpStream> tcp) {
    TlsStream::Peer peer = {
        .context = options_.tls, .host = address().host, .procedure = options_.tls_procedure};
    auto stream = co_await or_return(
        co_await TlsStream::open(reactor_, std::move(tcp), std::move(peer), life_, problem_));
    if (options_.tls->options().unchecked_server) {
        log_.warning(
            "server {} is NOT VERIFIED, as the options say: whoever answers there "
            "reads and changes everything ({})",
            address().text,
            stream->description());
    } else {
        log_.info("server {}: {}", address().text, stream->description());
    }
    co_return stream;
}

Task<void> Connection::serve() {
    io_.reset();
    receiver_->reset();
    answers_.clear();
    connected_ = true;
    loop_count_ = 2;
    Gate loops;
    loops.spawn(receive_loop());
    loops.spawn(send_loop());
    const auto greeted = co_await owner_.greet(*this);
    if (greeted && connected_) {
        counters_.connects.add();
        ready_ = true;
        send_wake_.wake_one();
    } else {
        break_off();
    }
    co_await loops.close();
}

Task<void> Connection::receive_loop() {
    for (int count = 1;; ++count) {
        const auto received = co_await receiver_->receive_record();
        if (!received) {
            if (received.error() == Errno::bad_message) {
                log_.error("server {} breaks the protocol (malformed record); reconnecting",
                           address().text);
            }
            break;
        }
        // What is buffered may be many records: others have work too.
        if (count % 64 == 0) co_await reactor_.yield();
    }
    end_loop();
}

Task<void> Connection::send_loop() {
    while (connected_) {
        if (!gather()) {
            const auto woken = co_await send_wake_.wait(reactor_);
            static_cast<void>(woken);
            continue;
        }
        const auto sent = co_await stream_->send(batch_buffers_, io_);
        end_batch();
        if (!sent) break;
        counters_.sends.add();
        counters_.bytes_sent.add(batch_size_);
    }
    end_loop();
}

void Connection::end_loop() noexcept {
    break_off();
    // The other one may still have calls' memory with the kernel.
    if (--loop_count_ == 0) settle();
}

bool Connection::gather() {
    batch_buffers_.clear();
    batch_size_ = 0;
    if (!answers_.empty()) {
        std::swap(answers_, answers_sending_);
        answers_.clear();
        batch_buffers_.push_back(
            {.iov_base = answers_sending_.data(), .iov_len = answers_sending_.size()});
        batch_size_ += answers_sending_.size();
    }
    const Instant now = reactor_.now();
    for (CallQueue* const queue : {&early_queue_, &queue_}) {
        if (queue == &queue_ && !ready_) break;
        while (!queue->empty() && batch_buffers_.size() < batch_iovec_count_max &&
               batch_size_ < batch_size_max &&
               (free_places_.size() > 0 || places_.size() < place_count_max)) {
            Call& call = *queue->first();
            queue->remove(call);
            enter(call);
            call.state_ = Call::State::sending;
            if (call.was_sent) counters_.sent_again.add();
            call.was_sent = true;
            if (call.must_be_answered) {
                call.deadline = Instant::never();
                call.unlink();
            }
            call.sent_at_ = now;
            batch_.push_back(call);
            batch_buffers_.push_back(
                {.iov_base = call.record.data(), .iov_len = call.record.size()});
            batch_buffers_.insert(
                batch_buffers_.end(), call.payload.begin(), call.payload.end());
            const std::size_t padding = padding_of(call.payload_size);
            if (padding > 0) batch_buffers_.push_back(padding_buffer(padding));
            batch_size_ += call.record.size() + call.payload_size + padding;
        }
    }
    return !batch_buffers_.empty();
}

void Connection::end_batch() noexcept {
    while (!batch_.empty()) {
        Call& call = *batch_.first();
        batch_.remove(call);
        call.state_ = Call::State::sent;
        if (call.answered_) {
            finish(call, call.outcome_);
        } else if (call.abandoned_) {
            finish(call, fail(call.abandoned_for_));
        }
    }
}

void Connection::settle() noexcept {
    CallQueue again;
    for (Place& place : places_) {
        if (place.call != nullptr) settle(*place.call, again);
    }
    queue_.prepend(again);
    while (!early_queue_.empty()) {
        Call& call = *early_queue_.first();
        early_queue_.remove(call);
        finish(call, fail(Errno::connection_reset));
    }
}

void Connection::settle(Call& call, CallQueue& again) noexcept {
    call.state_ = Call::State::sent;
    if (call.abandoned_) {
        finish(call, fail(call.abandoned_for_));
    } else if (call.early) {
        finish(call, fail(Errno::connection_reset));
    } else {
        // The server may have it, and may have answered: it must see the same call again.
        leave(call);
        call.state_ = Call::State::queued;
        call.reply.clear();
        call.taken.reset();
        again.push_back(call);
    }
}

Result<void> Connection::add_answer(std::span<const std::byte> answer) {
    if (answer.size() > options_.answers_size_max - answers_.size()) {
        log_.error("server {} calls back, and does not read the answers", address().text);
        return fail(Errno::overflow);
    }
    answers_.insert(answers_.end(), answer.begin(), answer.end());
    send_wake_.wake_one();
    return {};
}

Call* Connection::find(std::uint32_t xid) noexcept {
    const std::size_t index = xid & place_mask;
    if (index >= places_.size()) return nullptr;
    Call* const call = places_[index].call;
    return call != nullptr && call->xid_ == xid && !call->answered_ ? call : nullptr;
}

void Connection::enter(Call& call) {
    if (free_places_.empty()) {
        places_.push_back({.generation = first_generation_});
        free_places_.push_back(static_cast<std::uint32_t>(places_.size() - 1));
    }
    const std::uint32_t index = free_places_.back();
    free_places_.pop_back();
    Place& place = places_[index];
    place.call = &call;
    call.xid_ = (++place.generation << place_bits) | index;
    XdrWriter(call.record).patch_u32(xid_position, call.xid_);
}

void Connection::leave(Call& call) noexcept {
    const std::size_t index = call.xid_ & place_mask;
    if (index >= places_.size() || places_[index].call != &call) return;
    places_[index].call = nullptr;
    free_places_.push_back(static_cast<std::uint32_t>(index));
    if (!queue_.empty()) send_wake_.wake_one();
}

/// Looks once a second at what has been waiting for too long, while there is anything.
Task<void> Connection::watch_loop() {
    while (!stopping_) {
        if (free_places_.size() == places_.size() && queue_.empty() && early_queue_.empty()) {
            const auto woken = co_await watch_wake_.wait(reactor_, {.cancel = &life_});
            if (!woken) co_return;
        }
        const auto slept = co_await reactor_.sleep(seconds(1), &life_);
        if (!slept) co_return;
        const Instant now = reactor_.now();
        bool is_stuck = false;
        for (CallQueue* const queue : {&early_queue_, &queue_}) {
            for (Call *call = queue->first(), *next = nullptr; call != nullptr; call = next) {
                next = CallQueue::after(*call);
                if (call->deadline <= now) abandon(*call, Errno::timed_out);
            }
        }
        for (const Place& place : places_) {
            Call* const call = place.call;
            if (call == nullptr) continue;
            if (call->sent_at_ + options_.answer_time_max <= now) is_stuck = true;
            if (call->deadline <= now) abandon(*call, Errno::timed_out);
        }
        if (is_stuck && connected_) {
            log_.warning("server {} does not answer; reconnecting", address().text);
            break_off();
        }
    }
}

}  // namespace dpfs::rpc
