// SPDX-License-Identifier: Apache-2.0
#include "model_fs.hpp"

#include "base/iovec_cursor.hpp"
#include "base/or_return.hpp"
#include "fuse/directory_writer.hpp"
#include "reactor/reactor.hpp"
#include "require.hpp"

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>
#include <utility>

namespace dpfs::fuzz {

using fuse::Attributes;
using fuse::Capabilities;
using fuse::Created;
using fuse::DirectoryWriter;
using fuse::Entry;
using fuse::OpenReply;
using fuse::TimedAttributes;

namespace {

constexpr std::uint64_t offset_max = INT64_MAX;

void check_name(fuse::Name name) {
    const std::string_view text = name.view();
    require(!text.empty() && text.size() <= 255 && text != "." && text != "..");
    require(text.find('/') == text.npos && text.find('\0') == text.npos);
    require(name.c_str()[text.size()] == '\0');
}

void check_attribute_name(std::string_view name) {
    require(!name.empty() && name.size() <= 255 && name.find('\0') == name.npos);
    require(name.data()[name.size()] == '\0');
}

bool is_directory(std::uint32_t mode) {
    return (mode & S_IFMT) == S_IFDIR;
}

}  // namespace

// --- what the tenant's model is compared with

std::map<std::uint64_t, std::uint64_t> ModelFileSystem::references() const {
    std::map<std::uint64_t, std::uint64_t> all;
    for (const auto& [id, node] : nodes_) {
        if (node.references > 0) all[id] = node.references;
    }
    return all;
}

std::string_view ModelFileSystem::content(std::uint64_t node) const {
    const auto found = nodes_.find(node);
    return found == nodes_.end() ? std::string_view() : found->second.content;
}

// --- parts of operations

/// Counts those under way: a mount may not end before them.
class ModelFileSystem::Running {
  public:
    explicit Running(ModelFileSystem& files) : files_(files) { ++files_.running_; }
    ~Running() { --files_.running_; }
    Running(const Running&) = delete;
    Running& operator=(const Running&) = delete;

