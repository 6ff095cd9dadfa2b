// SPDX-License-Identifier: Apache-2.0
// Goal: what reactors share is exact and sound when they use it at once (run under TSan).
// Method: two reactor threads send requests about the same few files.
#include "base/or_return.hpp"
#include "mirror_fixture.hpp"
#include "reactor/reactor_threads.hpp"

#include <atomic>
#include <fcntl.h>

namespace dpfs::mirror {
namespace {

using fuse::NodeId;
using fuse::root_node;
using reactor::ReactorKind;

constexpr int round_count = 400;
constexpr int file_count = 5;

std::string name_of(int i) {
    return "f" + std::to_string(i);
}

class MirrorConcurrency : public testing::TestWithParam<ReactorKind> {
  protected:
    MirrorConcurrency() {
        reactor::ReactorThreadsOptions options;
        options.count = 2;
        options.reactor.kind = GetParam();
        auto made = reactor::ReactorThreads::make(options, pool_, test_log());
        if (!made) std::abort();
        threads_ = std::move(*made);
    }
    void serve(MirrorOptions options) {
        options.directory = scratch_.path();
        fs_ = *MirrorFs::make(std::move(options), test_log());
        for (int i = 0; i < file_count; ++i) {
            const UniqueFd fd(
                ::open(scratch_.path(name_of(i)).c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0644));
        }
    }
    /// Runs `work(fs, reactor, failures)` on both threads, and waits for it.
    template <class Work>
    int run_on_both(Work work) {
        std::atomic<int> failures = 0;
        for (std::size_t i = 0; i < 2; ++i) {
            threads_->spawn(i, work(*fs_, threads_->reactor(i), failures));
        }
        threads_->stop_all();
        threads_->join();
        return failures;
    }

