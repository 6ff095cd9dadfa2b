// SPDX-License-Identifier: Apache-2.0
#include "floor/loop.hpp"

#include "bench/clock.hpp"
#include "net/rpc/message.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <sys/resource.h>
#include <sys/socket.h>

namespace dpfs::nfs_floor {
namespace {

std::int64_t ns_of(const timeval& time) {
    return (time.tv_sec * 1'000'000 + time.tv_usec) * 1000;
}

/// Zeros, of which a record's padding is made.
constinit std::array<std::byte, 3> zeros = {};

}  // namespace

Loop::Loop(Session& session, Target& target, LoopOptions options)
    : session_(session),
      options_(options),
      // Slot 0 has been used to get here.
      slots_(std::min(options.depth, session.slot_count() - 1)),
      input_((std::size_t{4} << 20) + 2 * target.data.size()) {
    for (std::uint32_t slot = 1; slot <= slots_.size(); ++slot) {
        slots_[slot - 1].work = make_work(target, slot);
    }
}

Figures Loop::run() {
    rusage before = {};
    ::getrusage(RUSAGE_SELF, &before);
    const std::int64_t begin_ns = now_ns_ = bench::now_ns();
    end_ns_ = begin_ns + options_.time_ms * 1'000'000;
    for (std::uint32_t i = 0; i < slots_.size(); ++i) {
        slots_[i].began_ns = now_ns_;
        queue(i);
    }
    while (in_flight_ > 0) {
        send();
        receive();
    }
    rusage after = {};
    ::getrusage(RUSAGE_SELF, &after);
    wall_ns_ = bench::now_ns() - begin_ns;
    user_ns_ = ns_of(after.ru_utime) - ns_of(before.ru_utime);
    system_ns_ = ns_of(after.ru_stime) - ns_of(before.ru_stime);
    return figures();
}

Figures Loop::figures() const {
    const auto count = static_cast<double>(std::max<std::uint64_t>(done_count_, 1));
    const auto us = [](auto ns) { return static_cast<double>(ns) / 1000; };
    return {.operations_per_s = count * 1e9 / static_cast<double>(wall_ns_),
            .p50_us = us(latencies_.percentile(0.5)),
            .p99_us = us(latencies_.percentile(0.99)),
            .user_us = us(user_ns_) / count,
            .system_us = us(system_ns_) / count};
}

void Loop::queue(std::uint32_t index) {
    Slot& slot = slots_[index];
    const auto payload = slot.work->payload();
    const std::size_t padding = rpc::padding_of(payload.size());
    const auto record =
        slot.work->next().ready(index, ++slot.sequence, payload.size() + padding);
    const auto add = [this](std::span<const std::byte> bytes) {
        if (bytes.empty()) return;
        unsent_.push_back({const_cast<std::byte*>(bytes.data()), bytes.size()});
    };
    add(record);
    add(payload);
    add(std::span(zeros).first(padding));
    ++in_flight_;
}

void Loop::send() {
    for (std::span<iovec> rest = unsent_; !rest.empty();) {
        constexpr std::size_t iovec_count_max = 1024;  // IOV_MAX
        msghdr message = {};
        message.msg_iov = rest.data();
        message.msg_iovlen = std::min(rest.size(), iovec_count_max);
        const ssize_t sent = ::sendmsg(session_.fd(), &message, MSG_NOSIGNAL);
        if (sent < 0) give_up("the connection is lost");
        for (auto left = static_cast<std::size_t>(sent); left > 0;) {
            iovec& first = rest.front();
            const std::size_t part = std::min(left, first.iov_len);
            first.iov_base = static_cast<std::byte*>(first.iov_base) + part;
            first.iov_len -= part;
            left -= part;
            if (first.iov_len == 0) rest = rest.subspan(1);
        }
    }
    unsent_.clear();
}

void Loop::receive() {
    std::memmove(input_.data(), input_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    ssize_t received = 0;
    do {
        received = ::recv(session_.fd(),
                          input_.data() + end_,
                          input_.size() - end_,
                          options_.spins ? MSG_DONTWAIT : 0);
    } while (received < 0 && (errno == EAGAIN || errno == EINTR));
    if (received <= 0) give_up("the connection is lost");
    end_ += static_cast<std::size_t>(received);
    now_ns_ = bench::now_ns();
    while (end_ - begin_ >= rpc::record_mark_size) {
        const auto there = std::span(input_).subspan(begin_, end_ - begin_);
        const std::size_t size = rpc::XdrReader(there).u32() & ~rpc::last_fragment;
        if (there.size() - rpc::record_mark_size < size) return;
        begin_ += rpc::record_mark_size + size;
        take(there.subspan(rpc::record_mark_size, size));
    }
}

void Loop::take(std::span<const std::byte> record) {
    const std::uint32_t index = rpc::XdrReader(record).u32();
    if (index >= slots_.size()) give_up("an answer is to nothing that was asked");
    Slot& slot = slots_[index];
    rpc::XdrReader in(record);
    if (take_header(in) != 0) give_up("a compound failed");
    take_sequence(in);
    --in_flight_;
    const bool ended = slot.work->take(in);
    if (ended) {
        ++done_count_;
        latencies_.add(static_cast<std::uint64_t>(now_ns_ - slot.began_ns));
        slot.began_ns = now_ns_;
        if (now_ns_ >= end_ns_) return;
    }
    queue(index);
}

}  // namespace dpfs::nfs_floor
