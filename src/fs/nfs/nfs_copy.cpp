// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "fs/nfs/copy_job.hpp"
#include "fs/nfs/run_unattended.hpp"

#include <algorithm>

namespace dpfs::nfs {
namespace {

using nfs4::Op;
using nfs4::Status;

// A server that copies before it answers keeps the slot for so long, and a connection without
// an answer is made anew after `nfs_answer_time_s`. Who asked for more gets a short count, and
// goes on from there.
constexpr std::uint64_t copy_size_max = 256 << 20;
constexpr int copy_attempt_count_max = 3;

/// The server has said why it will not copy; the tenant's kernel can do so itself.
bool is_refusal(Status status) noexcept {
    return status == Status::notsupp || status == Status::op_illegal ||
           status == Status::offload_denied || status == Status::offload_no_reqs;
}

void put_files(nfs4::Request& request, const OpenFile& from, const OpenFile& to) {
    request.put_file(from.inode->handle());
    request.put(Op::savefh);
    request.put_file(to.inode->handle());
}

Result<void> take_files(nfs4::Request& request) {
    for (const Op op : {Op::putfh, Op::savefh, Op::putfh}) {
        if (const auto taken = request.take(op); !taken) return taken;
    }
    return {};
}

}  // namespace

Task<Result<std::size_t>> NfsFs::copy_file_range(fuse::Context& context,
                                                 fuse::CopyRequest request) {
    // ENOSYS: the tenant's kernel does not ask again; EOPNOTSUPP: it copies by itself, and
    // does.
    if (client_->options().minor_version < 2) co_return fail(Errno::not_implemented);
    if (options_.read_only) co_return fail(Errno::read_only);
    const auto job = std::make_shared<CopyJob>(context);
    job->from = co_await or_return(file_of(request.from, request.from_handle));
    job->to = co_await or_return(file_of(request.to, request.to_handle));
    job->from_offset = request.from_offset;
    job->to_offset = request.to_offset;
    job->size = std::min(request.size, copy_size_max);
    if ((job->from->access & nfs4::share::access_read) == 0 ||
        (job->to->access & nfs4::share::access_write) == 0) {
        co_return fail(Errno::bad_descriptor);
    }
    const Inode& target = *job->to->inode;
    const bool no_way = lacks(target, Feature::copy) && lacks(target, Feature::clone);
    if (no_way) co_return fail(Errno::not_supported);
    if (job->size == 0) co_return std::size_t{0};
    const auto copied =
        co_await run_unattended(context, job->work, copy_unattended(job), Instant::never());
    if (job->work->abandoned()) job->waiting.nap.cancel();
    co_return copied;
}

Task<void> NfsFs::copy_unattended(std::shared_ptr<CopyJob> job) {
    fuse::Context& context = job->work->context;
    auto copied = co_await copy(context, *job);
    OpenFile& to = *job->to;
    if (copied && context.caller.uid != 0 && to.inode->may_have_set_id.load()) {
        auto seen = co_await see(context, *to.inode);
        if (seen) co_await clear_set_id(context, *to.inode, *seen);
    }
    job->work->end(copied);
}

/// Copies until what was copied is safe: what a server that was started anew has lost is copied
/// again.
Task<Result<std::size_t>> NfsFs::copy(fuse::Context& context, CopyJob& job) {
    // What is kept to be sent again, after a restart, would come over what is copied now; and
    // what a restart took from the source would be missing here.
    co_await or_return(co_await commit_before(context, *job.from->inode));
    co_await or_return(co_await commit_before(context, *job.to->inode));
    for (int attempt = 1; attempt <= copy_attempt_count_max; ++attempt) {
        const auto cloned = co_await or_return(co_await clone_some(context, job));
        if (cloned > 0) co_return cloned;
        const auto done = co_await or_return(co_await copy_some(context, job));
        if (!done) continue;  // nobody knows of it any more
        if (done->size > job.size) co_return fail(Errno::io_error);
        if (done->size == 0 || done->stable == nfs4::Stable::file) co_return done->size;
        const auto kept = co_await or_return(co_await commit_copy(context, job, *done));
        if (kept) co_return done->size;
        if (may_log(context.reactor)) {
            log_.warning("the server was started anew during a copy; it is made again");
        }
    }
    co_return fail(Errno::io_error);
}

/// CLONE of what is aligned; gives how much that was.
Task<Result<std::size_t>> NfsFs::clone_some(fuse::Context& context, CopyJob& job) {
    Inode& target = *job.to->inode;
    if (lacks(target, Feature::clone) || job.from->inode->fsid() != target.fsid()) {
        co_return std::size_t{0};
    }
    const auto facts = co_await or_return(co_await facts_of(context, target));
    const std::uint64_t block = facts.clone_block_size;
    if (block == 0 || job.from_offset % block != 0 || job.to_offset % block != 0) {
        co_return std::size_t{0};
    }
    nfs4::CopyRange range = job.range();
    range.size -= range.size % block;
    if (range.size == 0) co_return std::size_t{0};
    Lane& lane = this->lane(context);
    const auto request = lane.request(as(job.to->opener));
    put_files(*request, *job.from, *job.to);
    request->must_be_cached();
    nfs4::put_clone(*request, range);
    // In the same compound: it is the same server that keeps it.
    request->put_commit(range.to_offset, 0);
    co_await or_return(co_await lane.run(*request, &context.cancel));
    note_support(target, Feature::clone, request->status());
    co_await or_return(take_files(*request));
    // Whatever stands against it, a copy may do.
    if (!request->take(Op::clone)) co_return std::size_t{0};
    co_await or_return(request->take(Op::commit));
    co_return range.size;
}

/// COPY, to its end. Nothing: the server has forgotten the copy, or the files' states.
Task<CopyNews> NfsFs::copy_some(fuse::Context& context, CopyJob& job) {
    const Inode& target = *job.to->inode;
    if (lacks(target, Feature::copy)) co_return fail(Errno::not_supported);
    // Where it cannot be asked how far it is, it must not be answered before it is done.
    const bool synchronous = lacks(target, Feature::copy_offload);
    const std::uint64_t incarnation = client_->incarnation();
    const nfs4::CopyRange range = job.range();
    Lane& lane = this->lane(context);
    const auto request = lane.request(as(job.to->opener));
    put_files(*request, *job.from, *job.to);
    request->must_be_cached();
    nfs4::put_copy(*request, range, synchronous);
    copies_.expect();
    const auto copied = co_await send_copy(context, *request);
    std::optional<nfs4::StateId> going_on;
    if (copied) going_on = copied->written.copy;
    if (going_on) copies_.begin(job.waiting, *going_on);
    copies_.expect_no_more();
    if (going_on) co_return co_await await_copy(context, job, *going_on, incarnation);
    if (copied) {
        if (!copied->consecutive && copied->written.size < range.size) {
            co_return fail(Errno::io_error);
        }
        co_return CopyResult{.size = copied->written.size,
                             .stable = copied->written.stable,
                             .verifier = copied->written.verifier};
    }
    const Status status = request->status();
    if (is_state_lost(status)) {
        co_await or_return(co_await open_again(context, *job.from, range.from));
        co_await or_return(co_await open_again(context, *job.to, range.to));
        co_return std::nullopt;
    }
    note_support(target, Feature::copy, status);
    if (status == Status::offload_no_reqs && !synchronous) {
        note_support(target, Feature::copy_offload, Status::notsupp);
        co_return std::nullopt;
    }
    if (is_refusal(status)) co_return fail(Errno::not_supported);
    if (status == Status::inval) co_return co_await copy_before_end(context, job);
    co_return fail(copied.error());
}

Task<Result<nfs4::Copied>> NfsFs::send_copy(fuse::Context& context, Request& request) {
    co_await or_return(co_await this->lane(context).run(request, &context.cancel));
    co_await or_return(take_files(request));
    co_await or_return(request.take(Op::copy));
    const nfs4::Copied copied = nfs4::take_copied(request.reader());
    co_await or_return(request.taken());
    co_return copied;
}

/// A source that ends before the range does is EINVAL (RFC 7862, 15.2.3), and for
/// copy_file_range(2) a short count. A server that says so of what is within the source will
/// not copy that: nfs-ganesha 15.2 within one file. The tenant's kernel then does.
Task<CopyNews> NfsFs::copy_before_end(fuse::Context& context, CopyJob& job) {
    constexpr nfs4::AttributeSet size_only = {nfs4::Attribute::size};
    const auto found =
        co_await or_return(co_await ask_attributes(context, *job.from->inode, size_only));
    if (job.from_offset >= found.size) co_return CopyResult{.size = 0};
    const std::uint64_t left = found.size - job.from_offset;
    if (left >= job.size) {
        co_return fail(job.overlaps() ? Errno::invalid : Errno::not_supported);
    }
    job.size = left;
    co_return std::nullopt;
}

/// False: it is not the server any more that has copied.
Task<Result<bool>> NfsFs::commit_copy(fuse::Context& context, CopyJob& job, CopyResult copied) {
    Lane& lane = this->lane(context);
    const auto request = lane.request(as(job.to->opener));
    request->put_file(job.to->inode->handle());
    request->put_commit(job.to_offset, static_cast<std::uint32_t>(copied.size));
    co_await or_return(co_await lane.run(*request, &context.cancel));
    co_await or_return(request->take(Op::putfh));
    co_await or_return(request->take(Op::commit));
    const nfs4::Verifier verifier = nfs4::take_verifier(request->reader());
    co_await or_return(request->taken());
    if (copied.verifier) co_return *copied.verifier == verifier;
    co_return copied.incarnation == client_->incarnation();
}

}  // namespace dpfs::nfs
