// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "fs/nfs/copy_job.hpp"
#include "fs/nfs/place.hpp"

#include <algorithm>

namespace dpfs::nfs {
namespace {

using nfs4::Op;
using nfs4::Status;

// Between two questions about a copy whose end the server should tell by itself.
constexpr Duration pause_min = seconds(1);
constexpr Duration pause_max = seconds(10);
// For the callback, where the server cannot be asked.
constexpr Duration callback_wait_max = seconds(30);

/// How a copy has ended: a part that is there counts before an error, which comes again when
/// the rest is tried.
CopyNews judge(const nfs4::CopyOutcome& outcome) {
    if (outcome.status == Status::ok) {
        return CopyResult{
            .size = outcome.size, .stable = outcome.stable, .verifier = outcome.verifier};
    }
    if (outcome.size > 0) return CopyResult{.size = outcome.size};
    return fail(to_errno(outcome.status));
}

}  // namespace

/// CB_OFFLOAD. Thread: home's.
void NfsFs::copy_ended(const nfs4::CopyOutcome& outcome) {
    reactor::Reactor* const waiter = copies_.ended(outcome);
    if (waiter != nullptr) {
        home_place().background.spawn(wake_copy(*waiter, outcome.copy));
    }
}

Task<void> NfsFs::wake_copy(reactor::Reactor& waiter, nfs4::StateId copy) {
    co_await reactor::Reactor::switch_to(waiter);
    copies_.wake(copy);
    co_await reactor::Reactor::switch_to(home_place().reactor);
}

/// A copy that the server makes on its own: until CB_OFFLOAD comes, or, because a callback may
/// get lost, the server says so when it is asked. Nothing: the server knows nothing of it.
Task<CopyNews> NfsFs::await_copy(fuse::Context& context,
                                 CopyJob& job,
                                 nfs4::StateId copy,
                                 std::uint64_t incarnation) {
    CopyNews ended = co_await watch_copy(context, job, copy);
    copies_.end(job.waiting);
    if (ended) {
        if (auto& copied = *ended) copied->incarnation = incarnation;
    }
    if (!ended) {
        const Lane::Holder request = this->lane(context).request(as(job.to->opener));
        request->put_file(job.to->inode->handle());
        request->put_state(Op::offload_cancel, copy);
        const auto canceled = co_await this->lane(context).run(*request, &context.cancel);
        static_cast<void>(canceled);  // it ends by itself
    }
    co_return ended;
}

/// Errors: of the copy; ECANCELED, ETIMEDOUT, EOPNOTSUPP: nobody waits for it any more.
Task<CopyNews> NfsFs::watch_copy(fuse::Context& context, CopyJob& job, nfs4::StateId copy) {
    const Instant started = context.reactor.now();
    const Duration time_max = client_->options().request_time_max;
    for (Duration pause = pause_min;; pause = std::min(Duration{pause.ns * 2}, pause_max)) {
        if (const auto outcome = copies_.outcome(job.waiting)) co_return judge(*outcome);
        if (job.work->abandoned()) co_return fail(Errno::canceled);
        const auto slept = co_await context.reactor.sleep(pause, &job.waiting.nap);
        if (!slept) {
            job.waiting.nap.reset();
            continue;  // there is news
        }
        const auto now = context.reactor.now();
        if (time_max != Duration{} && now >= started + time_max) {
            co_return fail(Errno::timed_out);
        }
        if (lacks(*job.to->inode, Feature::copy_offload)) {
            if (now >= started + callback_wait_max) co_return fail(Errno::not_supported);
            continue;
        }
        const auto news = co_await or_return(co_await ask_copy(context, job, copy));
        if (news) co_return *news;
    }
}

/// OFFLOAD_STATUS. Nothing: it goes on.
Task<Result<std::optional<CopyNews>>> NfsFs::ask_copy(fuse::Context& context,
                                                      CopyJob& job,
                                                      nfs4::StateId copy) {
    const Inode& target = *job.to->inode;
    Lane& lane = this->lane(context);
    const auto request = lane.request(as(job.to->opener));
    request->put_file(target.handle());
    request->put_state(Op::offload_status, copy);
    co_await or_return(co_await lane.run(*request, &context.cancel));
    // The callback may have come meanwhile, and with it the end of the copy's name.
    if (const auto told = copies_.outcome(job.waiting)) co_return judge(*told);
    if (is_state_lost(request->status())) co_return CopyNews(std::nullopt);
    if (note_support(target, Feature::copy_offload, request->status())) co_return std::nullopt;
    co_await or_return(request->take(Op::putfh));
    co_await or_return(request->take(Op::offload_status));
    const nfs4::CopyProgress progress = nfs4::take_copy_progress(request->reader());
    co_await or_return(request->taken());
    if (!progress.outcome) co_return std::nullopt;
    // Nothing is said of what is stable, and nothing that a COMMIT could be compared with.
    nfs4::CopyOutcome outcome;
    outcome.status = *progress.outcome;
    outcome.size = progress.size;
    CopyNews news = judge(outcome);
    if (news) {
        if (auto& copied = *news) copied->verifier.reset();
    }
    co_return news;
}

}  // namespace dpfs::nfs
