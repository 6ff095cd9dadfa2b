// SPDX-License-Identifier: Apache-2.0
// Goal: a lock that is held is held: against other owners, other shares of the directory and
// other processes; and a wait ends, with the lock or without.
// Method: two shares of one directory, and a real child process, compete for one file.
#include "base/gate.hpp"
#include "mirror_fixture.hpp"

#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

namespace dpfs::mirror {
namespace {

using fuse::FileHandle;
using fuse::LockKind;
using fuse::LockOwner;
using fuse::NodeId;
using fuse::root_node;

constexpr std::uint64_t to_end = INT64_MAX;

fuse::LockRequest posix(std::uint64_t owner,
                        short type,
                        std::uint64_t start = 0,
                        std::uint64_t end = to_end,
                        bool wait = false) {
    return {.kind = LockKind::posix,
            .owner = LockOwner{owner},
            .lock = {.start = start,
                     .end = end,
                     .type = static_cast<std::uint32_t>(type),
                     .pid = 1},
            .wait = wait};
}

fuse::LockRequest flock_of(short type, bool wait = false) {
    fuse::LockRequest request = posix(0, type, 0, to_end, wait);
    request.kind = LockKind::flock;
    return request;
}

/// A process that takes an exclusive POSIX lock on all of a file, until told to let go.
class HolderProcess {
  public:
    explicit HolderProcess(const std::string& path) {
        int ready[2];
        int go[2];
        if (::pipe(ready) != 0 || ::pipe(go) != 0) std::abort();
        pid_ = ::fork();
        if (pid_ == 0) {
            const int fd = ::open(path.c_str(), O_RDWR);
            struct flock all = {};
            all.l_type = F_WRLCK;
            all.l_whence = SEEK_SET;
            const char result = ::fcntl(fd, F_SETLK, &all) == 0 ? 'y' : 'n';
            char order = 0;
            if (::write(ready[1], &result, 1) != 1) ::_exit(1);
            ::close(go[1]);
            static_cast<void>(::read(go[0], &order, 1));
            ::_exit(0);
        }
        ::close(go[0]);
        go_.reset(go[1]);
        ::close(ready[1]);
        const UniqueFd from(ready[0]);
        char result = 0;
        has_it_ = ::read(from.get(), &result, 1) == 1 && result == 'y';
    }
    ~HolderProcess() { end(); }
    [[nodiscard]] bool has_it() const { return has_it_; }
    void end() {
        if (!go_) return;
        go_.reset();
        ::waitpid(pid_, nullptr, 0);
    }

  private:
    pid_t pid_ = 0;
    UniqueFd go_;
    bool has_it_ = false;
};

class MirrorLocks : public MirrorTest {
  protected:
    MirrorLocks() {
        host_write("file", "0123456789");
        reserve({});
    }
    void reserve(MirrorOptions options) {
        serve(std::move(options));
        node_ = guest_->lookup(root_node, "file")->node;
        handle_ = guest_->open(node_, O_RDWR).value();
    }
    Result<void> lock(fuse::LockRequest request) {
        return guest_->setlk(node_, handle_, request);
    }
    std::uint32_t blocker_of(fuse::LockRequest request) {
        return guest_->run(fs().getlk(guest_->context, node_, handle_, request))->type;
    }
    bool host_can_lock() { return HolderProcess(host("file")).has_it(); }

