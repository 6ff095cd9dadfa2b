// SPDX-License-Identifier: Apache-2.0
#include "base/gate.hpp"
#include "fuse/answer.hpp"
#include "fuse/reply.hpp"
#include "fuse/session.hpp"
#include "reactor/reactor.hpp"

#include <fcntl.h>

namespace dpfs::fuse {
namespace {

constexpr std::uint64_t offset_max = INT64_MAX;

struct LockArguments {
    FileHandle handle;
    LockRequest request;
};

/// Errors: EINVAL, for a type that fcntl(2) does not know and for a range that is none.
Result<LockArguments> take_lock(Call& call, bool wait) {
    const auto in = call.arguments.take<wire::LkIn>();
    if (!in) return fail(in.error());
    const wire::FileLock& lock = in->lk;
    if (lock.type != F_RDLCK && lock.type != F_WRLCK && lock.type != F_UNLCK) {
        return fail(Errno::invalid);
    }
    if (lock.end > offset_max || lock.start > lock.end) return fail(Errno::invalid);
    const bool flock = (in->lk_flags & wire::lk_flock) != 0;
    return LockArguments{
        .handle = FileHandle{in->fh},
        .request = {
            .kind = flock ? LockKind::flock : LockKind::posix,
            .owner = LockOwner{in->owner},
            .lock = {.start = lock.start, .end = lock.end, .type = lock.type, .pid = lock.pid},
            .wait = wait}};
}

/// Ends the call's waits when the time is over, and says so in `*over`; itself ended by `done`.
Task<void> end_wait(Call& call, Duration time, reactor::CancelSource& done, bool* over) {
    const auto slept = co_await call.context.reactor.sleep(time, &done);
    if (!slept) co_return;
    *over = true;
    call.cancel.cancel();
}

Answer wait_for_lock(Call& call, Task<Result<void>> started, Duration time_max) {
    reactor::CancelSource done;
    Gate watch;
    bool over = false;
    watch.spawn(end_wait(call, time_max, done, &over));
    const Result<void> result = co_await started.join();
    done.cancel();
    co_await watch.close();
    if (result) co_return std::size_t{0};
    // Not EINTR: Linux makes ERESTARTSYS of it (fs/fuse/file.c, fuse_setlk), which a program
    // that no signal has come to sees as errno 512.
    const bool ended =
        result.error() == Errno::interrupted || result.error() == Errno::canceled;
    co_return fail(over && ended ? Errno::deadlock : result.error());
}

}  // namespace

/// FUSE_GETLK (31). In: lk_in. Out: lk_out: a lock that is in the way, or F_UNLCK.
Answer op::getlk(Session& session, Call& call) {
    const auto in = take_lock(call, false);
    if (!in) return refuse(in.error());
    return answer<Lock>(
        call,
        session.file_system().getlk(call.context, call.node(), in->handle, in->request),
        [](Call& to, const Lock& lock) { return to.put(to_wire(lock)); });
}

/// FUSE_SETLK (32), POSIX and flock. In: lk_in. Errors: EAGAIN, when it is held by another.
Answer op::setlk(Session& session, Call& call) {
    const auto in = take_lock(call, false);
    if (!in) return refuse(in.error());
    return answer(
        session.file_system().setlk(call.context, call.node(), in->handle, in->request));
}

/// FUSE_SETLKW (33). As SETLK, but waits until the lock is free, at most
/// SessionOptions::lock_wait_max. Errors: EDEADLK, when that is over; EINTR, when the wait was
/// ended before.
Answer op::setlkw(Session& session, Call& call) {
    const auto in = take_lock(call, true);
    if (!in) return refuse(in.error());
    auto task = session.file_system().setlk(call.context, call.node(), in->handle, in->request);
    const Duration time_max = session.options().lock_wait_max;
    if (time_max == Duration{}) return answer(std::move(task));

    if (!task.start()) return wait_for_lock(call, std::move(task), time_max);
    if (const auto result = task.take(); !result) return refuse(result.error());
    return Answer::ready(std::size_t{0});
}

}  // namespace dpfs::fuse
