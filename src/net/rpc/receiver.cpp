// SPDX-License-Identifier: Apache-2.0
#include "net/rpc/receiver.hpp"

#include "base/endian.hpp"
#include "base/iovec_cursor.hpp"
#include "base/or_return.hpp"
#include "net/rpc/connection.hpp"
#include "net/rpc/message.hpp"

#include <algorithm>
#include <cstring>

namespace dpfs::rpc {
namespace {

/// More than any header before a READ's data: RPC, compound, SEQUENCE, PUTFH, READ.
constexpr std::size_t header_size_max = 4096;
constexpr std::size_t direction_end = 8;  // the xid, and whether it is a call

std::uint32_t peek_u32(std::span<const std::byte> bytes, std::size_t offset) noexcept {
    be<std::uint32_t> wire = 0;
    std::memcpy(&wire, bytes.data() + offset, sizeof wire);
    return wire;
}

}  // namespace

bool fits(PayloadPlace place, std::size_t size, std::size_t room) noexcept {
    return place.offset <= size && place.size <= size - place.offset && place.size <= room &&
           size - place.offset - place.size <= padding_of(place.size);
}

Receiver::Receiver(Connection& connection)
    : connection_(connection), buffer_(std::make_unique<std::byte[]>(buffer_size)) {}

void Receiver::reset() noexcept {
    begin_ = end_ = 0;
}

std::span<const std::byte> Receiver::buffered() const noexcept {
    return {buffer_.get() + begin_, end_ - begin_};
}

Task<Result<std::size_t>> Receiver::receive(std::span<iovec> to) {
    return connection_.stream_->receive(to, connection_.io_);
}

std::size_t Receiver::counted(std::size_t size) noexcept {
    connection_.counters_.receives.add();
    connection_.counters_.bytes_received.add(size);
    return size;
}

Task<Result<void>> Receiver::fill(std::size_t size) {
    if (begin_ == end_) begin_ = end_ = 0;
    if (buffer_size - begin_ < size) {
        std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    while (end_ - begin_ < size) {
        iovec to = {.iov_base = buffer_.get() + end_, .iov_len = buffer_size - end_};
        end_ += counted(co_await or_return(co_await receive({&to, 1})));
    }
    co_return Result<void>();
}

Task<Result<void>> Receiver::read_into(std::span<std::byte> to) {
    const auto copied = buffered().first(std::min(to.size(), end_ - begin_));
    std::ranges::copy(copied, to.begin());
    begin_ += copied.size();
    for (auto rest = to.subspan(copied.size()); !rest.empty();) {
        iovec piece = {.iov_base = rest.data(), .iov_len = rest.size()};
        rest = rest.subspan(counted(co_await or_return(co_await receive({&piece, 1}))));
    }
    co_return Result<void>();
}

Result<Receiver::Fragment> Receiver::take_mark() noexcept {
    const std::uint32_t mark = peek_u32(buffered(), 0);
    begin_ += record_mark_size;
    const Fragment fragment = {.size = mark & ~last_fragment,
                               .last = (mark & last_fragment) != 0};
    if (fragment.size > connection_.options_.reply_size_max) return fail(Errno::bad_message);
    return fragment;
}

Task<Result<void>> Receiver::receive_record() {
    if (end_ - begin_ < record_mark_size) {
        co_await or_return(co_await fill(record_mark_size));
    }
    const Fragment fragment = co_await or_return(take_mark());
    if (!fragment.last) co_return co_await receive_pieces(fragment);
    if (fragment.size > buffer_size - header_size_max) {
        co_return co_await receive_large(fragment);
    }
    if (end_ - begin_ < fragment.size) {
        // The data of a medium READ are better received in place than copied.
        if (fragment.size > header_size_max) co_return co_await receive_large(fragment);
        co_await or_return(co_await fill(fragment.size));
    }
    const auto record = buffered().first(fragment.size);
    begin_ += fragment.size;
    co_return deliver(record);
}

Task<Result<void>> Receiver::receive_pieces(Fragment fragment) {
    record_.clear();
    for (int count = 1;; ++count) {
        const std::size_t before = record_.size();
        if (fragment.size > connection_.options_.reply_size_max - before) {
            co_return fail(Errno::bad_message);
        }
        record_.resize(before + fragment.size);
        co_await or_return(co_await read_into(std::span(record_).subspan(before)));
        if (fragment.last) break;
        // A flood of empty fragments would keep this thread for itself.
        if (count % 64 == 0) co_await connection_.reactor_.yield();
        co_await or_return(co_await fill(record_mark_size));
        fragment = co_await or_return(take_mark());
    }
    co_return deliver(record_);
}

Task<Result<void>> Receiver::receive_large(Fragment fragment) {
    if (end_ - begin_ < direction_end) co_await or_return(co_await fill(direction_end));
    const bool is_reply =
        peek_u32(buffered(), 4) == static_cast<std::uint32_t>(Direction::reply);
    Call* const call = is_reply ? connection_.find(peek_u32(buffered(), 0)) : nullptr;
    if (call != nullptr && call->state_ == Call::State::sent) {
        co_return co_await receive_reply(*call, fragment.size);
    }
    record_.resize(fragment.size);
    co_await or_return(co_await read_into(record_));
    co_return deliver(record_);
}

Task<Result<void>> Receiver::receive_reply(Call& call, std::size_t size) {
    // From here on the call's memory is with us, until finish() or the connection's end.
    call.state_ = Call::State::receiving;
    PayloadPlace place = {};
    auto answer = PayloadFinder::Answer::none;
    while (call.finder != nullptr) {
        const auto beginning = buffered().first(std::min(size, end_ - begin_));
        answer = call.finder->find(beginning, place);
        if (answer != PayloadFinder::Answer::more_needed) break;
        if (beginning.size() >= std::min(size, header_size_max)) {
            co_return fail(Errno::bad_message);
        }
        co_await or_return(co_await fill(beginning.size() + 1));
    }
    if (answer == PayloadFinder::Answer::found) {
        if (!fits(place, size, total_size(call.room))) co_return fail(Errno::bad_message);
        co_return co_await receive_payload(call, size, place);
    }
    call.reply.resize(size);
    co_await or_return(co_await read_into(call.reply));
    connection_.finish(call, {});
    co_return Result<void>();
}

Task<Result<void>> Receiver::receive_payload(Call& call, std::size_t size, PayloadPlace place) {
    const auto header = buffered().first(place.offset);
    call.reply.assign(header.begin(), header.end());
    begin_ += place.offset;

    const std::size_t copied = std::min(place.size, end_ - begin_);
    IovecCursor room(call.room);
    co_await or_return(room.copy_in(buffered().first(copied)));
    begin_ += copied;
    if (copied < place.size) {
        co_await or_return(co_await receive_room(call, copied, place.size));
    }
    const std::size_t after = size - place.offset - place.size;
    if (after > 0) {
        co_await or_return(co_await fill(after));
        begin_ += after;
    }
    call.taken = place.size;
    connection_.finish(call, {});
    co_return Result<void>();
}

Task<Result<void>> Receiver::receive_room(Call& call, std::size_t done, std::size_t size) {
    while (done < size) {
        room_.clear();
        IovecCursor room(call.room);
        co_await or_return(room.skip(done));
        co_await or_return(room.take_iovecs(size - done, room_));
        // What follows comes along: the next reply's beginning.
        begin_ = end_ = 0;
        constexpr std::size_t iovec_count_max = 1000;  // IOV_MAX is 1024
        const bool all = room_.size() <= iovec_count_max;
        if (!all) room_.resize(iovec_count_max);
        const std::size_t wanted = total_size(room_);
        if (all) room_.push_back({.iov_base = buffer_.get(), .iov_len = buffer_size});
        const std::size_t received = counted(co_await or_return(co_await receive(room_)));
        const std::size_t direct = std::min(received, wanted);
        connection_.counters_.bytes_direct.add(direct);
        done += direct;
        end_ = received - direct;
    }
    co_return Result<void>();
}

Result<void> Receiver::deliver(std::span<const std::byte> record) {
    if (record.size() < direction_end) return fail(Errno::bad_message);
    if (peek_u32(record, 4) == static_cast<std::uint32_t>(Direction::call)) {
        std::vector<std::byte> answer;
        const auto answered = connection_.owner_.answer(record, answer);
        if (!answered) return answered;
        return connection_.add_answer(answer);
    }
    Call* const call = connection_.find(peek_u32(record, 0));
    // Of a call that its caller gave up, or one that was answered before.
    if (call == nullptr) {
        connection_.counters_.strays.add();
        return {};
    }
    return deliver_to(*call, record);
}

Result<void> Receiver::deliver_to(Call& call, std::span<const std::byte> record) {
    PayloadPlace place = {};
    const auto answer =
        call.finder == nullptr ? PayloadFinder::Answer::none : call.finder->find(record, place);
    if (answer == PayloadFinder::Answer::more_needed) return fail(Errno::bad_message);
    if (answer == PayloadFinder::Answer::found) {
        if (!fits(place, record.size(), total_size(call.room))) {
            return fail(Errno::bad_message);
        }
        // Copied, because it came together with its header in one system call.
        IovecCursor room(call.room);
        const auto copied = room.copy_in(record.subspan(place.offset, place.size));
        if (!copied) return copied;
        call.taken = place.size;
        record = record.first(place.offset);
    }
    call.reply.assign(record.begin(), record.end());
    connection_.finish(call, {});
    return {};
}

}  // namespace dpfs::rpc
