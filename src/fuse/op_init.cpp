// SPDX-License-Identifier: Apache-2.0
#include "fuse/answer.hpp"
#include "fuse/lane.hpp"
#include "fuse/session.hpp"
#include "fuse/wire_file.hpp"

#include <algorithm>

namespace dpfs::fuse {
namespace {

Answer end_mount(Session& session, Call& call) {
    co_await session.destroy(call.context.reactor);
    co_return std::size_t{0};
}

}  // namespace

/// FUSE_INIT (26): a mount begins. Answered when the file system is ready, whatever that takes.
/// One that is there already ends: its kernel is gone, or it would not ask.
///
/// In       init_in: 16 bytes, or 64 since 7.36; bytes beyond are ignored.
/// Out      init_out: 64 bytes, 24 before 7.23. To a newer major version: ours, and the tenant
///          asks again with that.
/// Errors   EPROTO  older than 7.12;
///          EIO     no room for the reply;
///          others  from the file system, which may be asked again.
Answer op::init(Session& session, Call& call) {
    wire::InitIn in{};
    const auto bytes = std::as_writable_bytes(std::span(&in, 1));
    const std::size_t size = std::min(call.arguments.left(), sizeof(in));
    if (const auto taken = call.arguments.copy_out(bytes.first(size)); !taken) {
        return refuse(taken.error());
    }
    return session.initialise(call, in);
}

/// FUSE_DESTROY (38): a mount ends. Answered when everything under way has ended; blocked lock
/// waits are ended early.
Answer op::destroy(Session& session, Call& call) {
    return end_mount(session, call);
}

/// FUSE_INTERRUPT (36): the process that waits for request `unique` got a signal. The request's
/// waits end, and it is answered as it then comes out (EINTR as a rule). No reply: Linux
/// expects none, and neither is one sent for a number that is not under way (/dev/fuse would
/// send the INTERRUPT again after EAGAIN; virtio has no such rule).
Answer op::interrupt(Session& session, Call& call) {
    const auto in = call.arguments.take<wire::InterruptIn>();
    if (!in) return refuse(in.error());
    return session.interrupt(call.context.reactor, in->unique);
}

}  // namespace dpfs::fuse
