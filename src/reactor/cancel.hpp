// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/assert.hpp"
#include "base/time.hpp"

namespace dpfs::reactor {

class CancelSource;

/// Something that can be cancelled while it waits; a link in its source's list.
class Cancelable {
  public:
    Cancelable() = default;
    Cancelable(const Cancelable&) = delete;
    Cancelable& operator=(const Cancelable&) = delete;

    /// Asks for an early end; the end itself comes later, on the same thread.
    virtual void on_cancel() noexcept = 0;

  protected:
    virtual ~Cancelable() { unlink(); }  // virtual only for GCC: CancelSource is a friend
    void unlink() noexcept;

  private:
    friend class CancelSource;
    Cancelable* previous_ = nullptr;
    Cancelable* next_ = nullptr;
    CancelSource* source_ = nullptr;
};

/// Ends waits early. Whoever may have to give up on a group of operations owns one and passes
/// it to each of them; after cancel() they end with ECANCELED, as does any that starts later.
///
/// Thread    that of the operations. Lifetime: outlives the operations that were given it.
class CancelSource {
  public:
    CancelSource() = default;
    CancelSource(const CancelSource&) = delete;
    CancelSource& operator=(const CancelSource&) = delete;
    ~CancelSource() { DPFS_ASSERT(head_ == nullptr); }

    void cancel() noexcept {
        canceled_ = true;
        while (head_ != nullptr) {
            Cancelable& waiting = *head_;
            waiting.unlink();
            waiting.on_cancel();
        }
    }
    [[nodiscard]] bool canceled() const noexcept { return canceled_; }
    /// Makes a source usable again when nothing waits on it.
    void reset() noexcept {
        DPFS_ASSERT(head_ == nullptr);
        canceled_ = false;
    }

    void link(Cancelable& waiting) noexcept {
        DPFS_ASSERT(waiting.source_ == nullptr);
        waiting.source_ = this;
        waiting.previous_ = nullptr;
        waiting.next_ = head_;
        if (head_ != nullptr) head_->previous_ = &waiting;
        head_ = &waiting;
    }

  private:
    friend class Cancelable;
    Cancelable* head_ = nullptr;
    bool canceled_ = false;
};

inline void Cancelable::unlink() noexcept {
    if (source_ == nullptr) return;
    (previous_ != nullptr ? previous_->next_ : source_->head_) = next_;
    if (next_ != nullptr) next_->previous_ = previous_;
    source_ = nullptr;
    previous_ = next_ = nullptr;
}

/// How long an operation may take: every awaitable has one.
struct Limit {
    Instant deadline = Instant::never();  ///< then it ends with ETIMEDOUT
    CancelSource* cancel = nullptr;       ///< then it ends with ECANCELED
};

}  // namespace dpfs::reactor
