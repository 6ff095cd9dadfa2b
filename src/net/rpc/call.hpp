// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "base/time.hpp"
#include "reactor/cancel.hpp"

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <sys/uio.h>
#include <vector>

namespace dpfs::rpc {

class Connection;

/// Where the bulk data of a reply lie in it.
struct PayloadPlace {
    std::size_t offset;  ///< from the record's first byte, its mark not counted
    std::size_t size;
};

/// Looks at the beginning of a reply for where its data begin. Bounds are the caller's: what it
/// finds is only believed if it fits.
class PayloadFinder {
  public:
    enum class Answer : std::uint8_t { found, none, more_needed };
    virtual Answer find(std::span<const std::byte> beginning, PayloadPlace& place) = 0;

  protected:
    ~PayloadFinder() = default;
};

/// One call to a server and its reply. Its memory is used again for the next one.
///
/// Lifetime  stays put from Connection::perform() until that has ended; so do `payload` and
///           `room`, which point into a tenant's memory.
class Call final : reactor::Cancelable {
  public:
    Call() = default;
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call() override = default;

    // --- the caller's, before
    std::vector<std::byte> record;        ///< begin_call(), arguments
    std::span<const iovec> payload;       ///< data that follow the record, opaque to us
    std::size_t payload_size = 0;         ///< bytes of it; padding is added
    std::span<const iovec> room;          ///< where the reply's data go
    PayloadFinder* finder = nullptr;      ///< nullptr: the reply has no bulk data
    bool early = false;                   ///< part of greeting a server: it fails when the
                                          ///< connection is lost, instead of being sent again
    Instant deadline = Instant::never();  ///< it ends with ETIMEDOUT then, or soon after
    bool must_be_answered = false;        ///< once sent it is neither late nor canceled

    // --- the caller's, after
    std::vector<std::byte> reply;      ///< from the xid on; up to the data if there are any
    std::optional<std::size_t> taken;  ///< bytes of data that were put into `room`
    bool was_sent = false;             ///< whether the server may have seen it

    [[nodiscard]] bool is_bound() const noexcept { return must_be_answered && was_sent; }
    /// When it was last given to the kernel.
    [[nodiscard]] Instant sent_at() const noexcept { return sent_at_; }

    /// As good as new, with its memory kept.
    void recycle() noexcept {
        record.clear();
        reply.clear();
        payload = {};
        payload_size = 0;
        room = {};
        finder = nullptr;
        early = false;
        deadline = Instant::never();
        must_be_answered = false;
        taken.reset();
        was_sent = false;
    }

  private:
    friend class Connection;
    friend class Receiver;
    friend class CallQueue;
    enum class State : std::uint8_t { idle, queued, sending, sent, receiving };

    void on_cancel() noexcept override;

    State state_ = State::idle;
    bool abandoned_ = false;  // its caller wants it back as soon as the kernel lets go of it
    Errno abandoned_for_ = Errno::canceled;
    bool answered_ = false;  // the reply came before the kernel said that all was sent
    std::uint32_t xid_ = 0;
    Instant sent_at_;
    Connection* connection_ = nullptr;
    std::coroutine_handle<> waiter_;
    Result<void> outcome_;
    Call* next_ = nullptr;
    Call* previous_ = nullptr;
};

/// Calls in order; a call is in one queue at most.
class CallQueue {
  public:
    [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }
    [[nodiscard]] Call* first() const noexcept { return first_; }
    [[nodiscard]] static Call* after(const Call& call) noexcept { return call.next_; }
    void push_back(Call& call) noexcept {
        call.previous_ = last_;
        call.next_ = nullptr;
        (last_ != nullptr ? last_->next_ : first_) = &call;
        last_ = &call;
    }
    void remove(Call& call) noexcept {
        (call.previous_ != nullptr ? call.previous_->next_ : first_) = call.next_;
        (call.next_ != nullptr ? call.next_->previous_ : last_) = call.previous_;
        call.next_ = call.previous_ = nullptr;
    }
    /// All of `front`, before what is here.
    void prepend(CallQueue& front) noexcept {
        if (front.empty()) return;
        front.last_->next_ = first_;
        (first_ != nullptr ? first_->previous_ : last_) = front.last_;
        first_ = front.first_;
        front.first_ = front.last_ = nullptr;
    }

  private:
    Call* first_ = nullptr;
    Call* last_ = nullptr;
};

}  // namespace dpfs::rpc
