// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "fs/mirror/mirror_fs.hpp"
#include "fuse/wire_init.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fcntl.h>
#include <sys/resource.h>

namespace dpfs::mirror {
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

/// Fills in the limits that follow from how many descriptors this process may have.
void choose_limits(MirrorOptions& options) noexcept {
    rlimit files = {1024, 1024};
    ::getrlimit(RLIMIT_NOFILE, &files);
    const auto all = static_cast<std::size_t>(std::min<rlim_t>(files.rlim_cur, 1 << 20));
    if (options.inode_descriptor_count_max == 0) options.inode_descriptor_count_max = all / 2;
    if (options.open_file_count_max == 0) options.open_file_count_max = all / 4;
}

std::string error_text(Errno error) {
    return std::string(errno_name(error));
}

}  // namespace

struct MirrorFs::Start {
    UniqueFd proc_fd;
    UniqueFd root_fd;
    struct statx root = {};
};

std::expected<std::unique_ptr<MirrorFs>, std::string> MirrorFs::make(MirrorOptions options,
                                                                     Logger log) {
    using Failure = std::unexpected<std::string>;
    if (auto wrong = ids::IdMap::check(options.uid_map); !wrong.empty()) {
        return Failure("uid map: " + wrong);
    }
    if (auto wrong = ids::IdMap::check(options.gid_map); !wrong.empty()) {
        return Failure("gid map: " + wrong);
    }

    Start start;
    start.proc_fd.reset(::open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!start.proc_fd) {
        return Failure(
            fmt::format("/proc/self/fd: {}; /proc must be mounted", error_text(Errno{errno})));
    }
    const char* const path = options.directory.c_str();
    start.root_fd.reset(::open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!start.root_fd) {
        return Failure(
            fmt::format("directory \"{}\": {}", options.directory, error_text(Errno{errno})));
    }
    const int root_fd = start.root_fd.get();
    if (::statx(root_fd, "", AT_EMPTY_PATH, statx_mask, &start.root) != 0) {
        return Failure(
            fmt::format("directory \"{}\": {}", options.directory, error_text(Errno{errno})));
    }

    ::umask(0);
    choose_limits(options);
    if (options.always_async) options.data_path = DataPath::async;
    return std::unique_ptr<MirrorFs>(
        new MirrorFs(std::move(options), std::move(log), std::move(start)));
}

MirrorFs::MirrorFs(MirrorOptions options, Logger log, Start start)
    : options_(std::move(options)),
      log_(std::move(log)),
      proc_fd_(std::move(start.proc_fd)),
      acts_as_caller_(reactor::can_switch_credentials()),
      entry_valid_(options_.entry_valid.value_or(policy_duration(options_.cache))),
      attributes_valid_(options_.attributes_valid.value_or(policy_duration(options_.cache))),
      negative_valid_(options_.negative_valid.value_or(seconds(0))),
      uid_map_(options_.uid_map),
      gid_map_(options_.gid_map),
      xattr_names_(options_.xattr_rules),
      lock_budget_(options_.lock_count_max),
      mounts_(proc_fd_.get(), options_.always_async),
      inodes_({.inode_count_max = options_.inode_count_max,
               .descriptor_count_max = options_.inode_descriptor_count_max}),
      open_files_(options_.open_file_count_max) {
    const Identity identity = Identity::of(start.root);
    auto mount = mounts_.find_or_add(identity.device, identity.mount_id, start.root_fd.get());
    const bool has_handles = mount->handle_fd() >= 0;
    const auto added = inodes_.add_root(start.root, std::move(start.root_fd), std::move(mount));
    DPFS_ASSERT(added.has_value());  // the table is empty

    if (!acts_as_caller_) {
        log_.warning("cannot change identity (CAP_SETUID): files will belong to this process");
    }
    if (!has_handles) {
        log_.warning(
            "{}: no file handles (file system, or CAP_DAC_READ_SEARCH): at most {} inodes",
            options_.directory,
            options_.inode_descriptor_count_max);
    }
}

MirrorFs::~MirrorFs() = default;

MirrorFs::Counts MirrorFs::counts() noexcept {
    return {.inodes = inodes_.count(),
            .descriptors = inodes_.descriptors().count(),
            .open_files = open_files_.count()};
}

Task<Result<void>> MirrorFs::init(fuse::Context& context, fuse::Capabilities& capabilities) {
    static_cast<void>(context);
    namespace bit = fuse::wire::init;
    std::uint64_t unwanted = 0;
    if (!options_.writeback) unwanted |= bit::writeback_cache;
    if (!options_.posix_acl) unwanted |= bit::posix_acl;
    // The tenant would keep a link's target for ever.
    if (options_.cache == CachePolicy::never) unwanted |= bit::cache_symlinks;
    capabilities.flags &= ~unwanted;

    writeback_.store((capabilities.flags & bit::writeback_cache) != 0);
    posix_acl_.store((capabilities.flags & bit::posix_acl) != 0);
    announces_submounts_.store(options_.submounts == SubmountPolicy::announce &&
                               (capabilities.flags & bit::submounts) != 0);
    return Task<Result<void>>::ready({});
}

Task<void> MirrorFs::destroy(reactor::Reactor& reactor) {
    std::vector<OpenFilePin> registered;
    auto find_registered = [&]() {
        open_files_.for_each([&](OpenFilePin& file) {
            if (file->registrations.stop()) registered.push_back(file.share());
        });
    };
    co_await reactor.blocking(find_registered);
    for (const OpenFilePin& file : registered) co_await file->registrations.end(reactor);
    registered.clear();
    auto clear = [this]() {
        open_files_.for_each([this](OpenFilePin& file) { open_files_.retire(file); });
        inodes_.forget_all();
    };
    // As many descriptors as the tenant had are closed: not on a thread that others need.
    co_await reactor.blocking(clear);
}

}  // namespace dpfs::mirror
