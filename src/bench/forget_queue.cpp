// SPDX-License-Identifier: Apache-2.0
#include "bench/forget_queue.hpp"

#include "fuse/wire_inode.hpp"

#include <cstring>

namespace dpfs::bench {

namespace wire = fuse::wire;

namespace {

constexpr std::uint32_t batch_count_max = 100;

}  // namespace

ForgetQueue::ForgetQueue(Lane& lane, Client& client, bool batch)
    : lane_(lane), client_(client), count_max_(batch ? batch_count_max : 1) {
    for (Slot& slot : lane_.slots()) free_.push_back(&slot);
}

Result<Slot*> ForgetQueue::take_slot() {
    auto done = lane_.poll();
    while (done && done->slot != nullptr) {
        free_.push_back(done->slot);
        done = lane_.poll();
    }
    if (done && free_.empty()) {
        lane_.publish();
        done = client_.wait(lane_);
        if (done) free_.push_back(done->slot);
    }
    if (!done) return fail(done.error());
    Slot* const slot = free_.back();
    free_.pop_back();
    return slot;
}

Result<void> ForgetQueue::add(std::uint64_t nodeid, std::uint64_t lookup_count) {
    const std::scoped_lock lock(mutex_);
    if (open_ == nullptr) {
        const auto slot = take_slot();
        if (!slot) return fail(slot.error());
        open_ = *slot;
        open_count_ = 0;
        open_nodeid_ = nodeid;
        open_lookup_count_ = lookup_count;
    }
    const wire::ForgetOne one = {.nodeid = nodeid, .nlookup = lookup_count};
    std::memcpy(open_->argument_bytes().data() + sizeof(wire::BatchForgetIn) +
                    open_count_ * sizeof(one),
                &one,
                sizeof(one));
    ++open_count_;
    if (open_count_ < count_max_) return {};
    return submit();
}

Result<void> ForgetQueue::submit() {
    Slot& slot = *std::exchange(open_, nullptr);
    if (open_count_ == 1) {
        const wire::ForgetIn in = {.nlookup = open_lookup_count_};
        slot.prepare({.opcode = wire::Opcode::forget,
                      .nodeid = open_nodeid_,
                      .arguments_size = slot.put_arguments(in)});
    } else {
        const wire::BatchForgetIn in = {.count = open_count_, .dummy = 0};
        const auto list_size = static_cast<std::uint32_t>(sizeof(wire::ForgetOne));
        slot.prepare({.opcode = wire::Opcode::batch_forget,
                      .arguments_size = slot.put_arguments(in) + open_count_ * list_size});
    }
    return lane_.add(slot);
}

Result<void> ForgetQueue::flush() {
    const std::scoped_lock lock(mutex_);
    if (open_ != nullptr) {
        if (const auto done = submit(); !done) return done;
    }
    lane_.publish();
    return {};
}

}  // namespace dpfs::bench
