// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "reactor/operation.hpp"

#include <libaio.h>

#include <cstddef>
#include <memory>
#include <vector>

namespace dpfs::reactor {

/// Linux AIO: asynchronous for files opened with O_DIRECT, and for those only. Operations are
/// gathered and go to the kernel together.
class AioQueue {
  public:
    /// Errors: EAGAIN: beyond fs.aio-max-nr; ENOSYS; EMFILE.
    static Result<std::unique_ptr<AioQueue>> make(std::size_t count_max);
    AioQueue(const AioQueue&) = delete;
    AioQueue& operator=(const AioQueue&) = delete;
    ~AioQueue();

    /// Readable after completions.
    [[nodiscard]] int event_fd() const noexcept { return event_fd_.get(); }

    /// Takes a readv or writev. False: count_max are under way.
    [[nodiscard]] bool push(Operation& operation) noexcept;
    [[nodiscard]] bool has_queued() const noexcept { return queued_count_ > 0; }

    struct Completion {
        Operation* operation;
        std::int32_t result;
    };
    /// Passes on what was pushed, each as its caller; what the kernel refuses is a completion.
    void submit(std::vector<Completion>& refused);
    /// Appends what has ended, without waiting; makes no system call where nothing has.
    void collect(std::vector<Completion>& ended);

  private:
    explicit AioQueue(std::size_t count_max);
    void release(iocb& block) noexcept { free_.push_back(&block); }
    void refuse_first(std::int32_t result, std::vector<Completion>& refused);

    io_context_t context_ = nullptr;
    UniqueFd event_fd_;
    std::vector<iocb> blocks_;
    std::vector<iocb*> free_;
    std::vector<iocb*> queued_;  // the first queued_count_ of them
    std::size_t queued_count_ = 0;
};

}  // namespace dpfs::reactor
