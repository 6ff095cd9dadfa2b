// SPDX-License-Identifier: Apache-2.0
#include "base/assert.hpp"
#include "fuse/answer.hpp"
#include "fuse/reply.hpp"
#include "fuse/session.hpp"

#include <fcntl.h>

namespace dpfs::fuse {
namespace {

/// An error after the first entry is not told: the tenant would throw the entries away, and
/// with them references that it has been given. It asks again from where they end, and gets it
/// then.
Result<std::size_t> listing_size(Call& call, const Result<void>& result) {
    DPFS_ASSERT(call.directory.has_value());
    const std::size_t size = call.directory->size();
    call.directory.reset();
    if (!result && size == 0) return fail(result.error());
    return size;
}

Answer list_later(Call& call, Task<Result<void>> started) {
    const Result<void> result = co_await started.join();
    co_return listing_size(call, result);
}

Answer list(Session& session, Call& call, bool plus) {
    const auto in = call.arguments.take<wire::ReadIn>();
    if (!in) return refuse(in.error());
    call.directory.emplace(call.payload, in->size, plus);

    FileSystem& files = session.file_system();
    const FileHandle handle{in->fh};
    auto task =
        plus ? files.readdirplus(call.context, call.node(), handle, in->offset, *call.directory)
             : files.readdir(call.context, call.node(), handle, in->offset, *call.directory);
    if (!task.start()) return list_later(call, std::move(task));
    return Answer::ready(listing_size(call, task.take()));
}

}  // namespace

/// FUSE_OPENDIR (27). As OPEN. ENOSYS with FUSE_NO_OPENDIR_SUPPORT: Linux opens by itself.
Answer op::opendir(Session& session, Call& call) {
    const auto in = call.arguments.take<wire::OpenIn>();
    if (!in) return refuse(in.error());
    constexpr std::uint32_t not_for_open = O_CREAT | O_EXCL | O_NOCTTY;
    const OpenRequest request{.flags = in->flags & ~not_for_open};
    return answer<OpenReply>(
        call,
        session.file_system().opendir(call.context, call.node(), request),
        [](Call& to, const OpenReply& reply) { return to.put(to_wire(reply)); });
}

/// FUSE_READDIR (28). In: read_in; `offset` is 0 or an entry's `off`. Out: dirents, as many as
/// fit into `size` and into the reply; none mean the end.
Answer op::readdir(Session& session, Call& call) {
    return list(session, call, false);
}

/// FUSE_READDIRPLUS (44). The same with an entry_out before each: a reference for each but
/// those with nodeid 0.
Answer op::readdirplus(Session& session, Call& call) {
    return list(session, call, true);
}

/// FUSE_RELEASEDIR (29). In: release_in.
Answer op::releasedir(Session& session, Call& call) {
    const auto in = call.arguments.take<wire::ReleaseIn>();
    if (!in) return refuse(in.error());
    return answer(
        session.file_system().releasedir(call.context, call.node(), FileHandle{in->fh}));
}

/// FUSE_FSYNCDIR (30). In: fsync_in.
Answer op::fsyncdir(Session& session, Call& call) {
    const auto in = call.arguments.take<wire::FsyncIn>();
    if (!in) return refuse(in.error());
    return answer(
        session.file_system().fsyncdir(call.context,
                                       call.node(),
                                       FileHandle{in->fh},
                                       (in->fsync_flags & wire::fsync_fdatasync) != 0));
}

}  // namespace dpfs::fuse
