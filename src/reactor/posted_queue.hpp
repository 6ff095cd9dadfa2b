// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>

namespace dpfs::reactor {

/// Any number of threads push, one takes everything at once. `Node` has a member `Node* next`,
/// and stays put until it has been taken. Lock-free; never allocates.
template <class Node>
class PostedQueue {
  public:
    /// Thread: any.
    void push(Node& node) noexcept {
        Node* head = head_.load(std::memory_order_relaxed);
        do {
            node.next = head;
        } while (!head_.compare_exchange_weak(
            head, &node, std::memory_order_seq_cst, std::memory_order_relaxed));
    }

    /// What has been pushed so far, first come first, linked by `next`; nullptr: nothing.
    [[nodiscard]] Node* take_all() noexcept {
        if (head_.load(std::memory_order_relaxed) == nullptr) return nullptr;
        Node* newest = head_.exchange(nullptr, std::memory_order_acquire);
        Node* oldest = nullptr;
        while (newest != nullptr) {
            Node* const next = newest->next;
            newest->next = oldest;
            oldest = newest;
            newest = next;
        }
        return oldest;
    }

    /// In one total order with push(), so that "I sleep, unless something came" and "it came,
    /// does it sleep?" cannot both miss the other.
    [[nodiscard]] bool empty() const noexcept {
        return head_.load(std::memory_order_seq_cst) == nullptr;
    }

  private:
    std::atomic<Node*> head_ = nullptr;
};

}  // namespace dpfs::reactor
