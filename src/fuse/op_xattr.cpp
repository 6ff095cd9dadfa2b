// SPDX-License-Identifier: Apache-2.0
#include "fuse/answer.hpp"
#include "fuse/session.hpp"
#include "fuse/wire_inode.hpp"

#include <algorithm>
#include <linux/limits.h>
#include <sys/xattr.h>

namespace dpfs::fuse {
namespace {

/// Room for the name, with its NUL, before the largest value.
constexpr std::size_t setxattr_text_size_max = XATTR_NAME_MAX + 1 + XATTR_SIZE_MAX;

/// What GETXATTR and LISTXATTR answer: the bytes, or, where none were asked for, how many there
/// would be.
Result<std::size_t> put_size(Call& call, const std::size_t& size) {
    return call.put(wire::GetxattrOut{.size = static_cast<std::uint32_t>(size), .padding = 0});
}

Result<std::size_t> put_value(Call& call, const std::size_t& size) {
    return call.put_bytes(call.output.get(size));
}

/// As much as the tenant asks for, has room for, and an attribute or a list of them can have.
/// Error: EINVAL, where the room is less than what it asks for.
Result<std::span<std::byte>> output_for(Call& call, std::uint32_t size) {
    call.payload_size_max = size == 0 ? sizeof(wire::GetxattrOut) : size;
    if (call.payload_size_max > call.payload.left()) return fail(Errno::invalid);
    return call.output.get(std::min<std::size_t>(size, XATTR_SIZE_MAX));
}

Result<wire::SetxattrIn> take_setxattr_in(Session& session, Call& call) {
    if (session.negotiation().has(wire::init::setxattr_ext)) {
        return call.arguments.take<wire::SetxattrIn>();
    }
    wire::SetxattrIn in{};
    const auto bytes = std::as_writable_bytes(std::span(&in, 1));
    if (const auto taken = call.arguments.copy_out(bytes.first(wire::compat_setxattr_in_size));
        !taken) {
        return fail(taken.error());
    }
    return in;
}

}  // namespace

/// FUSE_SETXATTR (21).
///
/// In       setxattr_in (its first half only, without FUSE_SETXATTR_EXT), name, value.
/// Errors   EINVAL  unknown flags, or a value that is not as long as it says;
///          ERANGE  an empty name, or one of more than 255 bytes;
///          E2BIG   a value of more than 64 KiB; all as setxattr(2).
Answer op::setxattr(Session& session, Call& call) {
    const auto in = take_setxattr_in(session, call);
    if (!in) return refuse(in.error());
    if ((in->flags & ~std::uint32_t{XATTR_CREATE | XATTR_REPLACE}) != 0) {
        return refuse(Errno::invalid);
    }
    if (in->size > XATTR_SIZE_MAX) return refuse(Errno::too_big);

    Text text = call.take_text(setxattr_text_size_max);
    const auto name = text.xattr_name();
    if (!name) return refuse(name.error());
    if (text.left().size() != in->size) return refuse(Errno::invalid);
    return answer(session.file_system().setxattr(
        call.context,
        call.node(),
        *name,
        std::as_bytes(std::span(text.left())),
        in->flags,
        (in->setxattr_flags & wire::setxattr_acl_kill_sgid) != 0));
}

/// FUSE_GETXATTR (22). In: getxattr_in, name. Out: the value; for `size` 0: getxattr_out.
/// Errors: ERANGE (the name; the value is longer than `size`), ENODATA, from the file system.
Answer op::getxattr(Session& session, Call& call) {
    const auto in = call.arguments.take<wire::GetxattrIn>();
    if (!in) return refuse(in.error());
    Text text = call.take_text();
    const auto name = text.xattr_name();
    if (!name) return refuse(name.error());
    if (const auto end = text.end(); !end) return refuse(end.error());
    const auto value = output_for(call, in->size);
    if (!value) return refuse(value.error());

    return answer<std::size_t>(
        call,
        session.file_system().getxattr(call.context, call.node(), *name, *value),
        in->size == 0 ? put_size : put_value);
}

/// FUSE_LISTXATTR (23). In: getxattr_in. Out: the names, each with its NUL; for `size` 0:
/// getxattr_out.
Answer op::listxattr(Session& session, Call& call) {
    const auto in = call.arguments.take<wire::GetxattrIn>();
    if (!in) return refuse(in.error());
    const auto names = output_for(call, in->size);
    if (!names) return refuse(names.error());

    return answer<std::size_t>(
        call,
        session.file_system().listxattr(call.context, call.node(), *names),
        in->size == 0 ? put_size : put_value);
}

/// FUSE_REMOVEXATTR (24). In: name. Errors: as GETXATTR.
Answer op::removexattr(Session& session, Call& call) {
    Text text = call.take_text();
    const auto name = text.xattr_name();
    if (!name) return refuse(name.error());
    if (const auto end = text.end(); !end) return refuse(end.error());
    return answer(session.file_system().removexattr(call.context, call.node(), *name));
}

}  // namespace dpfs::fuse
