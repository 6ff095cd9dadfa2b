// SPDX-License-Identifier: Apache-2.0
#include "fuse/answer.hpp"
#include "fuse/extensions.hpp"
#include "fuse/reply.hpp"
#include "fuse/session.hpp"

#include <climits>

#include <fcntl.h>
#include <sys/stat.h>

namespace dpfs::fuse {
namespace {

constexpr std::uint32_t permission_bits = 07777;

/// The area of extensions behind a request's names. Before 7.38 the header did not count it;
/// then whatever is behind the names is one, where FUSE_SECURITY_CTX is in force. Must be
/// called before the names are taken (it cuts the area off), and finished by
/// rest_is_extensions().
Result<std::string_view> cut_extensions(const Call& call, Text& text) {
    return text.take_tail(std::size_t{call.header.total_extlen} * 8);
}

/// Takes the security context, and the groups into the call's context. What is left behind the
/// names must be nothing, or the old form of an extension.
Result<SecurityContext> finish_extensions(Session& session,
                                          Call& call,
                                          Text& text,
                                          std::string_view extensions) {
    if (!text.left().empty()) {
        const bool old_form = call.header.total_extlen == 0 &&
                              session.negotiation().has(wire::init::security_ctx);
        if (!old_form) return fail(Errno::invalid);
        extensions = text.left();
    }
    return parse_extensions(extensions, call.context.caller);
}

struct NameAndSecurity {
    Name name;
    SecurityContext security;
};

/// What follows the fixed arguments of MKNOD, MKDIR and CREATE.
Result<NameAndSecurity> take_name_and_security(Session& session, Call& call) {
    Text text = call.take_text();
    const auto extensions = cut_extensions(call, text);
    if (!extensions) return fail(extensions.error());
    const auto name = text.name();
    if (!name) return fail(name.error());
    const auto security = finish_extensions(session, call, text, *extensions);
    if (!security) return fail(security.error());
    return NameAndSecurity{*name, *security};
}

Result<std::size_t> put_entry(Call& call, const Entry& entry) {
    return call.put(to_wire(entry));
}

Result<std::size_t> put_created(Call& call, const Created& created) {
    const auto entry = call.put(to_wire(created.entry));
    if (!entry) return entry;
    const auto open = call.put(to_wire(created.open));
    if (!open) return open;
    return *entry + *open;
}

CreateRequest to_request(const wire::CreateIn& in, SecurityContext security) {
    return {.flags = in.flags,
            .mode = in.mode & permission_bits,
            .umask = in.umask & 0777,
            .kill_suid_gid = (in.open_flags & wire::open_kill_suidgid) != 0,
            .security = security};
}

bool is_file_type(std::uint32_t mode) {
    const std::uint32_t type = mode & S_IFMT;
    return type == S_IFREG || type == S_IFCHR || type == S_IFBLK || type == S_IFIFO ||
           type == S_IFSOCK;
}

}  // namespace

/// FUSE_MKNOD (8). In: mknod_in, name, extensions. Out: entry_out.
/// Errors: as LOOKUP for the name; EINVAL for a type that mknod(2) does not make (0 is a file).
Answer op::mknod(Session& session, Call& call) {
    const auto in = call.arguments.take<wire::MknodIn>();
    if (!in) return refuse(in.error());
    const auto rest = take_name_and_security(session, call);
    if (!rest) return refuse(rest.error());

    const std::uint32_t mode = (in->mode & S_IFMT) != 0 ? in->mode : in->mode | S_IFREG;
    if (!is_file_type(mode)) return refuse(Errno::invalid);
    const MakeRequest request{.mode = mode & (S_IFMT | permission_bits),
                              .umask = in->umask & 0777,
                              .rdev = in->rdev,
                              .security = rest->security};
    return answer<Entry>(
        call,
        session.file_system().mknod(call.context, call.node(), rest->name, request),
        put_entry);
}

/// FUSE_MKDIR (9). In: mkdir_in, name, extensions. Out: entry_out.
Answer op::mkdir(Session& session, Call& call) {
    const auto in = call.arguments.take<wire::MkdirIn>();
    if (!in) return refuse(in.error());
    const auto rest = take_name_and_security(session, call);
    if (!rest) return refuse(rest.error());

    const MakeRequest request{.mode = in->mode & permission_bits,
                              .umask = in->umask & 0777,
                              .security = rest->security};
    return answer<Entry>(
        call,
        session.file_system().mkdir(call.context, call.node(), rest->name, request),
        put_entry);
}

/// FUSE_SYMLINK (6). In: the link's name, its target, extensions. Out: entry_out.
/// Errors: as LOOKUP for the name; ENOENT (empty target), ENAMETOOLONG (4096 bytes and more),
/// as symlink(2).
Answer op::symlink(Session& session, Call& call) {
    Text text = call.take_text();
    const auto extensions = cut_extensions(call, text);
    if (!extensions) return refuse(extensions.error());
    const auto name = text.name();
    if (!name) return refuse(name.error());
    const auto target = text.string(PATH_MAX - 1);
    if (!target) return refuse(target.error());
    if (target->empty()) return refuse(Errno::no_entry);
    const auto security = finish_extensions(session, call, text, *extensions);
    if (!security) return refuse(security.error());

    return answer<Entry>(
        call,
        session.file_system().symlink(call.context, call.node(), *name, *target, *security),
        put_entry);
}

/// FUSE_LINK (13). In: link_in (the inode), name; in_header.nodeid is the new directory. Out:
/// entry_out, of the same inode, with one more reference.
Answer op::link(Session& session, Call& call) {
    const auto in = call.arguments.take<wire::LinkIn>();
    if (!in) return refuse(in.error());
    Text text = call.take_text();
    const auto name = text.name();
    if (!name) return refuse(name.error());
    if (const auto end = text.end(); !end) return refuse(end.error());

    return answer<Entry>(
        call,
        session.file_system().link(call.context, NodeId{in->oldnodeid}, call.node(), *name),
        put_entry);
}

/// FUSE_CREATE (35). In: create_in, name, extensions. Out: entry_out, open_out: an inode that
/// did not exist (or did, without O_EXCL), and a handle to it.
Answer op::create(Session& session, Call& call) {
    const auto in = call.arguments.take<wire::CreateIn>();
    if (!in) return refuse(in.error());
    const auto rest = take_name_and_security(session, call);
    if (!rest) return refuse(rest.error());

    return answer<Created>(
        call,
        session.file_system().create(
            call.context, call.node(), rest->name, to_request(*in, rest->security)),
        put_created);
}

/// FUSE_TMPFILE (51). As CREATE, but the name means nothing (Linux sends "/").
Answer op::tmpfile(Session& session, Call& call) {
    const auto in = call.arguments.take<wire::CreateIn>();
    if (!in) return refuse(in.error());
    Text text = call.take_text();
    const auto extensions = cut_extensions(call, text);
    if (!extensions) return refuse(extensions.error());
    if (!text.left().empty()) {
        if (const auto name = text.string(Name::size_max); !name) return refuse(name.error());
    }
    const auto security = finish_extensions(session, call, text, *extensions);
    if (!security) return refuse(security.error());

    return answer<Created>(
        call,
        session.file_system().tmpfile(call.context, call.node(), to_request(*in, *security)),
        put_created);
}

}  // namespace dpfs::fuse
