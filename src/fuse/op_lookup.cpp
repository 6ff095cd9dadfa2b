// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "fuse/answer.hpp"
#include "fuse/reply.hpp"
#include "fuse/session.hpp"
#include "fuse/wire_inode.hpp"

#include <algorithm>
#include <array>
#include <new>

namespace dpfs::fuse {
namespace {

/// A bounded number of references at a time: a request may bring as many as its descriptors
/// hold.
constexpr std::size_t batch_count_max = 64;

Answer forget_later(Task<void> forgotten) {
    co_await std::move(forgotten);
    co_return std::size_t{0};
}

Answer forget_batches(Session& session, Call& call, std::uint32_t count) {
    std::array<Forget, batch_count_max> batch{};
    while (count > 0) {
        const std::size_t size = std::min<std::size_t>(count, batch.size());
        for (Forget& forgotten : std::span(batch).first(size)) {
            const auto one = co_await or_return(call.arguments.take<wire::ForgetOne>());
            forgotten = {.node = NodeId{one.nodeid}, .count = one.nlookup};
        }
        co_await session.file_system().forget(call.context, std::span(batch).first(size));
        count -= static_cast<std::uint32_t>(size);
    }
    co_return std::size_t{0};
}

}  // namespace

/// FUSE_LOOKUP (1).
///
/// In       name with its NUL, after in_header; the parent is in_header.nodeid.
/// Out      entry_out. The tenant then owns one reference, and returns it with FUSE_FORGET.
///          An entry with nodeid 0 is a cacheable "no such name".
/// Errors   EINVAL        the name is empty, has no NUL or one inside, '/', or is "." or "..":
///                        Linux sends the last two for NFS exports only, which
///                        FUSE_EXPORT_SUPPORT would have to ask for;
///          ENAMETOOLONG  more than 255 bytes;
///          others        as the file system gave them.
/// Source   include/uapi/linux/fuse.h; fs/fuse/dir.c, fuse_lookup_init.
Answer op::lookup(Session& session, Call& call) {
    Text text = call.take_text();
    const auto name = text.name();
    if (!name) return refuse(name.error());
    if (const auto end = text.end(); !end) return refuse(end.error());
    return answer<Entry>(call,
                         session.file_system().lookup(call.context, call.node(), *name),
                         [](Call& to, const Entry& entry) { return to.put(to_wire(entry)); });
}

/// FUSE_FORGET (2): the tenant gives `nlookup` references to in_header.nodeid back. No reply.
Answer op::forget(Session& session, Call& call) {
    const auto in = call.arguments.take<wire::ForgetIn>();
    if (!in) return refuse(in.error());

    const Forget one{.node = call.node(), .count = in->nlookup};
    // The file system may look at it after a wait: it lives in the call.
    const auto kept = call.output.get(sizeof(one));
    Forget* const forgotten = ::new (kept.data()) Forget(one);
    auto task = session.file_system().forget(call.context, std::span(forgotten, 1));
    if (task.is_ready()) return Answer::ready(std::size_t{0});
    return forget_later(std::move(task));
}

/// FUSE_BATCH_FORGET (42): `count` pairs of nodeid and nlookup follow. A request that is
/// shorter than it says is not believed at all. No reply. Linux does not send it over
/// virtio-fs.
Answer op::batch_forget(Session& session, Call& call) {
    const auto in = call.arguments.take<wire::BatchForgetIn>();
    if (!in) return refuse(in.error());
    if (call.arguments.left() / sizeof(wire::ForgetOne) < in->count) {
        return refuse(Errno::invalid);
    }
    return forget_batches(session, call, in->count);
}

}  // namespace dpfs::fuse
