// SPDX-License-Identifier: Apache-2.0
// Operations on names and attributes.
#include "fake_nfs/compound.hpp"

#include <array>
#include <cstring>

namespace dpfs::fake_nfs {

using nfs4::Attribute;
using nfs4::AttributeSet;
using nfs4::FileType;
using nfs4::Status;

namespace {

using enum Attribute;
constexpr std::array supported_list = {supported,
                                       type,
                                       change,
                                       size,
                                       fsid,
                                       lease_time,
                                       filehandle,
                                       fileid,
                                       files_available,
                                       files_free,
                                       files_total,
                                       name_max,
                                       read_max,
                                       write_max,
                                       mode,
                                       link_count,
                                       owner,
                                       owner_group,
                                       rawdev,
                                       space_available,
                                       space_free,
                                       space_total,
                                       space_used,
                                       time_access,
                                       time_metadata,
                                       time_modify,
                                       mounted_on_fileid};

AttributeSet supported_of(const AttributeSet& wanted) {
    AttributeSet set;
    for (const Attribute each : supported_list) {
        if (wanted.has(each)) set.add(each);
    }
    return set;
}

AttributeSet all_supported() {
    AttributeSet set;
    for (const Attribute each : supported_list) set.add(each);
    return set;
}

constexpr std::uint64_t plenty = 1ULL << 40;
constexpr std::uint32_t lease_time_s = 3600;

std::span<const std::byte> handle_of(const Node& node) noexcept {
    return std::as_bytes(std::span(&node.id, 1));
}

}  // namespace

Status Compound::put_file() {
    const auto handle = in_.opaque(nfs4::file_handle_size_max);
    std::uint64_t id = 0;
    if (handle.size() != sizeof id) return Status::badhandle;
    std::memcpy(&id, handle.data(), sizeof id);
    current_ = tree_.find(id);
    return current_ == nullptr ? Status::stale : Status::ok;
}

Status Compound::get_file_handle() {
    out_.opaque(handle_of(*current_));
    return Status::ok;
}

Status Compound::lookup() {
    Node* const found = tree_.find(*current_, in_.string(nfs4::opaque_max));
    if (found == nullptr) return Status::noent;
    current_ = found;
    return Status::ok;
}

Status Compound::lookup_parent() {
    current_ = current_->parent;
    return Status::ok;
}

Status Compound::access() {
    const std::uint32_t wanted = in_.u32();
    out_.u32(wanted);
    out_.u32(wanted);
    return Status::ok;
}

Status Compound::getattr() {
    put_attributes(AttributeSet::take(in_), *current_);
    return Status::ok;
}

Status Compound::setattr() {
    in_.fixed(16);  // the state
    apply(take_attributes(), *current_);
    out_.u32(0);
    return Status::ok;
}

Status Compound::make_directory() {
    const FileType type{in_.u32()};
    if (type != FileType::directory) return Status::notsupp;
    const std::string_view name = in_.string(nfs4::opaque_max);
    const NewAttributes attributes = take_attributes();
    Node& directory = *current_;
    Node* const made = tree_.make(directory, name, type);
    if (made == nullptr) return Status::exist;
    apply(attributes, *made);
    current_ = made;
    put_change(directory);
    out_.u32(0);
    return Status::ok;
}

Status Compound::remove() {
    const Status status = tree_.remove(*current_, in_.string(nfs4::opaque_max));
    if (status == Status::ok) put_change(*current_);
    return status;
}

Status Compound::rename() {
    const std::string_view name = in_.string(nfs4::opaque_max);
    const std::string_view new_name = in_.string(nfs4::opaque_max);
    if (saved_ == nullptr) return Status::nofilehandle;
    const Status status = tree_.rename(*saved_, name, *current_, new_name);
    if (status != Status::ok) return status;
    put_change(*saved_);
    put_change(*current_);
    return Status::ok;
}

Status Compound::readdir() {
    const std::uint64_t cookie = in_.u64();
    in_.fixed(nfs4::verifier_size);
    in_.u32();
    const std::uint32_t size_max = in_.u32();
    const AttributeSet wanted = AttributeSet::take(in_);
    constexpr std::size_t end_size = 16;  // of the whole result: verifier, end of the list
    if (!in_.ok() || size_max < end_size) return Status::inval;
    size_left_ = size_max - end_size;
    out_.u64(0);  // the verifier: cookies are good for ever
    auto next = current_->listing.upper_bound(cookie);
    for (; next != current_->listing.end(); ++next) {
        const Node* const node = tree_.find(*current_, *next->second);
        if (!put_entry(next->first, *next->second, *node, wanted)) break;
    }
    out_.boolean(false);
    out_.boolean(next == current_->listing.end());
    return Status::ok;
}

bool Compound::put_entry(std::uint64_t cookie,
                         std::string_view name,
                         const Node& node,
                         AttributeSet wanted) {
    const std::size_t before = out_.position();
    out_.boolean(true);
    out_.u64(cookie);
    out_.string(name);
    put_attributes(wanted, node);
    const std::size_t size = out_.position() - before;
    if (size > size_left_) {
        output_->bytes.resize(before);
        return false;
    }
    size_left_ -= size;
    return true;
}

Compound::NewAttributes Compound::take_attributes() {
    const AttributeSet set = AttributeSet::take(in_);
    rpc::XdrReader values(in_.opaque(nfs4::opaque_max));
    // In the order of their numbers; what comes behind the mode is not kept.
    NewAttributes taken;
    taken.has_size = set.has(Attribute::size);
    if (taken.has_size) taken.size = values.u64();
    taken.has_mode = set.has(Attribute::mode);
    if (taken.has_mode) taken.mode = values.u32();
    return taken;
}

void Compound::apply(const NewAttributes& attributes, Node& node) {
    if (attributes.has_size) tree_.resize(node, attributes.size);
    if (attributes.has_mode) node.mode = attributes.mode;
    ++node.change;
}

void Compound::put_attributes(AttributeSet wanted, const Node& node) {
    const AttributeSet set = supported_of(wanted);
    set.put(out_);
    const std::size_t size_at = out_.position();
    out_.u32(0);
    const auto number = [&](Attribute attribute, std::uint64_t value) {
        if (set.has(attribute)) out_.u64(value);
    };
    const auto word = [&](Attribute attribute, std::uint32_t value) {
        if (set.has(attribute)) out_.u32(value);
    };
    const auto time = [&](Attribute attribute) {
        if (!set.has(attribute)) return;
        out_.u64(node.change);
        out_.u32(0);
    };
    const bool is_directory = node.type == FileType::directory;
    const std::uint64_t bytes = is_directory ? 4096 : node.data->size();
    if (set.has(supported)) all_supported().put(out_);
    word(type, static_cast<std::uint32_t>(node.type));
    number(change, node.change);
    number(size, bytes);
    if (set.has(fsid)) {
        out_.u64(1);
        out_.u64(1);
    }
    word(lease_time, lease_time_s);
    if (set.has(filehandle)) out_.opaque(handle_of(node));
    number(fileid, node.id + 1);
    for (const Attribute each : {files_available, files_free, files_total}) {
        number(each, plenty);
    }
    word(name_max, 255);
    number(read_max, limits_.data_size_max);
    number(write_max, limits_.data_size_max);
    word(mode, node.mode);
    word(link_count, is_directory ? 2 : 1);
    if (set.has(owner)) out_.string("0");
    if (set.has(owner_group)) out_.string("0");
    if (set.has(rawdev)) out_.u64(0);
    for (const Attribute each : {space_available, space_free, space_total}) {
        number(each, plenty);
    }
    number(space_used, bytes);
    for (const Attribute each : {time_access, time_metadata, time_modify}) time(each);
    number(mounted_on_fileid, node.id + 1);
    out_.patch_u32(size_at, static_cast<std::uint32_t>(out_.position() - size_at - 4));
}

}  // namespace dpfs::fake_nfs
