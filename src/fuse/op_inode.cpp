// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "fuse/answer.hpp"
#include "fuse/reply.hpp"
#include "fuse/session.hpp"

#include <climits>

#include <algorithm>
#include <new>
#include <unistd.h>

namespace dpfs::fuse {
namespace {

namespace fattr = wire::fattr;

Result<std::size_t> put_attributes(Call& call, const TimedAttributes& attributes) {
    return call.put(to_wire(attributes));
}

std::optional<FileHandle> handle_of(std::uint32_t getattr_flags, std::uint64_t fh) {
    if ((getattr_flags & wire::getattr_fh) == 0) return std::nullopt;
    return FileHandle{fh};
}

std::optional<SetAttributes::Time> time_of(bool present,
                                           bool now,
                                           std::uint64_t seconds,
                                           std::uint32_t nanoseconds) {
    if (!present) return std::nullopt;
    return SetAttributes::Time{
        .now = now, .seconds = static_cast<std::int64_t>(seconds), .nanoseconds = nanoseconds};
}

SetAttributes to_change(const wire::SetattrIn& in) {
    const auto has = [&](std::uint32_t bit) { return (in.valid & bit) != 0; };
    SetAttributes change;
    if (has(fattr::fh)) change.handle = FileHandle{in.fh};
    if (has(fattr::mode)) change.mode = in.mode & 07777;
    if (has(fattr::uid)) change.uid = in.uid;
    if (has(fattr::gid)) change.gid = in.gid;
    if (has(fattr::size)) change.size = in.size;
    change.atime = time_of(has(fattr::atime), has(fattr::atime_now), in.atime, in.atimensec);
    change.mtime = time_of(has(fattr::mtime), has(fattr::mtime_now), in.mtime, in.mtimensec);
    change.ctime = time_of(has(fattr::ctime), false, in.ctime, in.ctimensec);
    if (has(fattr::lockowner)) change.lock_owner = LockOwner{in.lock_owner};
    change.kill_suid_gid = has(fattr::kill_suidgid);
    return change;
}

bool is_valid(const std::optional<SetAttributes::Time>& time) {
    return !time || time->now || time->nanoseconds < 1'000'000'000;
}

/// Where op::statx() keeps what the file system fills in.
struct StatxMemory {
    struct ::statx stat;
    Duration valid;
};

Answer statx_later(Call& call, Task<Result<void>> started, StatxMemory& memory) {
    co_await or_return(co_await started.join());
    co_return call.put(to_wire(memory.stat, memory.valid));
}

}  // namespace

/// FUSE_GETATTR (3). In: getattr_in. Out: attr_out.
/// Errors: ESTALE (unknown nodeid), EBADF (unknown handle), from the file system.
Answer op::getattr(Session& session, Call& call) {
    const auto in = call.arguments.take<wire::GetattrIn>();
    if (!in) return refuse(in.error());
    return answer<TimedAttributes>(
        call,
        session.file_system().getattr(
            call.context, call.node(), handle_of(in->getattr_flags, in->fh)),
        put_attributes);
}

/// FUSE_SETATTR (4). In: setattr_in; unknown bits of `valid` are ignored. Out: attr_out.
/// Errors: EINVAL for nanoseconds of 1e9 and more, and for sizes that are negative as off_t.
Answer op::setattr(Session& session, Call& call) {
    const auto in = call.arguments.take<wire::SetattrIn>();
    if (!in) return refuse(in.error());
    const SetAttributes change = to_change(*in);
    if (!is_valid(change.atime) || !is_valid(change.mtime) || !is_valid(change.ctime)) {
        return refuse(Errno::invalid);
    }
    if (change.size.value_or(0) > INT64_MAX) return refuse(Errno::invalid);
    return answer<TimedAttributes>(
        call, session.file_system().setattr(call.context, call.node(), change), put_attributes);
}

/// FUSE_STATX (52). In: statx_in. Out: statx_out. ENOSYS makes Linux use GETATTR for good.
Answer op::statx(Session& session, Call& call) {
    const auto in = call.arguments.take<wire::StatxIn>();
    if (!in) return refuse(in.error());
    // Zeroed: what a file system leaves out must not be another request's.
    StatxMemory& memory = *::new (call.output.get(sizeof(StatxMemory)).data()) StatxMemory{};
    auto task = session.file_system().statx(call.context,
                                            call.node(),
                                            handle_of(in->getattr_flags, in->fh),
                                            in->sx_flags,
                                            in->sx_mask,
                                            memory.stat,
                                            memory.valid);
    if (!task.start()) return statx_later(call, std::move(task), memory);
    if (const auto result = task.take(); !result) return refuse(result.error());
    return Answer::ready(call.put(to_wire(memory.stat, memory.valid)));
}

/// FUSE_READLINK (5). Out: the target, without a NUL, at most PATH_MAX - 1 bytes.
Answer op::readlink(Session& session, Call& call) {
    const std::size_t size_max = std::min<std::size_t>(call.payload.left(), PATH_MAX - 1);
    return answer<std::size_t>(
        call,
        session.file_system().readlink(call.context, call.node(), call.text.get(size_max)),
        [](Call& to, const std::size_t& size) {
            return to.put_bytes(std::as_bytes(to.text.get(size)));
        });
}

/// FUSE_ACCESS (34). In: access_in. Errors: EINVAL for a mask that access(2) does not know.
/// Linux does not send it with default_permissions.
Answer op::access(Session& session, Call& call) {
    const auto in = call.arguments.take<wire::AccessIn>();
    if (!in) return refuse(in.error());
    if ((in->mask & ~std::uint32_t{R_OK | W_OK | X_OK}) != 0) return refuse(Errno::invalid);
    return answer(session.file_system().access(call.context, call.node(), in->mask));
}

/// FUSE_STATFS (17). Out: statfs_out.
Answer op::statfs(Session& session, Call& call) {
    return answer<FileSystemStatus>(
        call,
        session.file_system().statfs(call.context, call.node()),
        [](Call& to, const FileSystemStatus& status) { return to.put(to_wire(status)); });
}

/// FUSE_SYNCFS (50). In: syncfs_in, which says nothing.
Answer op::syncfs(Session& session, Call& call) {
    return answer(session.file_system().syncfs(call.context, call.node()));
}

}  // namespace dpfs::fuse