    NodeId node_{};
    FileHandle handle_{};
};
DPFS_ON_ALL_SETTINGS(MirrorLocks);

TEST_P(MirrorLocks, keeps_owners_of_one_tenant_apart) {
    ASSERT_TRUE(lock(posix(1, F_WRLCK, 0, 4)));

    EXPECT_EQ(lock(posix(2, F_RDLCK, 4, 9)).error(), Errno::again);
    EXPECT_TRUE(lock(posix(2, F_WRLCK, 5, 9)));
    EXPECT_TRUE(lock(posix(1, F_RDLCK, 0, 4)));  // its own, changed
    EXPECT_TRUE(lock(posix(2, F_RDLCK, 0, 4)));  // shared now
}

TEST_P(MirrorLocks, are_real_for_other_processes) {
    ASSERT_TRUE(lock(posix(1, F_WRLCK)));
    EXPECT_FALSE(host_can_lock());

    ASSERT_TRUE(lock(posix(1, F_UNLCK)));
    EXPECT_TRUE(host_can_lock());
}

TEST_P(MirrorLocks, respect_those_of_other_processes) {
    HolderProcess holder(host("file"));
    ASSERT_TRUE(holder.has_it());

    EXPECT_EQ(lock(posix(1, F_RDLCK)).error(), Errno::again);
    EXPECT_EQ(blocker_of(posix(1, F_RDLCK)), std::uint32_t{F_WRLCK});
    holder.end();
    EXPECT_TRUE(lock(posix(1, F_RDLCK)));
}

TEST_P(MirrorLocks, hold_between_two_shares_of_a_directory) {
    const auto other_fs = make({});
    Guest other(*other_fs, reactor());
    const NodeId node = other.lookup(root_node, "file")->node;
    const FileHandle handle = other.open(node, O_RDWR).value();
    ASSERT_TRUE(lock(posix(1, F_WRLCK)));
    ASSERT_TRUE(lock(flock_of(F_WRLCK)));

    // The same owner number means somebody else in another tenant.
    EXPECT_EQ(other.setlk(node, handle, posix(1, F_WRLCK)).error(), Errno::again);
    EXPECT_EQ(other.setlk(node, handle, flock_of(F_RDLCK)).error(), Errno::again);
    ASSERT_TRUE(lock(posix(1, F_UNLCK)));
    ASSERT_TRUE(lock(flock_of(F_UNLCK)));
    EXPECT_TRUE(other.setlk(node, handle, posix(1, F_WRLCK)));
    EXPECT_TRUE(other.setlk(node, handle, flock_of(F_RDLCK)));
}

TEST_P(MirrorLocks, say_who_is_in_the_way) {
    ASSERT_TRUE(lock(posix(1, F_WRLCK, 2, 5)));

    const auto found =
        guest_->run(fs().getlk(guest_->context, node_, handle_, posix(2, F_RDLCK)));

    ASSERT_TRUE(found);
    EXPECT_EQ(found->type, std::uint32_t{F_WRLCK});
    EXPECT_EQ(found->start, 2u);
    EXPECT_EQ(found->end, 5u);
    EXPECT_EQ(blocker_of(posix(1, F_WRLCK)), std::uint32_t{F_UNLCK});  // its own
    EXPECT_EQ(blocker_of(posix(2, F_WRLCK, 6, 9)), std::uint32_t{F_UNLCK});
}

TEST_P(MirrorLocks, name_the_tenants_process_that_has_them) {
    fuse::LockRequest first = posix(1, F_RDLCK, 2, 5);
    first.lock.pid = 111;
    fuse::LockRequest second = posix(2, F_RDLCK, 7, 9);
    second.lock.pid = 222;
    ASSERT_TRUE(lock(first));
    ASSERT_TRUE(lock(second));
    const auto pid_for = [&](std::uint64_t start, std::uint64_t end) {
        const fuse::LockRequest wanted = posix(3, F_WRLCK, start, end);
        return guest_->run(fs().getlk(guest_->context, node_, handle_, wanted))->pid;
    };

    EXPECT_EQ(pid_for(0, 3), 111u);
    EXPECT_EQ(pid_for(6, 8), 222u);
    EXPECT_EQ(pid_for(20, 30), 0u);
    ASSERT_TRUE(guest_->run(fs().flush(guest_->context, node_, handle_, LockOwner{1})));
    ASSERT_TRUE(guest_->run(fs().flush(guest_->context, node_, handle_, LockOwner{2})));
    const HolderProcess stranger(host("file"));
    EXPECT_EQ(pid_for(0, 3), 0u);
}

TEST_P(MirrorLocks, go_with_flush_and_release) {
    ASSERT_TRUE(lock(posix(1, F_WRLCK)));
    ASSERT_TRUE(guest_->run(fs().flush(guest_->context, node_, handle_, LockOwner{1})));
    EXPECT_TRUE(host_can_lock());

    ASSERT_TRUE(lock(posix(2, F_WRLCK)));
    ASSERT_TRUE(lock(flock_of(F_WRLCK)));
    const fuse::ReleaseRequest request = {
        .flags = 0, .posix_owner = LockOwner{2}, .flock_unlock = true};
    ASSERT_TRUE(guest_->run(fs().release(guest_->context, node_, handle_, request)));
    EXPECT_TRUE(host_can_lock());
    const UniqueFd fd(::open(host("file").c_str(), O_RDWR));
    EXPECT_EQ(::flock(fd.get(), LOCK_EX | LOCK_NB), 0);
}

TEST_P(MirrorLocks, of_an_open_file_description_go_with_its_release) {
    // The tenant's F_OFD_SETLK: its owner is never flushed.
    ASSERT_TRUE(lock(posix(77, F_WRLCK)));

    ASSERT_TRUE(guest_->release(node_, handle_));

    EXPECT_TRUE(host_can_lock());
}

// Linux sends FLUSH and then RELEASE for each close(2); a thread of the same process may have
// locked, or wait, through another descriptor meanwhile.
TEST_P(MirrorLocks, of_a_process_outlive_the_release_of_one_of_its_handles) {
    const FileHandle other = guest_->open(node_, O_RDWR).value();
    ASSERT_TRUE(lock(posix(1, F_WRLCK, 0, 0)));
    ASSERT_TRUE(guest_->setlk(node_, other, posix(1, F_WRLCK, 1, 1)));

    ASSERT_TRUE(guest_->release(node_, handle_));

    EXPECT_FALSE(host_can_lock());
    EXPECT_TRUE(guest_->release(node_, other));
}

TEST_P(MirrorLocks, go_with_the_tenant) {
    ASSERT_TRUE(lock(posix(1, F_WRLCK)));

    guest_->run(fs().destroy(reactor()));

    EXPECT_TRUE(host_can_lock());
}

TEST_P(MirrorLocks, are_checked) {
    EXPECT_EQ(lock(posix(1, F_WRLCK, 5, 4)).error(), Errno::invalid);
    EXPECT_EQ(lock(posix(1, F_WRLCK, ~std::uint64_t{0}, ~std::uint64_t{0})).error(),
              Errno::overflow);
    EXPECT_EQ(lock(posix(1, 17)).error(), Errno::invalid);
    EXPECT_EQ(lock(flock_of(17)).error(), Errno::invalid);
    EXPECT_TRUE(lock(posix(9, F_UNLCK)));  // none there: as Linux
    EXPECT_EQ(guest_->setlk(node_, FileHandle{7}, posix(1, F_RDLCK)).error(),
              Errno::bad_descriptor);
}

TEST_P(MirrorLocks, are_limited) {
    reserve({.lock_count_max = 3});
    for (std::uint64_t owner = 1; owner <= 3; ++owner) {
        ASSERT_TRUE(lock(posix(owner, F_RDLCK)));
    }

    EXPECT_EQ(lock(posix(4, F_RDLCK)).error(), Errno::no_locks);
    EXPECT_EQ(lock(posix(3, F_WRLCK, 0, to_end, true)).error(), Errno::no_locks);
    ASSERT_TRUE(guest_->run(fs().flush(guest_->context, node_, handle_, LockOwner{1})));
    EXPECT_TRUE(lock(posix(4, F_RDLCK)));
}

// --- waiting

Task<void> wait_and_note(MirrorFs& fs,
                         fuse::Context& context,
                         NodeId node,
                         FileHandle handle,
                         fuse::LockRequest request,
                         std::vector<std::uint64_t>& granted) {
    const auto locked = co_await fs.setlk(context, node, handle, request);
    if (locked) granted.push_back(static_cast<std::uint64_t>(request.owner));
    // Lets the next one in.
    request.lock.type = F_UNLCK;
    request.wait = false;
    static_cast<void>(co_await fs.setlk(context, node, handle, request));
}

Task<std::vector<std::uint64_t>> queue_up(MirrorFs& fs,
                                          fuse::Context& context,
                                          NodeId node,
                                          FileHandle handle) {
    const fuse::LockRequest held = posix(100, F_WRLCK);
    static_cast<void>(co_await fs.setlk(context, node, handle, held));
    std::vector<std::uint64_t> granted;
    Gate gate;
    for (std::uint64_t owner = 1; owner <= 4; ++owner) {
        const fuse::LockRequest wanted = posix(owner, F_WRLCK, 0, to_end, true);
        gate.spawn(wait_and_note(fs, context, node, handle, wanted, granted));
        co_await context.reactor.sleep(milliseconds(5));  // so that they queue in this order
    }
    const fuse::LockRequest release = posix(100, F_UNLCK);
    static_cast<void>(co_await fs.setlk(context, node, handle, release));
    co_await gate.close();
    co_return granted;
}

TEST_P(MirrorLocks, are_granted_first_come_first_served) {
    const auto granted = guest_->run(queue_up(fs(), guest_->context, node_, handle_));

    // In order where attempts cannot block; else each tries for itself.
    ASSERT_EQ(granted.size(), 4u);
    EXPECT_TRUE(GetParam().always_async || std::ranges::is_sorted(granted));
}

Task<std::size_t> wait_for_process(MirrorFs& fs,
                                   fuse::Context& context,
                                   NodeId node,
                                   FileHandle handle,
                                   HolderProcess& holder) {
    std::vector<std::uint64_t> granted;
    Gate gate;
    const fuse::LockRequest wanted = posix(1, F_WRLCK, 0, to_end, true);
    gate.spawn(wait_and_note(fs, context, node, handle, wanted, granted));
    co_await context.reactor.sleep(milliseconds(10));
    if (!granted.empty()) co_return 0;
    holder.end();
    co_await gate.close();
    co_return granted.size();
}

TEST_P(MirrorLocks, are_got_soon_after_another_process_has_ended) {
    HolderProcess holder(host("file"));
    ASSERT_TRUE(holder.has_it());

    EXPECT_EQ(guest_->run(wait_for_process(fs(), guest_->context, node_, handle_, holder)), 1u);
}

TEST_P(MirrorLocks, are_given_up_after_the_wait_limit) {
    reserve({.lock_wait_max = milliseconds(50)});
    const HolderProcess holder(host("file"));
    ASSERT_TRUE(holder.has_it());

    EXPECT_EQ(lock(posix(1, F_WRLCK, 0, to_end, true)).error(), Errno::deadlock);
    EXPECT_EQ(lock(posix(1, F_RDLCK, 0, to_end, true)).error(), Errno::deadlock);
}

Task<Result<void>> cancel_soon(MirrorFs& fs,
                               fuse::Context& context,
                               NodeId node,
                               FileHandle handle) {
    std::vector<std::uint64_t> granted;
    Gate gate;
    const fuse::LockRequest wanted = posix(1, F_WRLCK, 0, to_end, true);
    gate.spawn(wait_and_note(fs, context, node, handle, wanted, granted));
    co_await context.reactor.sleep(milliseconds(10));
    context.cancel.cancel();
    co_await gate.close();
    if (granted.empty()) co_return fail(Errno::interrupted);
    co_return Result<void>();
}

TEST_P(MirrorLocks, are_given_up_when_the_request_is_cancelled) {
    const HolderProcess holder(host("file"));
    ASSERT_TRUE(holder.has_it());

    EXPECT_EQ(guest_->run(cancel_soon(fs(), guest_->context, node_, handle_)).error(),
              Errno::interrupted);
    guest_->cancel.reset();
}

Task<Result<void>> flock_by_two(MirrorFs& fs,
                                fuse::Context& context,
                                NodeId node,
                                std::array<FileHandle, 2> handles) {
    const fuse::LockRequest wanted = flock_of(F_WRLCK);
    const auto first = co_await fs.setlk(context, node, handles[0], wanted);
    if (!first) co_return first;
    std::vector<std::uint64_t> granted;
    Gate gate;
    const fuse::LockRequest waiting = flock_of(F_WRLCK, true);
    gate.spawn(wait_and_note(fs, context, node, handles[1], waiting, granted));
    co_await context.reactor.sleep(milliseconds(5));
    if (!granted.empty()) co_return fail(Errno::busy);
    // Released with the handle, as close(2) does.
    const fuse::ReleaseRequest request = {
        .flags = 0, .posix_owner = std::nullopt, .flock_unlock = true};
    static_cast<void>(co_await fs.release(context, node, handles[0], request));
    co_await gate.close();
    if (granted.empty()) co_return fail(Errno::again);
    co_return Result<void>();
}

TEST_P(MirrorLocks, of_flock_wait_for_the_handle_that_has_it) {
    const std::array handles = {guest_->open(node_, O_RDWR).value(),
                                guest_->open(node_, O_RDWR).value()};

    EXPECT_TRUE(guest_->run(flock_by_two(fs(), guest_->context, node_, handles)));
}

}  // namespace
}  // namespace dpfs::mirror