  private:
    ModelFileSystem& files_;
};

Task<Result<void>> ModelFileSystem::begin(Context& context) {
    require(mounted_ && context.reactor.on_own_thread());
    const Running running(*this);
    if (delay > Duration{}) {
        co_await or_return(co_await context.reactor.sleep(delay, &context.cancel));
    }
    require(mounted_ && context.reactor.on_own_thread());
    co_return Result<void>();
}

Result<ModelFileSystem::Node*> ModelFileSystem::find(NodeId id) {
    const auto found = nodes_.find(std::to_underlying(id));
    if (found == nodes_.end()) return fail(Errno::stale);
    return &found->second;
}

Result<ModelFileSystem::Node*> ModelFileSystem::find_directory(NodeId id) {
    const auto node = find(id);
    if (node && !is_directory((*node)->mode)) return fail(Errno::not_directory);
    return node;
}

Result<ModelFileSystem::Node*> ModelFileSystem::find_open(NodeId id, FileHandle handle) {
    const auto found = handles_.find(std::to_underlying(handle));
    if (found == handles_.end() || found->second != std::to_underlying(id)) {
        return fail(Errno::bad_descriptor);
    }
    return find(id);
}

Result<ModelFileSystem::Node*> ModelFileSystem::find_child(NodeId parent, Name name) {
    const auto directory = find_directory(parent);
    if (!directory) return directory;
    const auto found = (*directory)->children.find(name.view());
    if (found == (*directory)->children.end()) return fail(Errno::no_entry);
    return find(NodeId{found->second});
}

Result<ModelFileSystem::Node*> ModelFileSystem::make(NodeId parent,
                                                     Name name,
                                                     std::uint32_t mode) {
    check_name(name);
    const auto directory = find_directory(parent);
    if (!directory) return directory;
    if ((*directory)->children.contains(name.view())) return fail(Errno::exists);
    if (nodes_.size() >= node_count_max) return fail(Errno::no_space);
    const std::uint64_t id = ++last_node_;
    (*directory)->children.emplace(name.view(), id);
    Node& node = nodes_[id];
    node.id = id;
    node.mode = mode;
    node.links = 1;
    return &node;
}

void ModelFileSystem::drop_if_unused(std::uint64_t id) {
    const Node& node = nodes_.at(id);
    const bool open =
        std::ranges::any_of(handles_, [&](const auto& handle) { return handle.second == id; });
    if (node.references == 0 && node.links == 0 && !open) nodes_.erase(id);
}

Result<void> ModelFileSystem::unlink_child(NodeId parent, Name name, bool directory) {
    check_name(name);
    const auto child = find_child(parent, name);
    if (!child) return fail(child.error());
    Node& node = **child;
    if (is_directory(node.mode) != directory) {
        return fail(directory ? Errno::not_directory : Errno::is_directory);
    }
    if (!node.children.empty()) return fail(Errno::not_empty);
    Node& from = **find(parent);
    from.children.erase(from.children.find(name.view()));
    --node.links;
    drop_if_unused(node.id);
    return {};
}

fuse::FileHandle ModelFileSystem::open_handle(const Node& node) {
    handles_[++last_handle_] = node.id;
    return FileHandle{last_handle_};
}

fuse::Entry ModelFileSystem::refer(Node& node) {
    ++node.references;
    return {.node = NodeId{node.id},
            .generation = 0,
            .attributes = attributes_of(node),
            .entry_valid = seconds(1),
            .attributes_valid = seconds(1)};
}

fuse::Attributes ModelFileSystem::attributes_of(const Node& node) {
    Attributes all{};
    all.ino = node.id;
    all.size = node.content.size();
    all.mode = node.mode;
    all.nlink = node.links;
    return all;
}

// --- mounts

Task<Result<void>> ModelFileSystem::init(Context& context, Capabilities& /*capabilities*/) {
    require(!mounted_ && running_ == 0 && context.reactor.on_own_thread());
    if (delay > Duration{}) {
        co_await or_return(co_await context.reactor.sleep(delay, &context.cancel));
    }
    require(!mounted_);
    mounted_ = true;
    nodes_[1] = {.id = 1,
                 .mode = S_IFDIR | 0755,
                 .links = 1,
                 .content = {},
                 .children = {},
                 .attributes = {}};
    co_return Result<void>();
}

Task<void> ModelFileSystem::destroy(reactor::Reactor& reactor) {
    require(mounted_ && running_ == 0 && reactor.on_own_thread());
    if (delay > Duration{}) (void)co_await reactor.sleep(delay);
    require(running_ == 0);
    mounted_ = false;
    ++ended_count_;
    nodes_.clear();
    handles_.clear();
}

// --- names

Task<Result<Entry>> ModelFileSystem::lookup(Context& context, NodeId parent, Name name) {
    check_name(name);
    co_await or_return(co_await begin(context));
    check_name(name);
    co_return refer(*co_await or_return(find_child(parent, name)));
}

Task<void> ModelFileSystem::forget(Context& context, std::span<const fuse::Forget> nodes) {
    // Taken back whatever happens to the wait.
    (void)co_await begin(context);
    for (const fuse::Forget& one : nodes) {
        const auto node = find(one.node);
        if (!node) continue;
        (*node)->references -= std::min((*node)->references, one.count);
        drop_if_unused((*node)->id);
    }
}

Task<Result<Entry>> ModelFileSystem::mknod(Context& context,
                                           NodeId parent,
                                           Name name,
                                           fuse::MakeRequest request) {
    co_await or_return(co_await begin(context));
    const std::uint32_t mode = is_directory(request.mode) ? S_IFREG | 0644U : request.mode;
    co_return refer(*co_await or_return(make(parent, name, mode)));
}

Task<Result<Entry>> ModelFileSystem::mkdir(Context& context,
                                           NodeId parent,
                                           Name name,
                                           fuse::MakeRequest /*request*/) {
    co_await or_return(co_await begin(context));
    co_return refer(*co_await or_return(make(parent, name, S_IFDIR | 0755)));
}

Task<Result<Entry>> ModelFileSystem::symlink(Context& context,
                                             NodeId parent,
                                             Name name,
                                             std::string_view target_with_nul,
                                             fuse::SecurityContext /*security*/) {
    co_await or_return(co_await begin(context));
    require(target_with_nul.find('\0') == target_with_nul.npos);
    require(target_with_nul.data()[target_with_nul.size()] == '\0');
    Node& made = *co_await or_return(make(parent, name, S_IFLNK | 0777));
    made.content = target_with_nul;
    co_return refer(made);
}

Task<Result<Entry>> ModelFileSystem::link(Context& context,
                                          NodeId node,
                                          NodeId new_parent,
                                          Name new_name) {
    co_await or_return(co_await begin(context));
    check_name(new_name);
    Node& linked = *co_await or_return(find(node));
    Node& to = *co_await or_return(find_directory(new_parent));
    if (is_directory(linked.mode)) co_return fail(Errno::not_permitted);
    if (!to.children.emplace(new_name.view(), linked.id).second) co_return fail(Errno::exists);
    ++linked.links;
    co_return refer(linked);
}

Task<Result<void>> ModelFileSystem::unlink(Context& context, NodeId parent, Name name) {
    co_await or_return(co_await begin(context));
    co_return unlink_child(parent, name, false);
}

Task<Result<void>> ModelFileSystem::rmdir(Context& context, NodeId parent, Name name) {
    co_await or_return(co_await begin(context));
    co_return unlink_child(parent, name, true);
}

/// Never over another, so that no directory ever lies in itself but by its own name.
Task<Result<void>> ModelFileSystem::rename(Context& context,
                                           NodeId parent,
                                           Name name,
                                           NodeId new_parent,
                                           Name new_name,
                                           std::uint32_t flags) {
    co_await or_return(co_await begin(context));
    check_name(name);
    check_name(new_name);
    require(flags <= 7);
    Node& node = *co_await or_return(find_child(parent, name));
    Node& to = *co_await or_return(find_directory(new_parent));
    if (is_directory(node.mode) && parent != new_parent) co_return fail(Errno::cross_device);
    if (!to.children.emplace(new_name.view(), node.id).second) co_return fail(Errno::exists);
    Node& from = **find(parent);
    from.children.erase(from.children.find(name.view()));
    co_return Result<void>();
}

// --- inodes

Task<Result<TimedAttributes>> ModelFileSystem::getattr(Context& context,
                                                       NodeId node,
                                                       std::optional<FileHandle> handle) {
    co_await or_return(co_await begin(context));
    if (handle) co_await or_return(find_open(node, *handle));
    co_return TimedAttributes{attributes_of(*co_await or_return(find(node))), seconds(1)};
}

Task<Result<TimedAttributes>> ModelFileSystem::setattr(Context& context,
                                                       NodeId id,
                                                       fuse::SetAttributes change) {
    co_await or_return(co_await begin(context));
    if (change.handle) co_await or_return(find_open(id, *change.handle));
    Node& node = *co_await or_return(find(id));
    if (change.size) {
        require(*change.size <= offset_max);
        if (*change.size > file_size_max) co_return fail(Errno::file_too_big);
        node.content.resize(*change.size);
    }
    for (const auto& time : {change.atime, change.mtime, change.ctime}) {
        require(!time || time->now || time->nanoseconds < 1'000'000'000);
    }
    if (change.mode) node.mode = (node.mode & S_IFMT) | *change.mode;
    co_return TimedAttributes{attributes_of(node), seconds(1)};
}

Task<Result<std::size_t>> ModelFileSystem::readlink(Context& context,
                                                    NodeId id,
                                                    std::span<char> target) {
    co_await or_return(co_await begin(context));
    Node& node = *co_await or_return(find(id));
    if ((node.mode & S_IFMT) != S_IFLNK) co_return fail(Errno::invalid);
    const std::size_t size = std::min(target.size(), node.content.size());
    std::copy_n(node.content.data(), size, target.data());
    co_return size;
}

Task<Result<void>> ModelFileSystem::access(Context& context, NodeId node, std::uint32_t mask) {
    co_await or_return(co_await begin(context));
    require(mask <= 7);
    co_await or_return(find(node));
    co_return Result<void>();
}

Task<Result<fuse::FileSystemStatus>> ModelFileSystem::statfs(Context& context, NodeId node) {
    co_await or_return(co_await begin(context));
    co_await or_return(find(node));
    co_return fuse::FileSystemStatus{};
}

Task<Result<void>> ModelFileSystem::statx(Context& context,
                                          NodeId node,
                                          std::optional<FileHandle> handle,
                                          std::uint32_t /*flags*/,
                                          std::uint32_t /*mask*/,
                                          struct ::statx& out,
                                          Duration& valid) {
    co_await or_return(co_await begin(context));
    if (handle) co_await or_return(find_open(node, *handle));
    out.stx_size = (co_await or_return(find(node)))->content.size();
    valid = seconds(1);
    co_return Result<void>();
}

// --- files

Task<Result<OpenReply>> ModelFileSystem::open(Context& context,
                                              NodeId id,
                                              fuse::OpenRequest request) {
    co_await or_return(co_await begin(context));
    require((request.flags & (O_CREAT | O_EXCL | O_NOCTTY)) == 0);
    Node& node = *co_await or_return(find(id));
    if (is_directory(node.mode)) co_return fail(Errno::is_directory);
    if ((request.flags & O_TRUNC) != 0) node.content.clear();
    co_return OpenReply{.handle = open_handle(node)};
}

Task<Result<Created>> ModelFileSystem::create(Context& context,
                                              NodeId parent,
                                              Name name,
                                              fuse::CreateRequest /*request*/) {
    co_await or_return(co_await begin(context));
    Node& node = *co_await or_return(make(parent, name, S_IFREG | 0644));
    co_return Created{refer(node), OpenReply{.handle = open_handle(node)}};
}

Task<Result<std::size_t>> ModelFileSystem::read(Context& context,
                                                NodeId id,
                                                FileHandle handle,
                                                fuse::ReadRequest request,
                                                std::span<const iovec> to) {
    require(total_size(to) == request.size && request.offset <= offset_max - request.size);
    co_await or_return(co_await begin(context));
    const std::string& content = (co_await or_return(find_open(id, handle)))->content;
    if (request.offset >= content.size()) co_return std::size_t{0};
    const auto piece = std::string_view(content).substr(request.offset, request.size);
    IovecCursor out(to);
    require(out.copy_in(std::as_bytes(std::span(piece))).has_value());
    co_return piece.size();
}

Task<Result<std::size_t>> ModelFileSystem::write(Context& context,
                                                 NodeId id,
                                                 FileHandle handle,
                                                 fuse::WriteRequest request,
                                                 std::span<const iovec> from) {
    require(total_size(from) == request.size && request.offset <= offset_max - request.size);
    co_await or_return(co_await begin(context));
    std::string& content = (co_await or_return(find_open(id, handle)))->content;
    if (request.offset + request.size > file_size_max) co_return fail(Errno::file_too_big);
    const std::size_t end = request.offset + request.size;
    if (request.size > 0 && content.size() < end) content.resize(end);
    const auto piece =
        std::span(content).subspan(request.size > 0 ? request.offset : 0, request.size);
    IovecCursor in(from);
    require(in.copy_out(std::as_writable_bytes(piece)).has_value());
    co_return request.size;
}

Task<Result<void>> ModelFileSystem::release(Context& context,
                                            NodeId id,
                                            FileHandle handle,
                                            fuse::ReleaseRequest /*request*/) {
    co_await or_return(co_await begin(context));
    Node& node = *co_await or_return(find_open(id, handle));
    handles_.erase(std::to_underlying(handle));
    drop_if_unused(node.id);
    co_return Result<void>();
}

Task<Result<void>> ModelFileSystem::fallocate(Context& context,
                                              NodeId id,
                                              FileHandle handle,
                                              std::uint32_t mode,
                                              std::uint64_t offset,
                                              std::uint64_t length) {
    co_await or_return(co_await begin(context));
    require(length > 0 && offset <= offset_max - length);
    std::string& content = (co_await or_return(find_open(id, handle)))->content;
    if (offset + length > file_size_max) co_return fail(Errno::no_space);
    const bool keeps_size = (mode & FALLOC_FL_KEEP_SIZE) != 0;
    if (!keeps_size && content.size() < offset + length) content.resize(offset + length);
    co_return Result<void>();
}

Task<Result<std::uint64_t>> ModelFileSystem::lseek(Context& context,
                                                   NodeId id,
                                                   FileHandle handle,
                                                   std::uint64_t offset,
                                                   std::uint32_t whence) {
    co_await or_return(co_await begin(context));
    require(offset <= offset_max && (whence == SEEK_DATA || whence == SEEK_HOLE));
    const std::uint64_t size = (co_await or_return(find_open(id, handle)))->content.size();
    if (offset >= size) co_return fail(Errno::no_device);
    co_return whence == SEEK_DATA ? offset : size;
}

Task<Result<std::size_t>> ModelFileSystem::copy_file_range(Context& context,
                                                           fuse::CopyRequest request) {
    co_await or_return(co_await begin(context));
    require(request.from_offset <= offset_max - request.size);
    require(request.to_offset <= offset_max - request.size);
    Node& source = *co_await or_return(find_open(request.from, request.from_handle));
    Node& target = *co_await or_return(find_open(request.to, request.to_handle));
    if (request.from_offset >= source.content.size()) co_return std::size_t{0};
    const std::string piece = source.content.substr(request.from_offset, request.size);
    if (request.to_offset + piece.size() > file_size_max) co_return fail(Errno::no_space);
    std::string& to = target.content;
    to.resize(std::max<std::size_t>(to.size(), request.to_offset + piece.size()));
    to.replace(request.to_offset, piece.size(), piece);
    co_return piece.size();
}

// --- directories

Task<Result<OpenReply>> ModelFileSystem::opendir(Context& context,
                                                 NodeId id,
                                                 fuse::OpenRequest /*request*/) {
    co_await or_return(co_await begin(context));
    Node& node = *co_await or_return(find_directory(id));
    co_return OpenReply{.handle = open_handle(node)};
}

Result<void> ModelFileSystem::list(NodeId id,
                                   FileHandle handle,
                                   std::uint64_t offset,
                                   DirectoryWriter& out) {
    const auto directory = find_open(id, handle);
    if (!directory) return fail(directory.error());
    std::uint64_t position = 0;
    for (const auto& [name, child] : (*directory)->children) {
        if (position++ < offset) continue;
        if (!out.has_room_for(name.size())) break;
        Node& node = nodes_.at(child);
        const DirectoryWriter::Item item = {
            .name = name, .ino = child, .type = node.mode >> 12U & 15, .next_offset = position};
        require(out.plus() ? out.add(item, refer(node)) : out.add(item));
    }
    return {};
}

Task<Result<void>> ModelFileSystem::readdir(Context& context,
                                            NodeId node,
                                            FileHandle handle,
                                            std::uint64_t offset,
                                            DirectoryWriter& out) {
    co_await or_return(co_await begin(context));
    require(!out.plus());
    co_return list(node, handle, offset, out);
}

Task<Result<void>> ModelFileSystem::readdirplus(Context& context,
                                                NodeId node,
                                                FileHandle handle,
                                                std::uint64_t offset,
                                                DirectoryWriter& out) {
    co_await or_return(co_await begin(context));
    require(out.plus());
    co_return list(node, handle, offset, out);
}

Task<Result<void>> ModelFileSystem::releasedir(Context& context,
                                               NodeId node,
                                               FileHandle handle) {
    return release(context, node, handle, {});
}

// --- extended attributes, and the rest

Task<Result<void>> ModelFileSystem::setxattr(Context& context,
                                             NodeId id,
                                             std::string_view name,
                                             std::span<const std::byte> value,
                                             std::uint32_t flags,
                                             bool /*acl_kill_sgid*/) {
    co_await or_return(co_await begin(context));
    check_attribute_name(name);
    require(value.size() <= 65536 && flags <= 3);
    Node& node = *co_await or_return(find(id));
    if (node.attributes.size() >= 8) co_return fail(Errno::no_space);
    std::string text(value.size(), '\0');
    if (!value.empty()) std::memcpy(text.data(), value.data(), value.size());
    node.attributes[std::string(name)] = std::move(text);
    co_return Result<void>();
}

Task<Result<std::size_t>> ModelFileSystem::getxattr(Context& context,
                                                    NodeId id,
                                                    std::string_view name,
                                                    std::span<std::byte> value) {
    co_await or_return(co_await begin(context));
    check_attribute_name(name);
    Node& node = *co_await or_return(find(id));
    const auto found = node.attributes.find(name);
    if (found == node.attributes.end()) co_return fail(Errno::no_data);
    const std::string& text = found->second;
    if (value.empty()) co_return text.size();
    if (value.size() < text.size()) co_return fail(Errno::range);
    std::ranges::copy(std::as_bytes(std::span(text)), value.begin());
    co_return text.size();
}

Task<Result<std::size_t>> ModelFileSystem::listxattr(Context& context,
                                                     NodeId id,
                                                     std::span<std::byte> names) {
    co_await or_return(co_await begin(context));
    Node& node = *co_await or_return(find(id));
    std::string all;
    for (const auto& [name, value] : node.attributes) all += name + '\0';
    if (names.empty()) co_return all.size();
    if (names.size() < all.size()) co_return fail(Errno::range);
    std::ranges::copy(std::as_bytes(std::span(all)), names.begin());
    co_return all.size();
}

Task<Result<void>> ModelFileSystem::removexattr(Context& context,
                                                NodeId id,
                                                std::string_view name) {
    co_await or_return(co_await begin(context));
    check_attribute_name(name);
    Node& node = *co_await or_return(find(id));
    const auto found = node.attributes.find(name);
    if (found == node.attributes.end()) co_return fail(Errno::no_data);
    node.attributes.erase(found);
    co_return Result<void>();
}

/// A lock that is waited for is never free: the wait ends with the session's limit, an
/// INTERRUPT or the mount.
Task<Result<void>> ModelFileSystem::setlk(Context& context,
                                          NodeId id,
                                          FileHandle handle,
                                          fuse::LockRequest request) {
    co_await or_return(co_await begin(context));
    co_await or_return(find_open(id, handle));
    if (!request.wait) co_return Result<void>();
    const Running running(*this);
    co_await or_return(co_await context.reactor.sleep(seconds(3600), &context.cancel));
    co_return fail(Errno::deadlock);
}

Task<Result<std::size_t>> ModelFileSystem::ioctl(Context& context,
                                                 NodeId id,
                                                 FileHandle handle,
                                                 std::uint32_t /*command*/,
                                                 std::uint64_t /*argument*/,
                                                 std::span<const std::byte> in,
                                                 std::span<std::byte> out,
                                                 std::int32_t& value) {
    co_await or_return(co_await begin(context));
    co_await or_return(find_open(id, handle));
    const std::size_t size = std::min(in.size(), out.size());
    std::copy_n(in.begin(), size, out.begin());
    value = 1;
    co_return size;
}

}  // namespace dpfs::fuzz
