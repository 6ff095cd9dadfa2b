// SPDX-License-Identifier: Apache-2.0
#include "net/nfs4/attributes.hpp"

#include <charconv>
#include <memory>
#include <span>

namespace dpfs::nfs4 {
namespace {

constexpr std::size_t owner_size_max = 1024;

Time take_time(rpc::XdrReader& in) noexcept {
    Time time;
    time.seconds = static_cast<std::int64_t>(in.u64());
    time.nanoseconds = in.u32();
    if (time.nanoseconds > 999'999'999) in.fail();
    return time;
}

void put_time(rpc::XdrWriter& out, const NewAttributes::SetTime& set) {
    out.u32(set.now ? 0 : 1);  // SET_TO_SERVER_TIME4, SET_TO_CLIENT_TIME4
    if (set.now) return;
    out.u64(static_cast<std::uint64_t>(set.time.seconds));
    out.u32(set.time.nanoseconds);
}

/// Attributes 0 to 31, in the order of their numbers, as the server sent them (3.3.8).
void take_first_word(rpc::XdrReader& in, Attributes& to) {
    using enum Attribute;
    const AttributeSet& has = to.present;
    if (has.has(supported)) to.supported = AttributeSet::take(in);
    if (has.has(type)) {
        const std::uint32_t number = in.u32();
        // 8 and 9 are named attributes, which nobody asks for.
        if (number < 1 || number > 7) in.fail();
        to.type = FileType{number};
    }
    if (has.has(change)) to.change = in.u64();
    if (has.has(size)) to.size = in.u64();
    if (has.has(fsid)) {
        to.fsid.major = in.u64();
        to.fsid.minor = in.u64();
    }
    if (has.has(lease_time)) to.lease_time = in.u32();
    if (has.has(rdattr_error)) to.error = in.u32();
    if (has.has(filehandle)) to.handle = FileHandle(in.opaque(file_handle_size_max));
    if (has.has(fileid)) to.fileid = in.u64();
    if (has.has(files_available)) to.files_available = in.u64();
    if (has.has(files_free)) to.files_free = in.u64();
    if (has.has(files_total)) to.files_total = in.u64();
    if (has.has(name_max)) to.name_max = in.u32();
    if (has.has(read_max)) to.read_max = in.u64();
    if (has.has(write_max)) to.write_max = in.u64();
}

void take_other_words(rpc::XdrReader& in, Attributes& to) {
    using enum Attribute;
    const AttributeSet& has = to.present;
    if (has.has(mode)) to.mode = in.u32();
    if (has.has(link_count)) to.link_count = in.u32();
    if (has.has(owner)) to.owner = in.string(owner_size_max);
    if (has.has(owner_group)) to.owner_group = in.string(owner_size_max);
    if (has.has(rawdev)) {
        to.device_major = in.u32();
        to.device_minor = in.u32();
    }
    if (has.has(space_available)) to.space_available = in.u64();
    if (has.has(space_free)) to.space_free = in.u64();
    if (has.has(space_total)) to.space_total = in.u64();
    if (has.has(space_used)) to.space_used = in.u64();
    if (has.has(time_access)) to.access = take_time(in);
    if (has.has(time_metadata)) to.metadata = take_time(in);
    if (has.has(time_modify)) to.modify = take_time(in);
    if (has.has(mounted_on_fileid)) to.mounted_on_fileid = in.u64();
    if (has.has(clone_block_size)) to.clone_block_size = in.u32();
    if (has.has(xattr_support)) to.xattr_support = in.boolean();
}

}  // namespace

void AttributeSet::put(rpc::XdrWriter& out) const {
    std::size_t count = words_.size();
    while (count > 0 && words_[count - 1] == 0) --count;
    out.u32(static_cast<std::uint32_t>(count));
    for (std::size_t i = 0; i < count; ++i) out.u32(words_[i]);
}

AttributeSet AttributeSet::take(rpc::XdrReader& in) noexcept {
    AttributeSet set;
    const std::uint32_t count = in.count(4);
    for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
        const std::uint32_t word = in.u32();
        if (i < set.words_.size()) set.words_[i] = word;
    }
    return set;
}

Attributes take_attributes(rpc::XdrReader& in, const AttributeSet& wanted) {
    Attributes attributes;
    attributes.present = AttributeSet::take(in);
    const std::uint32_t size = in.u32();
    if (!attributes.present.within(wanted) || size > in.left()) in.fail();
    if (!in.ok()) return {};
    const std::size_t left_after = in.left() - size;
    take_first_word(in, attributes);
    take_other_words(in, attributes);
    if (in.left() != left_after) in.fail();
    return attributes;
}

void put_attributes(rpc::XdrWriter& out, const NewAttributes& attributes) {
    AttributeSet set;
    if (attributes.size) set.add(Attribute::size);
    if (attributes.mode) set.add(Attribute::mode);
    if (attributes.owner) set.add(Attribute::owner);
    if (attributes.owner_group) set.add(Attribute::owner_group);
    if (attributes.access) set.add(Attribute::time_access_set);
    if (attributes.modify) set.add(Attribute::time_modify_set);
    set.put(out);
    const std::size_t size_at = out.position();
    out.u32(0);
    if (attributes.size) out.u64(*attributes.size);
    if (attributes.mode) out.u32(*attributes.mode);
    if (attributes.owner) out.string(*attributes.owner);
    if (attributes.owner_group) out.string(*attributes.owner_group);
    if (attributes.access) put_time(out, *attributes.access);
    if (attributes.modify) put_time(out, *attributes.modify);
    out.patch_u32(size_at, static_cast<std::uint32_t>(out.position() - size_at - 4));
}

Result<std::uint32_t> parse_owner(std::string_view owner) noexcept {
    std::uint32_t number = 0;
    const std::span<const char> text = owner;
    const char* const end = std::to_address(text.end());
    const auto [stop, error] = std::from_chars(std::to_address(text.begin()), end, number);
    if (error == std::errc() && stop == end) return number;
    if (owner.substr(0, owner.find('@')) == "root") return 0U;
    return fail(Errno::invalid);
}

}  // namespace dpfs::nfs4
