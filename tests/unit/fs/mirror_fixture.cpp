// SPDX-License-Identifier: Apache-2.0
#include "mirror_fixture.hpp"

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <unistd.h>

namespace dpfs::mirror {

using reactor::ReactorKind;

const std::vector<Setting> all_settings = {
    {ReactorKind::uring, "/tmp", false, "uring_disk"},
    {ReactorKind::uring, "/tmp", true, "uring_disk_async"},
    {ReactorKind::uring, "/dev/shm", false, "uring_memory"},
    {ReactorKind::epoll, "/tmp", false, "epoll_disk"},
    {ReactorKind::epoll, "/tmp", true, "epoll_disk_async"},
};

std::string setting_name(const testing::TestParamInfo<Setting>& info) {
    return info.param.name;
}

ScratchDirectory::ScratchDirectory(const std::string& parent) {
    std::string name = parent + "/dpfs-mirror-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    path_ = name;
    ::chmod(path_.c_str(), 0755);
}

ScratchDirectory::~ScratchDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::string ScratchDirectory::path(std::string_view name) const {
    return name.empty() ? path_ : path_ + "/" + std::string(name);
}

Logger test_log() {
    static const auto sink = make_stderr_sink(LogLevel::error);
    return {*sink, "test"};
}

std::size_t open_descriptor_count() {
    const std::filesystem::directory_iterator descriptors("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(descriptors), end(descriptors)));
}

// --- Guest

void Guest::be(std::uint32_t uid, std::uint32_t gid, const std::vector<std::uint32_t>& groups) {
    context.caller = {};
    context.caller.uid = uid;
    context.caller.gid = gid;
    for (const std::uint32_t group : groups) {
        context.caller.groups[context.caller.group_count++] = group;
    }
}

Result<fuse::Capabilities> Guest::init(std::uint64_t flags) {
    fuse::Capabilities capabilities;
    capabilities.flags = flags;
    const auto done = run(fs_.init(context, capabilities));
    if (!done) return fail(done.error());
    return capabilities;
}

Result<fuse::Entry> Guest::lookup(fuse::NodeId parent, const std::string& text) {
    return run(fs_.lookup(context, parent, name(text)));
}

Result<fuse::Entry> Guest::walk(const std::string& path) {
    std::istringstream parts(path);
    std::string part;
    Result<fuse::Entry> at = fail(Errno::invalid);
    fuse::NodeId parent = fuse::root_node;
    while (std::getline(parts, part, '/')) {
        at = lookup(parent, part);
        if (parent != fuse::root_node) forget(parent);
        if (!at) return at;
        parent = at->node;
    }
    return at;
}

void Guest::forget(fuse::NodeId node, std::uint64_t count) {
    const std::array all = {fuse::Forget{.node = node, .count = count}};
    run(fs_.forget(context, all));
}

Result<fuse::Attributes> Guest::getattr(fuse::NodeId node,
                                        std::optional<fuse::FileHandle> handle) {
    const auto found = run(fs_.getattr(context, node, handle));
    if (!found) return fail(found.error());
    return found->attributes;
}

Result<fuse::Attributes> Guest::setattr(fuse::NodeId node, fuse::SetAttributes change) {
    const auto found = run(fs_.setattr(context, node, change));
    if (!found) return fail(found.error());
    return found->attributes;
}

Result<fuse::Entry> Guest::mkdir(fuse::NodeId parent,
                                 const std::string& text,
                                 std::uint32_t mode,
                                 std::uint32_t umask) {
    const fuse::MakeRequest request = {.mode = mode, .umask = umask, .security = {}};
    return run(fs_.mkdir(context, parent, name(text), request));
}

Result<fuse::Entry> Guest::mknod(fuse::NodeId parent,
                                 const std::string& text,
                                 std::uint32_t mode,
                                 std::uint32_t rdev) {
    const fuse::MakeRequest request = {.mode = mode, .umask = 0, .rdev = rdev, .security = {}};
    return run(fs_.mknod(context, parent, name(text), request));
}

Result<fuse::Entry> Guest::symlink(fuse::NodeId parent,
                                   const std::string& text,
                                   const std::string& target) {
    const std::string_view with_nul(target.c_str(), target.size() + 1);
    return run(fs_.symlink(context, parent, name(text), with_nul, {}));
}

Result<std::string> Guest::readlink(fuse::NodeId node) {
    std::array<char, 4096> target = {};
    const auto size = run(fs_.readlink(context, node, target));
    if (!size) return fail(size.error());
    return std::string(target.data(), *size);
}

Result<fuse::Entry> Guest::link(fuse::NodeId node,
                                fuse::NodeId parent,
                                const std::string& text) {
    return run(fs_.link(context, node, parent, name(text)));
}

Result<void> Guest::unlink(fuse::NodeId parent, const std::string& text) {
    return run(fs_.unlink(context, parent, name(text)));
}

Result<void> Guest::rmdir(fuse::NodeId parent, const std::string& text) {
    return run(fs_.rmdir(context, parent, name(text)));
}

Result<void> Guest::rename(fuse::NodeId parent,
                           const std::string& text,
                           fuse::NodeId new_parent,
                           const std::string& new_text,
                           std::uint32_t flags) {
    return run(fs_.rename(context, parent, name(text), new_parent, name(new_text), flags));
}

Result<fuse::FileHandle> Guest::open(fuse::NodeId node, std::uint32_t flags) {
    const auto opened = run(fs_.open(context, node, {.flags = flags}));
    if (!opened) return fail(opened.error());
    return opened->handle;
}

Result<fuse::Created> Guest::create(fuse::NodeId parent,
                                    const std::string& text,
                                    std::uint32_t flags,
                                    std::uint32_t mode,
                                    std::uint32_t umask) {
    const fuse::CreateRequest request = {
        .flags = flags, .mode = mode, .umask = umask, .security = {}};
    return run(fs_.create(context, parent, name(text), request));
}

Result<std::string> Guest::read(fuse::NodeId node,
                                fuse::FileHandle handle,
                                std::uint64_t offset,
                                std::uint32_t size) {
    // In two parts of odd sizes: a request's memory is scattered.
    std::string data(size, '?');
    const std::size_t first = size / 3;
    const std::array to = {iovec{data.data(), first}, iovec{data.data() + first, size - first}};
    const fuse::ReadRequest request = {.offset = offset, .size = size, .flags = 0};
    const auto done = run(fs_.read(context, node, handle, request, to));
    if (!done) return fail(done.error());
    data.resize(*done);
    return data;
}

Result<std::size_t> Guest::write(fuse::NodeId node,
                                 fuse::FileHandle handle,
                                 std::uint64_t offset,
                                 const std::string& data,
                                 std::uint32_t flags,
                                 bool kill_suid_gid) {
    std::string copy = data;
    const std::size_t first = copy.size() / 3;
    const std::array from = {iovec{copy.data(), first},
                             iovec{copy.data() + first, copy.size() - first}};
    const fuse::WriteRequest request = {.offset = offset,
                                        .size = static_cast<std::uint32_t>(copy.size()),
                                        .flags = flags,
                                        .from_page_cache = false,
                                        .kill_suid_gid = kill_suid_gid};
    return run(fs_.write(context, node, handle, request, from));
}

Result<void> Guest::release(fuse::NodeId node, fuse::FileHandle handle) {
    const fuse::ReleaseRequest request = {
        .flags = 0, .posix_owner = std::nullopt, .flock_unlock = false};
    return run(fs_.release(context, node, handle, request));
}

Result<fuse::FileHandle> Guest::opendir(fuse::NodeId node) {
    const auto opened = run(fs_.opendir(context, node, {.flags = O_RDONLY}));
    if (!opened) return fail(opened.error());
    return opened->handle;
}

Result<void> Guest::releasedir(fuse::NodeId node, fuse::FileHandle handle) {
    return run(fs_.releasedir(context, node, handle));
}

Result<std::vector<Listed>> Guest::list(fuse::NodeId node,
                                        fuse::FileHandle handle,
                                        std::uint64_t offset,
                                        bool plus,
                                        std::size_t size) {
    std::vector<std::byte> reply(size);
    const std::array buffers = {iovec{reply.data(), reply.size()}};
    fuse::DirectoryWriter out(IovecCursor(buffers), size, plus);
    const auto done = plus ? run(fs_.readdirplus(context, node, handle, offset, out))
                           : run(fs_.readdir(context, node, handle, offset, out));
    if (!done) return fail(done.error());

    // struct fuse_direntplus: 128 bytes of entry_out, then fuse_dirent.
    std::vector<Listed> listed;
    for (std::size_t at = 0; at < out.size();) {
        const std::size_t entry_size = plus ? 128 : 0;
        std::uint64_t found_node = 0;
        if (plus) std::memcpy(&found_node, reply.data() + at, 8);
        std::uint64_t ino = 0;
        std::uint64_t next_offset = 0;
        std::uint32_t name_size = 0;
        std::uint32_t type = 0;
        const std::byte* const entry = reply.data() + at + entry_size;
        std::memcpy(&ino, entry, 8);
        std::memcpy(&next_offset, entry + 8, 8);
        std::memcpy(&name_size, entry + 16, 4);
        std::memcpy(&type, entry + 20, 4);
        const void* const text = entry + 24;
        listed.push_back({.name = std::string(static_cast<const char*>(text), name_size),
                          .node = fuse::NodeId{found_node},
                          .ino = ino,
                          .next_offset = next_offset,
                          .type = type});
        at += (entry_size + 24 + name_size + 7) & ~std::size_t{7};
    }
    return listed;
}

Result<std::vector<Listed>> Guest::list_all(fuse::NodeId node, bool plus) {
    const auto handle = opendir(node);
    if (!handle) return fail(handle.error());
    std::vector<Listed> all;
    for (std::uint64_t offset = 0;;) {
        const auto some = list(node, *handle, offset, plus);
        if (!some) return some;
        if (some->empty()) break;
        offset = some->back().next_offset;
        for (const Listed& entry : *some) {
            if (entry.name != "." && entry.name != "..") all.push_back(entry);
        }
    }
    static_cast<void>(releasedir(node, *handle));
    return all;
}

Result<void> Guest::setxattr(fuse::NodeId node,
                             const std::string& key,
                             const std::string& value) {
    return run(fs_.setxattr(context, node, key, std::as_bytes(std::span(value)), 0, false));
}

Result<std::string> Guest::getxattr(fuse::NodeId node, const std::string& key) {
    std::string value(1024, '?');
    const auto size =
        run(fs_.getxattr(context, node, key, std::as_writable_bytes(std::span(value))));
    if (!size) return fail(size.error());
    value.resize(*size);
    return value;
}

Result<std::vector<std::string>> Guest::listxattr(fuse::NodeId node) {
    std::string names(4096, '?');
    const auto size =
        run(fs_.listxattr(context, node, std::as_writable_bytes(std::span(names))));
    if (!size) return fail(size.error());
    names.resize(*size);
    std::vector<std::string> all;
    for (std::size_t at = 0; at < names.size();) {
        all.emplace_back(names.c_str() + at);
        at += all.back().size() + 1;
    }
    return all;
}

Result<void> Guest::setlk(fuse::NodeId node,
                          fuse::FileHandle handle,
                          fuse::LockRequest request) {
    return run(fs_.setlk(context, node, handle, request));
}

// --- MirrorTest

MirrorTest::MirrorTest() : scratch_(GetParam().parent) {
    EXPECT_TRUE(reactor::prepare_thread_credentials());
    reactor::ReactorOptions options;
    options.kind = GetParam().reactor;
    auto made = reactor::make_reactor(options, pool_, test_log());
    if (!made) std::abort();
    reactor_ = std::move(*made);
    std::filesystem::create_directory(scratch_.path("share"));
    std::filesystem::create_directory(scratch_.path("outside"));
    serve();
}

MirrorTest::~MirrorTest() {
    static_cast<void>(reactor::act_as(nullptr));
}

void MirrorTest::serve(MirrorOptions options) {
    guest_.reset();
    fs_ = make(std::move(options));
    guest_ = std::make_unique<Guest>(*fs_, *reactor_);
}

std::unique_ptr<MirrorFs> MirrorTest::make(MirrorOptions options) {
    if (options.directory.empty()) options.directory = host();
    options.always_async = GetParam().always_async;
    auto made = MirrorFs::make(std::move(options), test_log());
    if (!made) std::abort();
    return std::move(*made);
}

std::string MirrorTest::host(std::string_view name) const {
    return scratch_.path(name.empty() ? "share" : "share/" + std::string(name));
}

std::string MirrorTest::outside(std::string_view name) const {
    return scratch_.path("outside/" + std::string(name));
}

void MirrorTest::host_write(const std::string& name, std::string_view text, mode_t mode) const {
    std::ofstream(host(name), std::ios::binary) << text;
    ::chmod(host(name).c_str(), mode);
}

std::string MirrorTest::host_read(const std::string& name) const {
    std::ostringstream text;
    text << std::ifstream(host(name), std::ios::binary).rdbuf();
    return text.str();
}

struct stat MirrorTest::host_stat(const std::string& name) const {
    struct stat found = {};
    ::lstat(host(name).c_str(), &found);
    return found;
}

}  // namespace dpfs::mirror
