// SPDX-License-Identifier: Apache-2.0
#include "base/gate.hpp"
#include "base/iovec_cursor.hpp"
#include "fs/nfs/run_with_state.hpp"

#include <algorithm>
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

namespace dpfs::nfs {

using nfs4::Op;

/// One of several requests into which a large one is split.
struct NfsFs::Part {
    std::uint64_t offset = 0;
    std::vector<iovec> buffers = {};
    std::size_t size = 0;
    nfs4::Stable stable = nfs4::Stable::file;
    std::size_t done = 0;
    Result<void> outcome = {};

    /// Where what is not done yet comes from, or goes to.
    [[nodiscard]] Result<std::vector<iovec>> rest() const {
        std::vector<iovec> rest;
        IovecCursor cursor(buffers);
        auto taken = cursor.skip(done);
        if (taken) taken = cursor.take_iovecs(size - done, rest);
        if (!taken) return fail(taken.error());
        return rest;
    }
};

namespace {

/// Cuts `buffers` into parts of at most `size_max` bytes.
template <class Part>
Result<std::vector<Part>> split(std::span<const iovec> buffers,
                                std::uint64_t offset,
                                std::size_t size_max) {
    std::vector<Part> parts;
    IovecCursor cursor(buffers);
    while (cursor.left() > 0) {
        Part part{.offset = offset, .size = std::min(cursor.left(), size_max)};
        const auto taken = cursor.take_iovecs(part.size, part.buffers);
        if (!taken) return fail(taken.error());
        offset += part.size;
        parts.push_back(std::move(part));
    }
    return parts;
}

/// What of the parts is there from the first byte on without a gap.
template <class Part>
Result<std::size_t> sum(const std::vector<Part>& parts) {
    std::size_t total = 0;
    for (const Part& part : parts) {
        total += part.done;
        if (!part.outcome && total == 0) return fail(part.outcome.error());
        if (part.done < part.size) break;
    }
    return total;
}

}  // namespace

Task<Result<std::size_t>> NfsFs::read(fuse::Context& context,
                                      fuse::NodeId node,
                                      fuse::FileHandle handle,
                                      fuse::ReadRequest request,
                                      std::span<const iovec> to) {
    const OpenFilePin file = co_await or_return(file_of(node, handle));
    const std::size_t size_max = client_->read_size_max();
    if (request.size <= size_max) {
        bool at_end = false;
        const std::size_t size =
            co_await or_return(co_await read_once(context, *file, request.offset, to, at_end));
        if (size == request.size || at_end) co_return size;
        // The server gave less than there is: the rest is asked for as a part of a larger one.
    }
    auto parts = co_await or_return(split<Part>(to, request.offset, size_max));
    Gate reading;
    for (Part& part : parts) reading.spawn(read_part(context, *file, part));
    co_await reading.close();
    // Fewer bytes than were asked for are the end of the file to the tenant: what was read
    // before an error cannot be answered.
    for (const Part& part : parts) co_await or_return(part.outcome);
    co_return sum(parts);
}

Task<void> NfsFs::read_part(fuse::Context& context, OpenFile& file, Part& part) {
    bool at_end = false;
    while (part.done < part.size && !at_end) {
        const auto rest = part.rest();
        if (!rest) {
            part.outcome = fail(rest.error());
            co_return;
        }
        const auto size =
            co_await read_once(context, file, part.offset + part.done, *rest, at_end);
        if (!size) {
            part.outcome = fail(size.error());
            co_return;
        }
        part.done += *size;
        if (*size == 0 && !at_end) {
            part.outcome = fail(Errno::io_error);  // nothing, and not the end: no progress
            co_return;
        }
    }
}

Task<Result<std::size_t>> NfsFs::read_once(fuse::Context& context,
                                           OpenFile& file,
                                           std::uint64_t offset,
                                           std::span<const iovec> to,
                                           bool& at_end) {
    if (options_.read_plus) {
        const auto read =
            co_await or_return(co_await read_plus_once(context, file, offset, to, at_end));
        if (read) co_return *read;
    }
    const auto put = [offset, to](Request& request, const nfs4::StateId& state) {
        request.put_read(state, offset, to);
    };
    const auto request = co_await or_return(co_await run_with_state(context, file, put));
    co_await or_return(request->take(Op::putfh));
    co_await or_return(request->take(Op::read));
    at_end = request->reader().boolean();
    co_await or_return(request->taken());
    // Its data were not where a READ's are: they have not been placed.
    if (!request->call.taken) co_return fail(Errno::io_error);
    co_return request->data_size();
}

Task<Result<std::size_t>> NfsFs::write(fuse::Context& context,
                                       fuse::NodeId node,
                                       fuse::FileHandle handle,
                                       fuse::WriteRequest request,
                                       std::span<const iovec> from) {
    const OpenFilePin file = co_await or_return(file_of(node, handle));
    const std::size_t size_max = client_->write_size_max();
    auto parts = co_await or_return(split<Part>(from, request.offset, size_max));
    const nfs4::Stable stable = stability_of(request);
    for (Part& part : parts) part.stable = stable;
    if (parts.size() == 1) {
        co_await write_part(context, *file, parts.front());
    } else {
        Gate writing;
        for (Part& part : parts) writing.spawn(write_part(context, *file, part));
        co_await writing.close();
    }
    co_await or_return(co_await after_write(context, file.share(), stable));
    if (request.kill_suid_gid && file->inode->may_have_set_id.load()) {
        auto seen = co_await see(context, *file->inode);
        if (seen) co_await clear_set_id(context, *file->inode, *seen);
    }
    co_return sum(parts);
}

Task<void> NfsFs::write_part(fuse::Context& context, OpenFile& file, Part& part) {
    while (part.done < part.size) {
        const auto rest = part.rest();
        if (!rest) {
            part.outcome = fail(rest.error());
            co_return;
        }
        const auto size =
            co_await write_once(context, file, part.offset + part.done, part.stable, *rest);
        if (!size) {
            part.outcome = fail(size.error());
            co_return;
        }
        part.done += *size;
    }
}

Task<Result<std::size_t>> NfsFs::write_once(fuse::Context& context,
                                            OpenFile& file,
                                            std::uint64_t offset,
                                            nfs4::Stable stable,
                                            std::span<const iovec> from) {
    const auto put = [offset, stable, from](Request& request, const nfs4::StateId& state) {
        request.put_write(state, offset, stable, from);
    };
    for (;;) {
        const WriteEpoch epoch = write_epoch(*file.inode);
        const auto request = co_await or_return(co_await run_with_state(context, file, put));
        co_await or_return(request->take(Op::putfh));
        co_await or_return(request->take(Op::write));
        const std::uint32_t count = request->reader().u32();
        const nfs4::Stable committed{request->reader().u32()};
        const nfs4::Verifier verifier = nfs4::take_verifier(request->reader());
        co_await or_return(request->taken());
        // More than was sent, nothing at all, or less safe than was asked, is no answer.
        if (count == 0 || count > total_size(from)) co_return fail(Errno::io_error);
        if (committed < stable) co_return fail(Errno::io_error);
        UncommittedWrites::Pointer copy;
        if (stable == nfs4::Stable::unstable &&
            (committed == nfs4::Stable::unstable || is_any_kept(*file.inode))) {
            copy = UncommittedWrites::copy_of(copy_buffers_, offset, from, count, verifier);
            copy->file = file.id;
            copy->stable = committed != nfs4::Stable::unstable;
        }
        if (note_written(*file.inode, epoch, std::move(copy))) co_return std::size_t{count};
        co_await or_return(co_await context.reactor.sleep(milliseconds(1), &context.cancel));
    }
}

Task<Result<void>> NfsFs::fallocate(fuse::Context& context,
                                    fuse::NodeId node,
                                    fuse::FileHandle handle,
                                    std::uint32_t mode,
                                    std::uint64_t offset,
                                    std::uint64_t length) {
    const bool punches = mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
    // ALLOCATE extends the file, and nothing zeroes a range in one step.
    if (mode != 0 && !punches) co_return fail(Errno::not_supported);
    if (client_->options().minor_version < 2) co_return fail(Errno::not_supported);
    const OpenFilePin file = co_await or_return(file_of(node, handle));
    const Feature feature = punches ? Feature::deallocate : Feature::allocate;
    if (lacks(*file->inode, feature)) co_return fail(Errno::not_supported);
    co_await or_return(co_await commit_before(context, *file->inode));
    const Op op = punches ? Op::deallocate : Op::allocate;
    const auto put = [op, offset, length](Request& request, const nfs4::StateId& state) {
        request.put_range(op, state, offset, length);
    };
    const auto request = co_await or_return(co_await run_with_state(context, *file, put));
    note_support(*file->inode, feature, request->status());
    co_await or_return(request->take(Op::putfh));
    co_return request->take(op);
}

Task<Result<std::uint64_t>> NfsFs::lseek(fuse::Context& context,
                                         fuse::NodeId node,
                                         fuse::FileHandle handle,
                                         std::uint64_t offset,
                                         std::uint32_t whence) {
    // ENOSYS: the tenant's kernel takes every file for data throughout from then on.
    if (client_->options().minor_version < 2) co_return fail(Errno::not_implemented);
    const OpenFilePin file = co_await or_return(file_of(node, handle));
    if (lacks(*file->inode, Feature::seek)) {
        co_return co_await seek_without_holes(context, *file, offset, whence);
    }
    const std::uint32_t what = whence == SEEK_DATA ? 0 : 1;
    const auto put = [offset, what](Request& request, const nfs4::StateId& state) {
        request.put_state(Op::seek, state);
        request.writer().u64(offset);
        request.writer().u32(what);
    };
    const auto request = co_await or_return(co_await run_with_state(context, *file, put));
    if (note_support(*file->inode, Feature::seek, request->status())) {
        co_return co_await seek_without_holes(context, *file, offset, whence);
    }
    co_await or_return(request->take(Op::putfh));
    co_await or_return(request->take(Op::seek));
    const bool at_end = request->reader().boolean();
    const std::uint64_t found = request->reader().u64();
    co_await or_return(request->taken());
    // No data behind `offset` (RFC 7862, 15.11.3).
    if (at_end && whence == SEEK_DATA) co_return fail(Errno::no_device);
    co_return found;
}

/// The whole file is data, as lseek(2) allows. (ENOSYS would be for all file systems at once:
/// the tenant's kernel asks no more.)
Task<Result<std::uint64_t>> NfsFs::seek_without_holes(fuse::Context& context,
                                                      OpenFile& file,
                                                      std::uint64_t offset,
                                                      std::uint32_t whence) {
    constexpr nfs4::AttributeSet size_only = {nfs4::Attribute::size};
    const auto found =
        co_await or_return(co_await ask_attributes(context, *file.inode, size_only));
    if (offset >= found.size) co_return fail(Errno::no_device);
    co_return whence == SEEK_DATA ? offset : found.size;
}

}  // namespace dpfs::nfs
