// SPDX-License-Identifier: Apache-2.0
#include "fs/nfs/nfs_fs.hpp"

#include "base/or_return.hpp"
#include "fs/nfs/file_mode.hpp"
#include "fs/nfs/place.hpp"
#include "fs/nfs/unattended.hpp"
#include "fuse/wire_init.hpp"
#include "fuse/wire_inode.hpp"
#include "reactor/cancel_later.hpp"

#include <algorithm>

namespace dpfs::nfs {
namespace {

Duration policy_duration(CachePolicy policy) noexcept {
    switch (policy) {
        case CachePolicy::never:
            return seconds(0);
        case CachePolicy::automatic:
            return seconds(1);
        case CachePolicy::always:
            break;
    }
    return seconds(86'400);  // a day
}

/// So long another client may have to wait for a delegation, beside the recall itself.
constexpr Duration vouched_time_max = seconds(1);

/// How long the server may take to hear of the end.
constexpr Duration farewell_time_max = seconds(3);

}  // namespace

std::expected<std::unique_ptr<NfsFs>, std::string> NfsFs::make(
    NfsOptions options, const std::vector<reactor::Reactor*>& reactors, Logger log) {
    auto client = nfs4::Client::make(options.client, reactors, log);
    if (!client) return std::unexpected(std::move(client.error()));
    return make(std::move(options), std::move(*client), reactors, std::move(log));
}

std::expected<std::unique_ptr<NfsFs>, std::string> NfsFs::make(
    NfsOptions options,
    std::shared_ptr<nfs4::Client> client,
    const std::vector<reactor::Reactor*>& reactors,
    Logger log) {
    if (auto wrong = Identities::check(options); !wrong.empty()) {
        return std::unexpected(std::move(wrong));
    }
    std::unique_ptr<NfsFs> made(new NfsFs(std::move(options), std::move(log)));
    for (reactor::Reactor* const each : reactors) {
        made->places_.push_back(std::make_unique<Place>(*each));
    }
    made->client_ = std::move(client);
    return made;
}

NfsFs::NfsFs(NfsOptions options, Logger log)
    : options_(std::move(options)),
      log_(std::move(log)),
      entry_valid_(options_.entry_valid.value_or(policy_duration(options_.cache))),
      file_entry_valid_(options_.entry_valid.value_or(
          options_.cache == CachePolicy::always ? entry_valid_ : Duration{})),
      attributes_valid_(options_.attributes_valid.value_or(policy_duration(options_.cache))),
      vouched_time_(options_.entry_valid ? Duration{}
                                         : std::min(attributes_valid_, vouched_time_max)),
      identities_(options_),
      inodes_(options_.inode_count_max, Delegations::forgotten_count_max),
      open_files_(options_.open_file_count_max) {}

NfsFs::~NfsFs() = default;

Task<Result<void>> NfsFs::start(reactor::Reactor& reactor) {
    const auto started = co_await client_->start(*this, reactor);
    Result<void> found;
    if (started) found = co_await find_root(reactor);
    if (started && found) co_return Result<void>();
    if (!started) {
        log_.error("no session with the server ({})", errno_name(started.error()));
    } else {
        log_.error("export '{}': {}", options_.export_path, errno_name(found.error()));
    }
    co_await stop(reactor);
    co_return fail(started ? found.error() : started.error());
}

Task<void> NfsFs::stop(reactor::Reactor& reactor) {
    // What is on its way to the server may arrive; a server that does not answer is not waited
    // for: the lease ends what is left.
    Gate closing;
    reactor::CancelSource closed;
    closing.spawn(close_places(closed));
    const auto slept = co_await reactor.sleep(farewell_time_max, &closed);
    static_cast<void>(slept);
    co_await client_->stop(*this, reactor);
    co_await closing.close();
}

Task<void> NfsFs::close_places(reactor::CancelSource& closed) {
    for (const auto& place : places_) {
        co_await reactor::Reactor::switch_to(place->reactor);
        co_await place->background.close();
    }
    co_await reactor::Reactor::switch_to(places_.front()->reactor);
    closed.cancel();
}

Instant NfsFs::deadline_from_now(const fuse::Context& context) const noexcept {
    const Duration time_max = client_->options().request_time_max;
    return time_max == Duration{} ? Instant::never() : context.reactor.now() + time_max;
}

NfsFs::Place& NfsFs::place(const reactor::Reactor& reactor) noexcept {
    for (const auto& place : places_) {
        if (&place->reactor == &reactor) return *place;
    }
    DPFS_ASSERT(false);  // a request on a reactor that the device is not on
    return *places_.front();
}

bool NfsFs::may_log(const reactor::Reactor& reactor) noexcept {
    return place(reactor).log_quota.take(reactor.now());
}

std::vector<std::string> NfsFs::statistics() const {
    std::vector<std::string> lines;
    for (const auto& lane : client_->lanes()) {
        const Lane::Counters nfs = lane->counters();
        const rpc::Connection::Counters rpc = lane->connection_counters();
        lines.push_back(
            fmt::format("connection={} connects={} calls={} sent_again={} strays={} "
                        "sends={} receives={} bytes_sent={} bytes_received={} "
                        "bytes_direct={} requests={} slot_waits={} delays={}",
                        lines.size(),
                        rpc.connects,
                        rpc.calls,
                        rpc.sent_again,
                        rpc.strays,
                        rpc.sends,
                        rpc.receives,
                        rpc.bytes_sent,
                        rpc.bytes_received,
                        rpc.bytes_direct,
                        nfs.requests,
                        nfs.slot_waits,
                        nfs.delays));
    }
    lines.push_back(fmt::format("delegations held={} used={} recalled={}",
                                delegations_.held_count.load(),
                                delegations_.used_count.load(),
                                delegations_.recalled_count.load()));
    return lines;
}

Task<Result<void>> NfsFs::find_root(reactor::Reactor& reactor) {
    const auto request = client_->lane(reactor).request(as({}));
    request->put(nfs4::Op::putrootfh);
    std::size_t depth = 0;
    for (std::string_view rest = options_.export_path; !rest.empty();) {
        const std::size_t end = std::min(rest.find('/'), rest.size());
        const std::string_view name = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (name.empty()) continue;
        request->put_name(nfs4::Op::lookup, name);
        ++depth;
    }
    request->put(nfs4::Op::getfh);
    request->put_getattr(file_attributes);
    co_await or_return(co_await client_->lane(reactor).run(*request));
    co_await or_return(request->take(nfs4::Op::putrootfh));
    for (std::size_t i = 0; i < depth; ++i) {
        co_await or_return(request->take(nfs4::Op::lookup));
    }
    const auto handle = co_await or_return(request->take_file_handle());
    const auto found = co_await or_return(request->take_attributes(file_attributes));
    if (found.type != nfs4::FileType::directory) co_return fail(Errno::not_directory);
    inodes_.set_root(handle, found);
    co_return Result<void>();
}

Task<Result<void>> NfsFs::init(fuse::Context& context, fuse::Capabilities& capabilities) {
    static_cast<void>(context);
    namespace bit = fuse::wire::init;
    // Access control lists of POSIX are not NFSv4's; written data are not to be kept from
    // others who use the export.
    capabilities.flags &= ~(bit::posix_acl | bit::writeback_cache);
    if (options_.cache == CachePolicy::never) capabilities.flags &= ~bit::cache_symlinks;
    return Task<Result<void>>::ready({});
}

Task<void> NfsFs::destroy(reactor::Reactor& reactor) {
    reactor::CancelSource late;
    const fuse::Context context{.reactor = reactor, .cancel = late, .caller = {}};
    const auto work = std::make_shared<Unattended<void>>(context);
    if (place(context).background.spawn(close_all(work))) {
        // A server that is away must not keep the tenant from mounting again: what is still
        // open is closed when it is back.
        Gate timer;
        reactor::CancelSource done;
        timer.spawn(reactor::cancel_later(reactor, farewell_time_max, done, late));
        const auto closed = co_await work->outcome(late);
        static_cast<void>(closed);
        done.cancel();
        co_await timer.close();
    }
    inodes_.forget_all();
}

Task<void> NfsFs::close_all(std::shared_ptr<Unattended<void>> work) {
    std::vector<OpenFilePin> files;
    open_files_.for_each([&](OpenFilePin& file) {
        if (file->is_directory) {
            open_files_.retire(file);
        } else if (file->is_idle.load()) {
            return;  // its delegation closes it
        } else if (!file->released.exchange(true)) {
            files.push_back(file.share());
        }
    });
    co_await end_all_delegations(work->context);
    for (OpenFilePin& file : files) {
        const auto closed = co_await close_file(work->context, std::move(file));
        static_cast<void>(closed);  // the lease's end does it too
    }
    work->end({});
}

Result<OpenFilePin> NfsFs::file_of(fuse::NodeId node, fuse::FileHandle handle) {
    auto file = open_files_.pin(static_cast<std::uint64_t>(handle));
    if (!file || inodes_.node_of((*file)->inode) != node) return fail(Errno::bad_descriptor);
    if ((*file)->is_directory) return fail(Errno::is_directory);
    if ((*file)->released.load()) return fail(Errno::bad_descriptor);
    return file;
}

Result<OpenFilePin> NfsFs::directory_of(fuse::NodeId node, fuse::FileHandle handle) {
    auto file = open_files_.pin(static_cast<std::uint64_t>(handle));
    if (!file || inodes_.node_of((*file)->inode) != node) return fail(Errno::bad_descriptor);
    if (!(*file)->is_directory) return fail(Errno::not_directory);
    return file;
}

fuse::Attributes NfsFs::attributes_of(const nfs4::Attributes& found) const noexcept {
    const auto time = [](const nfs4::Time& t) { return static_cast<std::uint64_t>(t.seconds); };
    return {.ino = found.fileid,
            .size = found.size,
            .blocks = found.space_used / 512 + (found.space_used % 512 != 0 ? 1 : 0),
            .atime = time(found.access),
            .mtime = time(found.modify),
            .ctime = time(found.metadata),
            .atimensec = found.access.nanoseconds,
            .mtimensec = found.modify.nanoseconds,
            .ctimensec = found.metadata.nanoseconds,
            .mode = type_bits_of(found.type) | (found.mode & permission_bits),
            .nlink = found.link_count,
            .uid = identities_.shown_user(found.owner),
            .gid = identities_.shown_group(found.owner_group),
            .rdev = encode({.major = found.device_major, .minor = found.device_minor}),
            .blksize = 4096,
            .flags = 0};
}

Result<fuse::Entry> NfsFs::enter(const nfs4::FileHandle& handle,
                                 const nfs4::Attributes& found,
                                 const nfs4::FileSystemId& above) {
    const auto inode = inodes_.reference(handle, found);
    if (!inode) return fail(inode.error());
    fuse::Entry entry{
        .node = inodes_.node_of(*inode),
        .generation = 0,
        .attributes = attributes_of(found),
        .entry_valid = found.type == nfs4::FileType::regular ? file_entry_valid_ : entry_valid_,
        .attributes_valid = attributes_valid_};
    (*inode)->may_have_set_id.store(set_id_bits(found.mode) != 0);
    const bool is_other_file_system = found.fsid != above;
    if (is_other_file_system && found.type == nfs4::FileType::directory) {
        entry.attributes.flags |= fuse::wire::attr_submount;
    }
    return entry;
}

}  // namespace dpfs::nfs
