// SPDX-License-Identifier: Apache-2.0
#include "hal/vhost_user/bus_error.hpp"

#include "base/assert.hpp"

#include <bit>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <mutex>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

namespace dpfs::hal::vhost_user {
namespace {

/// A guarded range. Signal handlers walk over these while other threads add and free them, so a
/// range is never deleted: a free one, with end 0, is used again.
struct Range {
    std::atomic<std::uintptr_t> start = 0;
    std::atomic<std::uintptr_t> end = 0;
    std::atomic<std::atomic<bool>*> lost = nullptr;
    Range* next = nullptr;
};

// Global because a signal's handler is.
std::atomic<Range*> first_range = nullptr;
std::mutex ranges_mutex;  // who adds or frees
struct sigaction previous_action;
std::uintptr_t page_size;

constexpr std::uintptr_t huge_page_size_max = std::uintptr_t{16} << 30;  // ARM's largest

Range* find_range(std::uintptr_t address) noexcept {
    for (Range* range = first_range.load(std::memory_order_acquire); range != nullptr;
         range = range->next) {
        const std::uintptr_t end = range->end.load(std::memory_order_acquire);
        const std::uintptr_t start = range->start.load(std::memory_order_acquire);
        // A free range may have become another between the two loads.
        const bool is_one = range->end.load(std::memory_order_relaxed) == end;
        if (is_one && address >= start && address < end) return range;
    }
    return nullptr;
}

/// Errors: EINVAL, where the mapping has pages larger than `size` and cannot be changed in
/// part.
int put_zeros_at(std::uintptr_t address, std::uintptr_t size) noexcept {
    // The plain system call: a sanitizer's own mmap is not for signal handlers.
    const long result = ::syscall(SYS_mmap,
                                  address & ~(size - 1),
                                  size,
                                  PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
                                  -1,
                                  0);
    return result == -1 ? errno : 0;
}

/// In the place of the page that `address` lies in, be it a huge one.
bool put_zeros_in_page_of(std::uintptr_t address) noexcept {
    int error = EINVAL;
    for (std::uintptr_t size = page_size; error == EINVAL && size <= huge_page_size_max;
         size *= 2) {
        error = put_zeros_at(address, size);
    }
    return error == 0;
}

void pass_on(int signal, siginfo_t* info, void* context) noexcept {
    if ((previous_action.sa_flags & SA_SIGINFO) != 0) {
        previous_action.sa_sigaction(signal, info, context);
    } else if (previous_action.sa_handler != SIG_DFL && previous_action.sa_handler != SIG_IGN) {
        previous_action.sa_handler(signal);
    } else {
        // The access is made again when we return, and then ends the process.
        ::signal(SIGBUS, SIG_DFL);
    }
}

void on_bus_error(int signal, siginfo_t* info, void* context) noexcept {
    const int saved_errno = errno;
    const auto address = std::bit_cast<std::uintptr_t>(info->si_addr);
    Range* const range = find_range(address);
    if (range != nullptr && put_zeros_in_page_of(address)) {
        range->lost.load(std::memory_order_relaxed)->store(true, std::memory_order_release);
        errno = saved_errno;
        return;
    }
    pass_on(signal, info, context);
    errno = saved_errno;
}

void install_handler() noexcept {
    page_size = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    struct sigaction action = {};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    ::sigemptyset(&action.sa_mask);
    DPFS_ASSERT(::sigaction(SIGBUS, &action, &previous_action) == 0);
}

Range& add_range(std::uintptr_t start, std::uintptr_t end, std::atomic<bool>& lost) {
    static std::once_flag installed;
    std::call_once(installed, install_handler);
    const std::lock_guard lock(ranges_mutex);
    Range* range = first_range.load(std::memory_order_relaxed);
    while (range != nullptr && range->end.load(std::memory_order_relaxed) != 0) {
        range = range->next;
    }
    const bool is_new = range == nullptr;
    if (is_new) range = new Range;  // for as long as the process lives
    range->start.store(start, std::memory_order_release);
    range->lost.store(&lost, std::memory_order_relaxed);
    range->end.store(end, std::memory_order_release);
    if (is_new) {
        range->next = first_range.load(std::memory_order_relaxed);
        first_range.store(range, std::memory_order_release);
    }
    return *range;
}

/// Keeps a range guarded, then lets go of what it guards.
class Guarded {
  public:
    Guarded(virtio::Mapping memory, std::uint64_t size, MemoryLost lost)
        : memory_(std::move(memory)),
          lost_(std::move(lost)),
          range_(add_range(std::bit_cast<std::uintptr_t>(memory_.get()),
                           std::bit_cast<std::uintptr_t>(memory_.get() + size),
                           *lost_)) {}
    Guarded(const Guarded&) = delete;
    Guarded& operator=(const Guarded&) = delete;
    ~Guarded() {
        const std::lock_guard lock(ranges_mutex);
        range_.end.store(0, std::memory_order_release);
    }

    [[nodiscard]] std::byte* bytes() const noexcept { return memory_.get(); }

  private:
    virtio::Mapping memory_;
    MemoryLost lost_;
    Range& range_;
};

}  // namespace

virtio::Mapping guard(virtio::Mapping memory, std::uint64_t size, MemoryLost lost) {
    auto guarded = std::make_shared<Guarded>(std::move(memory), size, std::move(lost));
    std::byte* const bytes = guarded->bytes();
    return {std::move(guarded), bytes};
}

}  // namespace dpfs::hal::vhost_user
