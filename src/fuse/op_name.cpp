// SPDX-License-Identifier: Apache-2.0
#include "fuse/answer.hpp"
#include "fuse/session.hpp"
#include "fuse/wire_inode.hpp"

#include <linux/fs.h>

namespace dpfs::fuse {
namespace {

constexpr std::uint32_t rename_flags = RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT;

Result<Name> take_only_name(Call& call) {
    Text text = call.take_text();
    const auto name = text.name();
    if (!name) return fail(name.error());
    if (const auto end = text.end(); !end) return fail(end.error());
    return *name;
}

/// Both names follow the fixed arguments, old one first.
Answer rename_to(Session& session, Call& call, NodeId new_parent, std::uint32_t flags) {
    Text text = call.take_text();
    const auto name = text.name();
    if (!name) return refuse(name.error());
    const auto new_name = text.name();
    if (!new_name) return refuse(new_name.error());
    if (const auto end = text.end(); !end) return refuse(end.error());

    return answer(session.file_system().rename(
        call.context, call.node(), *name, new_parent, *new_name, flags));
}

}  // namespace

/// FUSE_UNLINK (10). In: name. Errors: as LOOKUP for the name; others as the file system's.
Answer op::unlink(Session& session, Call& call) {
    const auto name = take_only_name(call);
    if (!name) return refuse(name.error());
    return answer(session.file_system().unlink(call.context, call.node(), *name));
}

/// FUSE_RMDIR (11). As UNLINK.
Answer op::rmdir(Session& session, Call& call) {
    const auto name = take_only_name(call);
    if (!name) return refuse(name.error());
    return answer(session.file_system().rmdir(call.context, call.node(), *name));
}

/// FUSE_RENAME (12). In: rename_in, old name, new name. Errors: as LOOKUP for both.
Answer op::rename(Session& session, Call& call) {
    const auto in = call.arguments.take<wire::RenameIn>();
    if (!in) return refuse(in.error());
    return rename_to(session, call, NodeId{in->newdir}, 0);
}

/// FUSE_RENAME2 (45). As RENAME, with flags. Errors: EINVAL for flags that renameat2(2) does
/// not know, and for RENAME_EXCHANGE together with another.
Answer op::rename2(Session& session, Call& call) {
    const auto in = call.arguments.take<wire::Rename2In>();
    if (!in) return refuse(in.error());
    if ((in->flags & ~rename_flags) != 0) return refuse(Errno::invalid);
    if ((in->flags & RENAME_EXCHANGE) != 0 && in->flags != RENAME_EXCHANGE) {
        return refuse(Errno::invalid);
    }
    return rename_to(session, call, NodeId{in->newdir}, in->flags);
}

}  // namespace dpfs::fuse
