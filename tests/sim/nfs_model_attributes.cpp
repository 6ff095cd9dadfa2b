// SPDX-License-Identifier: Apache-2.0
#include "nfs_model_attributes.hpp"

#include <array>
#include <charconv>
#include <string>

namespace dpfs::sim {
namespace {

using nfs4::Attribute;

struct Source {
    const ModelInode& inode;
    const ModelLimits& limits;
};
constexpr std::uint64_t plenty = std::uint64_t{1} << 40;

template <std::uint64_t number>
void put_number(rpc::XdrWriter& out, const Source&) {
    out.u64(number);
}
template <std::uint32_t number>
void put_word(rpc::XdrWriter& out, const Source&) {
    out.u32(number);
}
void put_type(rpc::XdrWriter& out, const Source& of) {
    out.u32(static_cast<std::uint32_t>(of.inode.type));
}
void put_change(rpc::XdrWriter& out, const Source& of) {
    out.u64(of.inode.change);
}
void put_size(rpc::XdrWriter& out, const Source& of) {
    out.u64(of.inode.data.size());
}
void put_fsid(rpc::XdrWriter& out, const Source&) {
    out.u64(1);
    out.u64(0);
}
void put_lease(rpc::XdrWriter& out, const Source& of) {
    out.u32(of.limits.lease_time);
}
void put_handle(rpc::XdrWriter& out, const Source& of) {
    out.opaque(ModelFiles::handle_of(of.inode).bytes());
}
void put_id(rpc::XdrWriter& out, const Source& of) {
    out.u64(of.inode.id);
}
void put_data_max(rpc::XdrWriter& out, const Source& of) {
    out.u64(of.limits.data_size_max);
}
void put_mode(rpc::XdrWriter& out, const Source& of) {
    out.u32(of.inode.mode);
}
void put_links(rpc::XdrWriter& out, const Source& of) {
    out.u32(of.inode.link_count);
}
void put_owner(rpc::XdrWriter& out, const Source& of) {
    out.string(std::to_string(of.inode.uid));
}
void put_group(rpc::XdrWriter& out, const Source& of) {
    out.string(std::to_string(of.inode.gid));
}
void put_device(rpc::XdrWriter& out, const Source&) {
    out.u32(0);
    out.u32(0);
}
void put_used(rpc::XdrWriter& out, const Source& of) {
    out.u64((of.inode.data.size() + 511) / 512 * 512);
}
void put_time(rpc::XdrWriter& out, const Source& of) {
    out.u64(1'000'000 + of.inode.change);
    out.u32(0);
}

struct Known {
    Attribute attribute;
    void (*put)(rpc::XdrWriter& out, const Source& of);
};
// In the order of their numbers, which is the order on the wire.
constexpr std::array known_attributes = {
    Known{Attribute::type, put_type},
    Known{Attribute::change, put_change},
    Known{Attribute::size, put_size},
    Known{Attribute::fsid, put_fsid},
    Known{Attribute::lease_time, put_lease},
    Known{Attribute::rdattr_error, put_word<0>},
    Known{Attribute::filehandle, put_handle},
    Known{Attribute::fileid, put_id},
    Known{Attribute::files_available, put_number<plenty>},
    Known{Attribute::files_free, put_number<plenty>},
    Known{Attribute::files_total, put_number<plenty>},
    Known{Attribute::name_max, put_word<255>},
    Known{Attribute::read_max, put_data_max},
    Known{Attribute::write_max, put_data_max},
    Known{Attribute::mode, put_mode},
    Known{Attribute::link_count, put_links},
    Known{Attribute::owner, put_owner},
    Known{Attribute::owner_group, put_group},
    Known{Attribute::rawdev, put_device},
    Known{Attribute::space_available, put_number<plenty>},
    Known{Attribute::space_free, put_number<plenty>},
    Known{Attribute::space_total, put_number<plenty>},
    Known{Attribute::space_used, put_used},
    Known{Attribute::time_access, put_time},
    Known{Attribute::time_metadata, put_time},
    Known{Attribute::time_modify, put_time},
    Known{Attribute::mounted_on_fileid, put_id},
};

std::uint32_t take_number(rpc::XdrReader& in) {
    const std::string_view text = in.string(nfs4::opaque_max);
    std::uint32_t number = 65534;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

void skip_time(rpc::XdrReader& in) {
    if (in.u32() == 1) in.fixed(12);
}

}  // namespace

void put_attributes(rpc::XdrWriter& out,
                    const ModelInode& inode,
                    const nfs4::AttributeSet& asked,
                    const ModelLimits& limits) {
    nfs4::AttributeSet present;
    for (const Known& each : known_attributes) {
        if (asked.has(each.attribute)) present.add(each.attribute);
    }
    present.put(out);
    const std::size_t size_at = out.position();
    out.u32(0);
    for (const Known& each : known_attributes) {
        if (present.has(each.attribute)) each.put(out, {inode, limits});
    }
    out.patch_u32(size_at, static_cast<std::uint32_t>(out.position() - size_at - 4));
}

ModelNewAttributes take_new_attributes(rpc::XdrReader& in) {
    ModelNewAttributes wanted;
    wanted.set = nfs4::AttributeSet::take(in);
    in.u32();  // its size: the set says what is there
    if (wanted.set.has(Attribute::size)) wanted.size = in.u64();
    if (wanted.set.has(Attribute::mode)) wanted.mode = in.u32();
    if (wanted.set.has(Attribute::owner)) wanted.uid = take_number(in);
    if (wanted.set.has(Attribute::owner_group)) wanted.gid = take_number(in);
    if (wanted.set.has(Attribute::time_access_set)) skip_time(in);
    if (wanted.set.has(Attribute::time_modify_set)) skip_time(in);
    return wanted;
}

}  // namespace dpfs::sim
