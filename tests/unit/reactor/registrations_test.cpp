// SPDX-License-Identifier: Apache-2.0
// Goal: what io_uring has registered is used, is never mistaken for something else, and is done
// without where it cannot be had: memory that comes and goes, a full table of files, limits.
// Method: rings of our own, on ordinary files; the kernel is asked which opcode it was given by
// making a registration that only a registered transfer can feel.
#include "reactor/pinned_memory.hpp"
#include "reactor/uring_reactor.hpp"
#include "reactor_fixture.hpp"

#include <algorithm>
#include <array>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <thread>
#include <vector>

namespace dpfs::reactor {
namespace {

constexpr std::size_t page_size = 4096;

std::shared_ptr<std::byte> map_pages(std::size_t count) {
    const std::size_t size = count * page_size;
    void* const at =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(at, MAP_FAILED);
    return {static_cast<std::byte*>(at), [size](std::byte* bytes) { ::munmap(bytes, size); }};
}

class Registrations : public testing::Test {
  protected:
    Registrations() {
        EXPECT_TRUE(prepare_thread_credentials());
        file_.reset(::open(scratch_.path("f").c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
    }

    std::unique_ptr<UringReactor> make(const UringOptions& options = {}) {
        auto made = UringReactor::make(options, pool_);
        EXPECT_TRUE(made.has_value());
        return std::move(*made);
    }
    static std::shared_ptr<const PinnedMemory> pin(std::shared_ptr<std::byte> memory,
                                                   std::size_t page_count) {
        auto made = PinnedMemory::make(std::move(memory), page_count * page_size);
        EXPECT_TRUE(made.has_value());
        return std::move(*made);
    }

    ScratchDirectory scratch_;
    BlockingPool pool_;
    UniqueFd file_;
};

iovec page_of(const std::shared_ptr<std::byte>& memory, std::size_t index) {
    return {memory.get() + index * page_size, page_size};
}

Task<void> write_then_read(Reactor& reactor, int fd, iovec from, iovec to) {
    const std::array out = {from, from};
    const std::array in = {to, to};
    EXPECT_EQ(co_await reactor.writev(fd, out, 0), 2 * page_size);
    EXPECT_EQ(co_await reactor.readv(fd, in, 0), 2 * page_size);
    EXPECT_EQ(co_await reactor.writev(fd, std::span(out).first(1), 0), page_size);
    EXPECT_EQ(co_await reactor.readv(fd, std::span(in).first(1), 0), page_size);
}

bool same(const std::shared_ptr<std::byte>& memory, std::size_t a, std::size_t b) {
    const std::byte* const first = memory.get() + a * page_size;
    return std::equal(first, first + page_size, memory.get() + b * page_size);
}

TEST_F(Registrations, pinned_memory_is_read_and_written) {
    const auto reactor = make();
    const auto memory = map_pages(4);
    std::fill_n(memory.get(), page_size, std::byte{'a'});
    ASSERT_TRUE(reactor->use_buffers(pin(memory, 4)));
    run_to_completion(
        *reactor,
        write_then_read(*reactor, file_.get(), page_of(memory, 0), page_of(memory, 3)));
    EXPECT_TRUE(same(memory, 0, 3));
}

Task<Result<std::uint32_t>> read_page(Reactor& reactor, int fd, iovec to) {
    co_return co_await reactor.readv(fd, std::span(&to, 1), 0);
}

/// Replaces the pages below a registration: what comes by the registered buffer goes to the old
/// ones, and is not seen here.
void replace_pages(const std::shared_ptr<std::byte>& memory, std::size_t count) {
    void* const at = ::mmap(memory.get(),
                            count * page_size,
                            PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED,
                            -1,
                            0);
    ASSERT_EQ(at, memory.get());
}

TEST_F(Registrations, transfers_go_by_the_registration_and_no_longer_after_it) {
    const auto reactor = make();
    const auto memory = map_pages(2);
    const auto pinned = pin(memory, 2);
    ASSERT_EQ(::ftruncate(file_.get(), page_size), 0);
    ASSERT_EQ(::pwrite(file_.get(), "x", 1, 0), 1);
    ASSERT_TRUE(reactor->use_buffers(pinned));
    replace_pages(memory, 2);

    auto read = read_page(*reactor, file_.get(), page_of(memory, 0));
    EXPECT_EQ(run_to_completion(*reactor, std::move(read)), page_size);
    EXPECT_EQ(memory.get()[0], std::byte{0});  // it went to the pages that were pinned

    reactor->drop_buffers(*pinned);
    auto again = read_page(*reactor, file_.get(), page_of(memory, 0));
    EXPECT_EQ(run_to_completion(*reactor, std::move(again)), page_size);
    EXPECT_EQ(memory.get()[0], std::byte{'x'});
}

TEST_F(Registrations, memory_is_registered_until_its_last_user_drops_it) {
    const auto reactor = make();
    const auto memory = map_pages(2);
    const auto pinned = pin(memory, 2);
    ASSERT_EQ(::pwrite(file_.get(), "x", 1, 0), 1);
    ASSERT_TRUE(reactor->use_buffers(pinned));
    ASSERT_TRUE(reactor->use_buffers(pinned));
    reactor->drop_buffers(*pinned);
    replace_pages(memory, 2);
    auto read = read_page(*reactor, file_.get(), page_of(memory, 0));
    EXPECT_EQ(run_to_completion(*reactor, std::move(read)), 1u);
    EXPECT_EQ(memory.get()[0], std::byte{0});
    reactor->drop_buffers(*pinned);
    reactor->drop_buffers(*pinned);  // one too many does nothing
}

TEST_F(Registrations, transfers_that_leave_the_memory_go_the_ordinary_way) {
    const auto reactor = make();
    const auto memory = map_pages(4);
    std::fill_n(memory.get(), 2 * page_size, std::byte{'b'});
    const auto pinned = PinnedMemory::make(memory, 2 * page_size);
    ASSERT_TRUE(pinned.has_value());
    ASSERT_TRUE(reactor->use_buffers(*pinned));
    run_to_completion(
        *reactor,
        write_then_read(*reactor, file_.get(), page_of(memory, 1), page_of(memory, 2)));
    EXPECT_TRUE(same(memory, 1, 2));
}

Task<void> read_at_several(Reactor& reactor,
                           int fd,
                           std::vector<std::shared_ptr<std::byte>>& memories) {
    for (const auto& memory : memories) {
        const iovec to = page_of(memory, 0);
        EXPECT_EQ(co_await reactor.readv(fd, std::span(&to, 1), 0), page_size);
        EXPECT_EQ(memory.get()[0], std::byte{'x'});
    }
}

TEST_F(Registrations, a_memory_map_that_changes_leaves_the_others_in_place) {
    const auto reactor = make();
    ASSERT_EQ(::ftruncate(file_.get(), page_size), 0);
    ASSERT_EQ(::pwrite(file_.get(), "x", 1, 0), 1);
    std::vector<std::shared_ptr<std::byte>> memories(3);
    std::vector<std::shared_ptr<const PinnedMemory>> pinned(3);
    for (std::size_t i = 0; i < 3; ++i) {
        memories[i] = map_pages(2);
        pinned[i] = pin(memories[i], 2);
        ASSERT_TRUE(reactor->use_buffers(pinned[i]));
    }
    reactor->drop_buffers(*pinned[1]);
    run_to_completion(*reactor, read_at_several(*reactor, file_.get(), memories));
    ASSERT_TRUE(reactor->use_buffers(pinned[1]));
    for (const auto& memory : memories) memory.get()[0] = std::byte{0};
    run_to_completion(*reactor, read_at_several(*reactor, file_.get(), memories));
}

TEST_F(Registrations, a_table_that_is_full_of_what_went_begins_anew) {
    io_uring ring = {};
    ASSERT_EQ(::io_uring_queue_init(4, &ring, 0), 0);
    FixedBuffers table(ring, 3);
    std::vector<std::shared_ptr<std::byte>> memories;
    std::vector<std::shared_ptr<const PinnedMemory>> pinned;
    for (int i = 0; i < 4; ++i) {
        memories.push_back(map_pages(1));
        pinned.push_back(pin(memories.back(), 1));
    }
    for (std::size_t i = 0; i < 3; ++i) ASSERT_TRUE(table.add(pinned[i]));
    EXPECT_EQ(table.add(pinned[3]).error(), Errno::no_space);
    table.remove(*pinned[0]);
    ASSERT_TRUE(table.add(pinned[3]));
    const auto slot_of = [&](std::size_t i) {
        const iovec page = page_of(memories[i], 0);
        return table.find(std::span(&page, 1));
    };
    EXPECT_EQ(slot_of(0), FixedBuffers::none);
    EXPECT_EQ(slot_of(1), 0);
    EXPECT_EQ(slot_of(2), 1);
    EXPECT_EQ(slot_of(3), 2);
    ::io_uring_queue_exit(&ring);
}

/// This thread has to count what it pins, and may pin next to nothing.
Errno pin_without_the_right_to() {
    __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    std::array<__user_cap_data_struct, 2> sets = {};
    EXPECT_EQ(::syscall(SYS_capget, &header, sets.data()), 0);
    sets[0].effective &= ~(1U << CAP_IPC_LOCK);
    EXPECT_EQ(::syscall(SYS_capset, &header, sets.data()), 0);
    auto memory = map_pages(4096);
    const auto pinned = PinnedMemory::make(std::move(memory), 4096 * page_size);
    return pinned ? Errno{} : pinned.error();
}

TEST_F(Registrations, more_than_may_be_locked_is_refused) {
    rlimit before = {};
    ASSERT_EQ(::getrlimit(RLIMIT_MEMLOCK, &before), 0);
    rlimit limit = before;
    limit.rlim_cur = std::min<rlim_t>(before.rlim_cur, 1 << 20);
    ASSERT_EQ(::setrlimit(RLIMIT_MEMLOCK, &limit), 0);
    Errno error = {};
    std::thread thread([&] { error = pin_without_the_right_to(); });
    thread.join();
    EXPECT_EQ(error, Errno::no_memory);
    ASSERT_EQ(::setrlimit(RLIMIT_MEMLOCK, &before), 0);
}

Task<Result<std::uint32_t>> write_byte(Reactor& reactor, int fd) {
    const char byte = 'x';
    const iovec from = {const_cast<char*>(&byte), 1};
    co_return co_await reactor.writev(fd, std::span(&from, 1), 0);
}

TEST_F(Registrations, files_are_used_until_they_are_given_back) {
    const auto reactor = make({.file_count_max = 1});
    ASSERT_TRUE(reactor->register_file(file_.get()));
    EXPECT_EQ(reactor->register_file(0).error(), Errno::no_space);
    EXPECT_EQ(run_to_completion(*reactor, write_byte(*reactor, file_.get())), 1u);
    reactor->unregister_file(file_.get());
    EXPECT_EQ(run_to_completion(*reactor, write_byte(*reactor, file_.get())), 1u);
    EXPECT_TRUE(reactor->register_file(file_.get()));
}

TEST_F(Registrations, a_descriptor_number_that_is_used_again_is_another_file) {
    const auto reactor = make({.file_count_max = 4});
    const int number = file_.get();
    ASSERT_TRUE(reactor->register_file(number));
    reactor->unregister_file(number);
    const UniqueFd other(::open(scratch_.path("g").c_str(), O_CREAT | O_RDWR, 0600));
    ASSERT_EQ(::dup3(other.get(), number, O_CLOEXEC), number);
    EXPECT_EQ(run_to_completion(*reactor, write_byte(*reactor, number)), 1u);
    struct stat found = {};
    ASSERT_EQ(::fstat(other.get(), &found), 0);
    EXPECT_EQ(found.st_size, 1);
}

TEST_F(Registrations, a_file_that_was_given_back_is_closed) {
    const auto reactor = make({.file_count_max = 4});
    std::array<int, 2> ends = {-1, -1};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    const UniqueFd reader(ends[0]);
    UniqueFd writer(ends[1]);
    ASSERT_TRUE(reactor->register_file(writer.get()));
    EXPECT_EQ(run_to_completion(*reactor, write_byte(*reactor, writer.get())), 1u);
    reactor->unregister_file(writer.get());
    writer.reset();
    char bytes[2] = {};
    EXPECT_EQ(::read(reader.get(), bytes, 1), 1);
    EXPECT_EQ(::read(reader.get(), bytes, 1), 0);  // nobody has the other end any more
}

/// For a process of its own, which may have few descriptors from now on.
void work_without_a_table_of_files(int fd) {
    const rlimit few = {.rlim_cur = 256, .rlim_max = 256};
    BlockingPool pool;
    if (::setrlimit(RLIMIT_NOFILE, &few) != 0) std::_Exit(1);
    const auto made = UringReactor::make({.file_count_max = 1024}, pool);
    if (!made || (*made)->files_error() != Errno::too_many_files) std::_Exit(2);
    if ((*made)->register_file(fd).error() != Errno::not_supported) std::_Exit(3);
    const auto written = run_to_completion(**made, write_byte(**made, fd));
    std::_Exit(written == 1u ? 0 : 4);
}

TEST_F(Registrations, a_ring_without_a_table_of_files_does_without) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(work_without_a_table_of_files(file_.get()), testing::ExitedWithCode(0), "");
}

TEST_F(Registrations, both_work_with_a_kernel_thread_that_submits) {
    const auto reactor = make({.submission_thread = true, .file_count_max = 4});
    const auto memory = map_pages(4);
    const auto pinned = pin(memory, 4);
    std::fill_n(memory.get(), page_size, std::byte{'c'});
    ASSERT_TRUE(reactor->use_buffers(pinned));
    ASSERT_TRUE(reactor->register_file(file_.get()));
    run_to_completion(
        *reactor,
        write_then_read(*reactor, file_.get(), page_of(memory, 0), page_of(memory, 3)));
    EXPECT_TRUE(same(memory, 0, 3));
    reactor->unregister_file(file_.get());
    reactor->drop_buffers(*pinned);
    run_to_completion(
        *reactor,
        write_then_read(*reactor, file_.get(), page_of(memory, 0), page_of(memory, 3)));
}

}  // namespace
}  // namespace dpfs::reactor