    ScratchDirectory scratch_{"/tmp"};
    reactor::BlockingPool pool_;
    std::unique_ptr<MirrorFs> fs_;
    std::unique_ptr<reactor::ReactorThreads> threads_;
};

Task<void> look_up_and_forget(MirrorFs& fs,
                              reactor::Reactor& reactor,
                              std::atomic<int>& failures) {
    reactor::CancelSource cancel;
    fuse::Context context = {.reactor = reactor, .cancel = cancel, .caller = {}};
    for (int i = 0; i < round_count; ++i) {
        const std::string text = name_of(i % file_count);
        const auto found = co_await fs.lookup(context, root_node, Guest::name(text));
        if (!found) {
            ++failures;
            continue;
        }
        // Ours until we give it back, whatever the other one does.
        const auto attributes = co_await fs.getattr(context, found->node, std::nullopt);
        if (!attributes) ++failures;
        const std::array all = {fuse::Forget{.node = found->node, .count = 1}};
        co_await fs.forget(context, all);
    }
}

TEST_P(MirrorConcurrency, counts_references_exactly) {
    serve({});

    EXPECT_EQ(run_on_both(look_up_and_forget), 0);

    EXPECT_EQ(fs_->counts().inodes, 1u);
    EXPECT_EQ(fs_->counts().descriptors, 1u);
}

TEST_P(MirrorConcurrency, counts_references_exactly_while_descriptors_are_evicted) {
    serve({.inode_descriptor_count_max = 2});

    EXPECT_EQ(run_on_both(look_up_and_forget), 0);

    EXPECT_EQ(fs_->counts().inodes, 1u);
    EXPECT_EQ(fs_->counts().descriptors, 1u);
}

Task<Result<void>> use_a_file(MirrorFs& fs, fuse::Context& context, int i) {
    const std::string text = name_of(i % file_count);
    const auto found =
        co_await or_return(co_await fs.lookup(context, root_node, Guest::name(text)));
    const fuse::OpenRequest open = {.flags = O_RDWR};
    const auto opened = co_await or_return(co_await fs.open(context, found.node, open));
    std::array<char, 64> data = {};
    const std::array memory = {iovec{data.data(), data.size()}};
    const fuse::WriteRequest write = {.offset = 0,
                                      .size = data.size(),
                                      .flags = 0,
                                      .from_page_cache = false,
                                      .kill_suid_gid = false};
    co_await or_return(co_await fs.write(context, found.node, opened.handle, write, memory));
    const fuse::ReadRequest read = {.offset = 0, .size = data.size(), .flags = 0};
    co_await or_return(co_await fs.read(context, found.node, opened.handle, read, memory));
    fuse::LockRequest lock = {.kind = fuse::LockKind::posix,
                              .owner = fuse::LockOwner{static_cast<std::uint64_t>(i)},
                              .lock = {.start = 0, .end = INT64_MAX, .type = F_WRLCK, .pid = 0},
                              .wait = true};
    co_await or_return(co_await fs.setlk(context, found.node, opened.handle, lock));
    const fuse::ReleaseRequest release = {
        .flags = 0, .posix_owner = lock.owner, .flock_unlock = false};
    co_await or_return(co_await fs.release(context, found.node, opened.handle, release));
    const std::array all = {fuse::Forget{.node = found.node, .count = 1}};
    co_await fs.forget(context, all);
    co_return Result<void>();
}

Task<void> use_files(MirrorFs& fs, reactor::Reactor& reactor, std::atomic<int>& failures) {
    reactor::CancelSource cancel;
    fuse::Context context = {.reactor = reactor, .cancel = cancel, .caller = {}};
    for (int i = 0; i < round_count; ++i) {
        const auto used = co_await use_a_file(fs, context, i);
        if (!used) ++failures;
    }
}

TEST_P(MirrorConcurrency, opens_locks_and_releases) {
    serve({.inode_descriptor_count_max = 2});

    EXPECT_EQ(run_on_both(use_files), 0);

    EXPECT_EQ(fs_->counts().inodes, 1u);
    EXPECT_EQ(fs_->counts().open_files, 0u);
}

Task<void> list_and_forget(MirrorFs& fs,
                           reactor::Reactor& reactor,
                           std::atomic<int>& failures) {
    reactor::CancelSource cancel;
    fuse::Context context = {.reactor = reactor, .cancel = cancel, .caller = {}};
    const fuse::OpenRequest open = {.flags = O_RDONLY};
    const auto dir = co_await fs.opendir(context, root_node, open);
    if (!dir) ++failures;
    for (int i = 0; i < round_count / 4 && dir; ++i) {
        std::vector<std::byte> reply(4096);
        const iovec buffer = {reply.data(), reply.size()};
        fuse::DirectoryWriter out(IovecCursor(std::span(&buffer, 1)), reply.size(), true);
        const auto listed = co_await fs.readdirplus(context, root_node, dir->handle, 0, out);
        if (!listed) ++failures;
        for (int file = 0; file < file_count; ++file) {
            // The listing's reference, and one of its own.
            const std::string text = name_of(file);
            const auto found = co_await fs.lookup(context, root_node, Guest::name(text));
            if (!found) {
                ++failures;
                continue;
            }
            const auto attributes = co_await fs.getattr(context, found->node, std::nullopt);
            if (!attributes) ++failures;
            const fuse::Forget both = {.node = found->node, .count = 2};
            const std::array all = {both};
            co_await fs.forget(context, all);
        }
    }
    if (dir) static_cast<void>(co_await fs.releasedir(context, root_node, dir->handle));
}

TEST_P(MirrorConcurrency, lists_and_forgets) {
    serve({});

    EXPECT_EQ(run_on_both(list_and_forget), 0);

    EXPECT_EQ(fs_->counts().inodes, 1u);
}

std::string kind_name(const testing::TestParamInfo<ReactorKind>& info) {
    return info.param == ReactorKind::uring ? "uring" : "epoll";
}
INSTANTIATE_TEST_SUITE_P(,
                         MirrorConcurrency,
                         testing::Values(ReactorKind::uring, ReactorKind::epoll),
                         kind_name);

}  // namespace
}  // namespace dpfs::mirror
