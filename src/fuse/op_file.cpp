// SPDX-License-Identifier: Apache-2.0
#include "fuse/answer.hpp"
#include "fuse/reply.hpp"
#include "fuse/session.hpp"

#include <algorithm>
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

namespace dpfs::fuse {
namespace {

constexpr std::uint64_t offset_max = INT64_MAX;

/// Whether [offset, offset + size) is a range that an off_t can name.
bool is_file_range(std::uint64_t offset, std::uint64_t size) {
    return offset <= offset_max && size <= offset_max - offset;
}

Result<std::size_t> put_written(Call& call, const std::size_t& size) {
    return call.put(wire::WriteOut{.size = static_cast<std::uint32_t>(size), .padding = 0});
}

ReleaseRequest to_request(const wire::ReleaseIn& in) {
    ReleaseRequest request{
        .flags = in.flags,
        .posix_owner = std::nullopt,
        .flock_unlock = (in.release_flags & wire::release_flock_unlock) != 0};
    if ((in.release_flags & wire::release_flush) != 0) {
        request.posix_owner = LockOwner{in.lock_owner};
    }
    return request;
}

Result<CopyRequest> to_request(NodeId from, const wire::CopyFileRangeIn& in) {
    if (in.flags != 0) return fail(Errno::invalid);
    if (!is_file_range(in.off_in, in.len) || !is_file_range(in.off_out, in.len)) {
        return fail(Errno::invalid);
    }
    return CopyRequest{.from = from,
                       .from_handle = FileHandle{in.fh_in},
                       .from_offset = in.off_in,
                       .to = NodeId{in.nodeid_out},
                       .to_handle = FileHandle{in.fh_out},
                       .to_offset = in.off_out,
                       .size = in.len};
}

}  // namespace

/// FUSE_OPEN (14). In: open_in; O_CREAT, O_EXCL and O_NOCTTY are taken away (Linux has done
/// so). Out: open_out; FOPEN_PASSTHROUGH is taken away. Errors: ENOSYS with
/// FUSE_NO_OPEN_SUPPORT makes Linux open files by itself from then on.
Answer op::open(Session& session, Call& call) {
    const auto in = call.arguments.take<wire::OpenIn>();
    if (!in) return refuse(in.error());
    constexpr std::uint32_t not_for_open = O_CREAT | O_EXCL | O_NOCTTY;
    const OpenRequest request{.flags = in->flags & ~not_for_open,
                              .kill_suid_gid = (in->open_flags & wire::open_kill_suidgid) != 0};
    return answer<OpenReply>(
        call,
        session.file_system().open(call.context, call.node(), request),
        [](Call& to, const OpenReply& reply) { return to.put(to_wire(reply)); });
}

/// FUSE_READ (15): the file system puts the data where the tenant wants it.
///
/// In       read_in.
/// Out      the data; fewer bytes than asked mean the end of the file.
/// Errors   EINVAL  more than the reply has room for or than INIT allowed, or beyond what an
///                  off_t can name;
///          EBADF, ESTALE and others, from the file system.
/// Awaits   the file system, with no frame of its own.
Answer op::read(Session& session, Call& call) {
    const auto in = call.arguments.take<wire::ReadIn>();
    if (!in) return refuse(in.error());
    if (in->size > session.negotiation().read_size_max()) return refuse(Errno::invalid);
    if (!is_file_range(in->offset, in->size)) return refuse(Errno::invalid);
    const auto to = call.room_to_read(in->size);
    if (!to) return refuse(to.error());
    call.payload_size_max = in->size;

    return session.file_system().read(
        call.context,
        call.node(),
        FileHandle{in->fh},
        {.offset = in->offset, .size = in->size, .flags = in->flags},
        *to);
}

/// FUSE_WRITE (16): the file system takes the data from where the tenant has it.
///
/// In       write_in, then `size` bytes.
/// Out      write_out: how much was taken.
/// Errors   EINVAL  fewer bytes than `size`, more than INIT allowed, or beyond what an off_t
/// can
///                  name; others from the file system.
Answer op::write(Session& session, Call& call) {
    const auto in = call.arguments.take<wire::WriteIn>();
    if (!in) return refuse(in.error());
    if (in->size > session.negotiation().request_size_max) return refuse(Errno::invalid);
    if (!is_file_range(in->offset, in->size)) return refuse(Errno::invalid);
    const auto from = call.data_to_write(in->size);
    if (!from) return refuse(from.error());

    return answer<std::size_t>(
        call,
        session.file_system().write(
            call.context,
            call.node(),
            FileHandle{in->fh},
            {.offset = in->offset,
             .size = in->size,
             .flags = in->flags,
             .from_page_cache = (in->write_flags & wire::write_cache) != 0,
             .kill_suid_gid = (in->write_flags & wire::write_kill_suidgid) != 0},
            *from),
        put_written);
}

/// FUSE_FLUSH (25): one of the descriptors of an open file was closed. In: flush_in.
Answer op::flush(Session& session, Call& call) {
    const auto in = call.arguments.take<wire::FlushIn>();
    if (!in) return refuse(in.error());
    return answer(session.file_system().flush(
        call.context, call.node(), FileHandle{in->fh}, LockOwner{in->lock_owner}));
}

/// FUSE_RELEASE (18): the last one was. In: release_in.
Answer op::release(Session& session, Call& call) {
    const auto in = call.arguments.take<wire::ReleaseIn>();
    if (!in) return refuse(in.error());
    return answer(session.file_system().release(
        call.context, call.node(), FileHandle{in->fh}, to_request(*in)));
}

/// FUSE_FSYNC (20). In: fsync_in.
Answer op::fsync(Session& session, Call& call) {
    const auto in = call.arguments.take<wire::FsyncIn>();
    if (!in) return refuse(in.error());
    return answer(session.file_system().fsync(call.context,
                                              call.node(),
                                              FileHandle{in->fh},
                                              (in->fsync_flags & wire::fsync_fdatasync) != 0));
}

/// FUSE_FALLOCATE (43). In: fallocate_in. Errors: EOPNOTSUPP for modes that Linux's FUSE does
/// not send, EINVAL for an empty range, EFBIG for one beyond what an off_t can name.
Answer op::fallocate(Session& session, Call& call) {
    const auto in = call.arguments.take<wire::FallocateIn>();
    if (!in) return refuse(in.error());
    constexpr std::uint32_t modes =
        FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE;
    if ((in->mode & ~modes) != 0) return refuse(Errno::not_supported);
    if (in->length == 0 || in->offset > offset_max) return refuse(Errno::invalid);
    if (!is_file_range(in->offset, in->length)) return refuse(Errno::file_too_big);
    return answer(session.file_system().fallocate(
        call.context, call.node(), FileHandle{in->fh}, in->mode, in->offset, in->length));
}

/// FUSE_LSEEK (46). In: lseek_in. Out: lseek_out. Errors: EINVAL for other than SEEK_DATA and
/// SEEK_HOLE (Linux does the others by itself), ENXIO for a negative offset, as lseek(2).
Answer op::lseek(Session& session, Call& call) {
    const auto in = call.arguments.take<wire::LseekIn>();
    if (!in) return refuse(in.error());
    if (in->whence != SEEK_DATA && in->whence != SEEK_HOLE) return refuse(Errno::invalid);
    if (in->offset > offset_max) return refuse(Errno::no_device);
    return answer<std::uint64_t>(
        call,
        session.file_system().lseek(
            call.context, call.node(), FileHandle{in->fh}, in->offset, in->whence),
        [](Call& to, const std::uint64_t& offset) {
            return to.put(wire::LseekOut{.offset = offset});
        });
}

/// FUSE_COPY_FILE_RANGE (47). In: copy_file_range_in; in_header.nodeid is the source. Out:
/// write_out: how much was copied, which may be less. Errors: EINVAL for flags, and for ranges
/// beyond what an off_t can name.
Answer op::copy_file_range(Session& session, Call& call) {
    auto in = call.arguments.take<wire::CopyFileRangeIn>();
    if (!in) return refuse(in.error());
    // The reply has 32 bits; the kernel's own limit of one copy, MAX_RW_COUNT, fits into them.
    constexpr std::uint64_t size_max = 0x7fff'f000;
    in->len = std::min(in->len, size_max);
    const auto request = to_request(call.node(), *in);
    if (!request) return refuse(request.error());
    return answer<std::size_t>(
        call, session.file_system().copy_file_range(call.context, *request), put_written);
}

/// FUSE_COPY_FILE_RANGE_64 (53). The same with copy_file_range_out, since 7.45.
Answer op::copy_file_range_64(Session& session, Call& call) {
    const auto in = call.arguments.take<wire::CopyFileRangeIn>();
    if (!in) return refuse(in.error());
    const auto request = to_request(call.node(), *in);
    if (!request) return refuse(request.error());
    return answer<std::size_t>(call,
                               session.file_system().copy_file_range(call.context, *request),
                               [](Call& to, const std::size_t& size) {
                                   return to.put(wire::CopyFileRangeOut{.bytes_copied = size});
                               });
}

}  // namespace dpfs::fuse
