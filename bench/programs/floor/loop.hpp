// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/histogram.hpp"
#include "floor/works.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace dpfs::nfs_floor {

struct LoopOptions {
    std::uint32_t depth = 1;  ///< or as many as there are slots
    std::int64_t time_ms = 600;
    bool spins = false;  ///< asks for answers again and again, instead of sleeping
};

struct Figures {
    double operations_per_s = 0;
    double p50_us = 0, p99_us = 0;
    double user_us = 0, system_us = 0;  ///< CPU time of this process, for one operation
};

/// `depth` operations in flight on one connection, one in each slot, the next as soon as one
/// has ended: the least that a client of this protocol can do. All that is ready goes out by
/// one sendmsg, and all that has come is taken by one recv. Of answers only what the next
/// request needs is looked at.
class Loop {
  public:
    Loop(Session& session, Target& target, LoopOptions options);

    Figures run();

  private:
    struct Slot {
        std::unique_ptr<Work> work;
        std::uint32_t sequence = 0;
        std::int64_t began_ns = 0;
    };

    /// Puts the slot's next compound to what is sent next.
    void queue(std::uint32_t index);
    void send();
    void receive();
    void take(std::span<const std::byte> record);
    [[nodiscard]] Figures figures() const;

    Session& session_;
    const LoopOptions options_;
    std::vector<Slot> slots_;
    std::vector<iovec> unsent_;
    std::vector<std::byte> input_;
    std::size_t begin_ = 0, end_ = 0;
    std::size_t in_flight_ = 0;
    std::int64_t now_ns_ = 0, end_ns_ = 0;
    std::int64_t wall_ns_ = 0, user_ns_ = 0, system_ns_ = 0;
    std::uint64_t done_count_ = 0;
    bench::Histogram latencies_;
};

}  // namespace dpfs::nfs_floor
