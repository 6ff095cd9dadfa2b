// SPDX-License-Identifier: Apache-2.0
// Goal: options that decide how a call is made change nothing that the tenant sees, and leave
// nothing behind. Method: the same requests with each choice; registered files are looked for
// by a lease, which the host refuses while somebody has the file open for writing.
#include "mirror_fixture.hpp"
#include "reactor/pinned_memory.hpp"
#include "reactor/reactor_threads.hpp"
#include "reactor/uring_reactor.hpp"

#include <algorithm>
#include <future>
#include <sys/mman.h>
#include <unistd.h>

namespace dpfs::mirror {
namespace {

using fuse::FileHandle;
using fuse::NodeId;
using fuse::root_node;

class MirrorOptionsTest : public MirrorTest {
  protected:
    void expect_data_moves() {
        std::string text(300'000, ' ');
        for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i % 23);
        host_write("file", text);
        const NodeId node = guest_->lookup(root_node, "file")->node;
        const FileHandle handle = guest_->open(node, O_RDWR).value();
        EXPECT_EQ(guest_->read(node, handle, 0, 1 << 20).value(), text);
        EXPECT_EQ(guest_->read(node, handle, 299'990, 100).value(), text.substr(299'990));
        EXPECT_EQ(guest_->write(node, handle, 299'995, "0123456789").value(), 10u);
        EXPECT_EQ(guest_->write(node, handle, 0, "end", O_APPEND).value(), 3u);
        EXPECT_EQ(host_read("file"), text.substr(0, 299'995) + "0123456789end");
        EXPECT_TRUE(guest_->run(fs().fsync(guest_->context, node, handle, false)).has_value());
        EXPECT_EQ(guest_->getattr(node)->size, 300'008u);
        EXPECT_TRUE(guest_->release(node, handle).has_value());
    }
};
DPFS_ON_ALL_SETTINGS(MirrorOptionsTest);

TEST_P(MirrorOptionsTest, data_may_always_go_asynchronously) {
    serve({.data_path = DataPath::async});
    expect_data_moves();
}

TEST_P(MirrorOptionsTest, data_may_always_go_in_place) {
    serve({.data_path = DataPath::in_place});
    const auto before = reactor().statistics().operations.value();
    expect_data_moves();
    const auto operations = reactor().statistics().operations.value() - before;
    // All but fsync, and what looking up and opening takes.
    EXPECT_TRUE(GetParam().always_async || operations <= 1) << operations;
}

TEST_P(MirrorOptionsTest, data_goes_in_place_with_each_policy_of_direct_io) {
    serve({.direct = DirectPolicy::always, .data_path = DataPath::in_place});
    expect_data_moves();
    serve({.direct = DirectPolicy::never, .data_path = DataPath::in_place});
    expect_data_moves();
}

TEST_P(MirrorOptionsTest, attributes_may_come_asynchronously) {
    serve({.async_getattr = true});
    expect_data_moves();
}

TEST_P(MirrorOptionsTest, fsync_may_be_in_place) {
    serve({.async_fsync = false});
    expect_data_moves();
}

// --- registered files

class RegisteredFiles : public testing::Test {
  protected:
    RegisteredFiles() : scratch_("/tmp") {
        EXPECT_TRUE(reactor::prepare_thread_credentials());
        MirrorOptions options;
        options.directory = scratch_.path();
        options.data_path = DataPath::async;
        fs_ = std::move(*MirrorFs::make(options, test_log()));
    }
    ~RegisteredFiles() override { static_cast<void>(reactor::act_as(nullptr)); }

    std::unique_ptr<reactor::UringReactor> make_reactor(unsigned file_count_max) {
        auto made = reactor::UringReactor::make({.file_count_max = file_count_max}, pool_);
        EXPECT_TRUE(made.has_value());
        return std::move(*made);
    }
    /// False while somebody has it open for writing.
    [[nodiscard]] bool can_lease(const std::string& name) const {
        const UniqueFd fd(::open(scratch_.path(name).c_str(), O_RDONLY | O_CLOEXEC));
        return ::fcntl(fd.get(), F_SETLEASE, F_RDLCK) == 0;
    }
    static void use_often(Guest& guest, NodeId node, FileHandle handle) {
        for (std::uint64_t i = 0; i < 20; ++i) {
            ASSERT_EQ(guest.write(node, handle, i, "x").value(), 1u);
            ASSERT_EQ(guest.read(node, handle, i, 1).value(), "x");
        }
    }

    ScratchDirectory scratch_;
    reactor::BlockingPool pool_;
    std::unique_ptr<MirrorFs> fs_;
};

TEST_F(RegisteredFiles, are_used_and_closed_with_their_handle) {
    const auto reactor = make_reactor(4);
    Guest guest(*fs_, *reactor);
    const auto made = guest.create(root_node, "file");
    const NodeId node = made->entry.node;
    use_often(guest, node, made->open.handle);
    EXPECT_FALSE(can_lease("file"));
    ASSERT_TRUE(guest.release(node, made->open.handle).has_value());
    EXPECT_TRUE(can_lease("file"));
}

TEST_F(RegisteredFiles, are_never_directories) {
    const auto reactor = make_reactor(4);
    Guest guest(*fs_, *reactor);
    const NodeId directory = guest.mkdir(root_node, "directory")->node;
    const FileHandle listed = guest.opendir(directory).value();
    for (int i = 0; i < 20; ++i) {
        ASSERT_TRUE(guest.run(fs_->fsyncdir(guest.context, directory, listed, false)));
    }
    ASSERT_TRUE(guest.releasedir(directory, listed).has_value());
    // It gets the directory's descriptor number.
    const auto made = guest.create(root_node, "file").value();
    use_often(guest, made.entry.node, made.open.handle);
    EXPECT_TRUE(guest.release(made.entry.node, made.open.handle).has_value());
}

TEST_F(RegisteredFiles, are_closed_when_the_mount_ends) {
    const auto reactor = make_reactor(4);
    Guest guest(*fs_, *reactor);
    const auto made = guest.create(root_node, "file");
    use_often(guest, made->entry.node, made->open.handle);
    guest.run(fs_->destroy(*reactor));
    EXPECT_TRUE(can_lease("file"));
}

TEST_F(RegisteredFiles, beyond_the_table_are_used_as_they_are) {
    const auto reactor = make_reactor(2);
    Guest guest(*fs_, *reactor);
    std::vector<fuse::Created> files;
    for (int i = 0; i < 5; ++i) {
        files.push_back(guest.create(root_node, std::to_string(i)).value());
        use_often(guest, files.back().entry.node, files.back().open.handle);
    }
    for (const auto& file : files) {
        use_often(guest, file.entry.node, file.open.handle);
        ASSERT_TRUE(guest.release(file.entry.node, file.open.handle).has_value());
    }
    for (int i = 0; i < 5; ++i) EXPECT_TRUE(can_lease(std::to_string(i)));
}

TEST_F(RegisteredFiles, whose_descriptor_number_returns_are_not_mistaken) {
    const auto reactor = make_reactor(2);
    Guest guest(*fs_, *reactor);
    for (int i = 0; i < 10; ++i) {
        const std::string name = std::to_string(i);
        const auto made = guest.create(root_node, name).value();
        use_often(guest, made.entry.node, made.open.handle);
        ASSERT_EQ(guest.write(made.entry.node, made.open.handle, 0, name).value(), name.size());
        ASSERT_EQ(guest.read(made.entry.node, made.open.handle, 0, 1).value(), name);
        ASSERT_TRUE(guest.release(made.entry.node, made.open.handle).has_value());
    }
}

// --- several reactors

struct Load {
    MirrorFs& fs;
    NodeId node;
    FileHandle handle;
};

Task<void> write_often(reactor::Reactor& reactor, Load load, std::promise<int>& written) {
    reactor::CancelSource cancel;
    fuse::Context context{.reactor = reactor, .cancel = cancel, .caller = {}};
    char byte = 'x';
    const iovec from = {&byte, 1};
    int count = 0;
    for (std::uint64_t i = 0; i < 200; ++i) {
        const fuse::WriteRequest request = {.offset = i,
                                            .size = 1,
                                            .flags = 0,
                                            .from_page_cache = false,
                                            .kill_suid_gid = true};
        const auto done = co_await load.fs.write(
            context, load.node, load.handle, request, std::span(&from, 1));
        count += done == 1u ? 1 : 0;
    }
    written.set_value(count);
}

Task<void> release_it(reactor::Reactor& reactor, Load load, std::promise<bool>& released) {
    reactor::CancelSource cancel;
    fuse::Context context{.reactor = reactor, .cancel = cancel, .caller = {}};
    const fuse::ReleaseRequest request = {
        .flags = 0, .posix_owner = std::nullopt, .flock_unlock = false};
    const auto done = co_await load.fs.release(context, load.node, load.handle, request);
    released.set_value(done.has_value() && reactor.on_own_thread());
}

/// More of them than a file has places for.
TEST_F(RegisteredFiles, of_several_reactors_are_given_back_by_each) {
    constexpr std::size_t thread_count = 6;
    const auto maker = make_reactor(0);
    Guest guest(*fs_, *maker);
    const auto made = guest.create(root_node, "file").value();
    const Load load = {*fs_, made.entry.node, made.open.handle};
    reactor::ReactorThreadsOptions options;
    options.count = thread_count;
    options.reactor.kind = reactor::ReactorKind::uring;
    options.reactor.uring.file_count_max = 8;
    const auto threads = reactor::ReactorThreads::make(options, pool_, test_log());
    ASSERT_TRUE(threads.has_value());
    std::vector<std::promise<int>> written(thread_count);
    for (std::size_t i = 0; i < thread_count; ++i) {
        (*threads)->spawn(i, write_often((*threads)->reactor(i), load, written[i]));
    }
    for (auto& each : written) EXPECT_EQ(each.get_future().get(), 200);
    std::promise<bool> released;
    (*threads)->spawn(1, release_it((*threads)->reactor(1), load, released));
    EXPECT_TRUE(released.get_future().get());
    EXPECT_TRUE(can_lease("file"));
    (*threads)->stop_all();
    (*threads)->join();
}

/// Handles end while requests that use them are on their way.
TEST_F(RegisteredFiles, may_be_released_while_others_use_them) {
    constexpr std::size_t thread_count = 3;
    const auto maker = make_reactor(0);
    Guest guest(*fs_, *maker);
    reactor::ReactorThreadsOptions options;
    options.count = thread_count;
    options.reactor.kind = reactor::ReactorKind::uring;
    options.reactor.uring.file_count_max = 8;
    const auto threads = reactor::ReactorThreads::make(options, pool_, test_log());
    ASSERT_TRUE(threads.has_value());
    for (int round = 0; round < 30; ++round) {
        const std::string name = std::to_string(round);
        const auto made = guest.create(root_node, name).value();
        const Load load = {*fs_, made.entry.node, made.open.handle};
        std::vector<std::promise<int>> written(2);
        std::promise<bool> released;
        (*threads)->spawn(0, write_often((*threads)->reactor(0), load, written[0]));
        (*threads)->spawn(1, write_often((*threads)->reactor(1), load, written[1]));
        (*threads)->spawn(2, release_it((*threads)->reactor(2), load, released));
        EXPECT_TRUE(released.get_future().get());
        for (auto& each : written) EXPECT_LE(each.get_future().get(), 200);
        EXPECT_TRUE(can_lease(name));
    }
    (*threads)->stop_all();
    (*threads)->join();
}

}  // namespace
}  // namespace dpfs::mirror
