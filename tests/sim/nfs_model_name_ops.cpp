// SPDX-License-Identifier: Apache-2.0
#include "nfs_model_compound.hpp"

#include <algorithm>

namespace dpfs::sim {
namespace {

constexpr std::size_t name_size_max = 255;

void set(ModelInode& inode, const ModelNewAttributes& wanted) {
    if (wanted.mode) inode.mode = *wanted.mode;
    if (wanted.uid) inode.uid = *wanted.uid;
    if (wanted.gid) inode.gid = *wanted.gid;
    ++inode.change;
}

}  // namespace

nfs4::Status ModelCompound::put_root() {
    file_ = core_.files.root().id;
    return Status::ok;
}

nfs4::Status ModelCompound::save_file() {
    saved_file_ = file_;
    return Status::ok;
}

nfs4::Status ModelCompound::restore_file() {
    file_ = saved_file_;
    return Status::ok;
}

nfs4::Status ModelCompound::get_handle() {
    const auto inode = current();
    if (!inode) return inode.error();
    out_.opaque(ModelFiles::handle_of(**inode).bytes());
    return Status::ok;
}

nfs4::Status ModelCompound::get_attributes() {
    const auto asked = nfs4::AttributeSet::take(in_);
    const auto inode = current();
    if (!inode) return inode.error();
    put_attributes(out_, **inode, asked, core_.limits);
    return Status::ok;
}

nfs4::Status ModelCompound::read_link() {
    const auto inode = current();
    if (!inode) return inode.error();
    if ((*inode)->type != nfs4::FileType::link) return Status::inval;
    out_.string((*inode)->target);
    return Status::ok;
}

nfs4::Status ModelCompound::put_file() {
    const nfs4::FileHandle handle(in_.opaque(nfs4::file_handle_size_max));
    const ModelInode* const inode = core_.files.find(handle);
    if (inode == nullptr) return Status::stale;
    file_ = inode->id;
    return Status::ok;
}

nfs4::Status ModelCompound::look_up() {
    const std::string_view name = in_.string(nfs4::opaque_max);
    const auto dir = directory(file_);
    if (!dir) return dir.error();
    const auto found = (*dir)->entries.find(name);
    if (found == (*dir)->entries.end()) return Status::noent;
    file_ = found->second.id;
    return Status::ok;
}

nfs4::Status ModelCompound::make() {
    const nfs4::FileType type{in_.u32()};
    std::string target;
    if (type == nfs4::FileType::link) target = in_.string(4096);
    if (type == nfs4::FileType::block || type == nfs4::FileType::character) in_.u64();
    const std::string name(in_.string(nfs4::opaque_max));
    const ModelNewAttributes wanted = take_new_attributes(in_);
    if (!in_.ok() || name.empty() || name.size() > name_size_max) return Status::inval;
    const auto dir = directory(file_);
    if (!dir) return dir.error();
    if (core_.behaviour.is_strict_in_grace && in_grace()) return Status::grace;
    if ((*dir)->entries.contains(name)) return Status::exist;
    ModelInode& made = core_.files.make(**dir, name, type);
    made.target = std::move(target);
    if (type == nfs4::FileType::directory) made.link_count = 2;
    set(made, wanted);
    file_ = made.id;
    note("make " + name);
    put_change(**dir);
    wanted.set.put(out_);
    return Status::ok;
}

nfs4::Status ModelCompound::remove() {
    const std::string name(in_.string(nfs4::opaque_max));
    const auto dir = directory(file_);
    if (!dir) return dir.error();
    if (core_.behaviour.is_strict_in_grace && in_grace()) return Status::grace;
    const auto found = (*dir)->entries.find(name);
    if (found == (*dir)->entries.end()) return Status::noent;
    if (core_.lies.claims_removals) {
        put_change(**dir);
        return Status::ok;
    }
    const std::uint64_t id = found->second.id;
    ModelInode* const inode = core_.files.find(id);
    if (inode->type == nfs4::FileType::directory) {
        if (!inode->entries.empty()) return Status::notempty;
        inode->link_count = 1;
    }
    core_.files.unlink(**dir, name);
    if (!core_.state.is_open(id)) core_.files.collect(id);
    note("remove " + name);
    put_change(**dir);
    return Status::ok;
}

nfs4::Status ModelCompound::rename() {
    const std::string from(in_.string(nfs4::opaque_max));
    const std::string to(in_.string(nfs4::opaque_max));
    const auto source = directory(saved_file_);
    if (!source) return source.error();
    const auto dir = directory(file_);
    if (!dir) return dir.error();
    if (core_.behaviour.is_strict_in_grace && in_grace()) return Status::grace;
    const auto found = (*source)->entries.find(from);
    if (found == (*source)->entries.end()) return Status::noent;
    ModelInode* const moved = core_.files.find(found->second.id);
    if (const auto old = (*dir)->entries.find(to); old != (*dir)->entries.end()) {
        const std::uint64_t id = old->second.id;
        if (id == moved->id) {
            put_change(**source);
            put_change(**dir);
            return Status::ok;
        }
        if (!core_.files.find(id)->entries.empty()) return Status::notempty;
        core_.files.unlink(**dir, to);
        if (!core_.state.is_open(id)) core_.files.collect(id);
    }
    core_.files.link(**dir, to, *moved);
    core_.files.unlink(**source, from);
    note("rename " + from + " " + to);
    put_change(**source);
    put_change(**dir);
    return Status::ok;
}

nfs4::Status ModelCompound::link() {
    const std::string name(in_.string(nfs4::opaque_max));
    const auto dir = directory(file_);
    if (!dir) return dir.error();
    if (!saved_file_) return Status::nofilehandle;
    ModelInode* const inode = core_.files.find(*saved_file_);
    if (inode == nullptr) return Status::stale;
    if (inode->type == nfs4::FileType::directory) return Status::isdir;
    if (core_.behaviour.is_strict_in_grace && in_grace()) return Status::grace;
    if ((*dir)->entries.contains(name)) return Status::exist;
    core_.files.link(**dir, name, *inode);
    note("link " + name);
    put_change(**dir);
    return Status::ok;
}

nfs4::Status ModelCompound::read_directory() {
    const std::uint64_t cookie = in_.u64();
    in_.fixed(nfs4::verifier_size);
    in_.u32();  // dircount
    const std::uint32_t size_max = in_.u32();
    const auto asked = nfs4::AttributeSet::take(in_);
    const auto dir = directory(file_);
    if (!dir) return dir.error();
    std::map<std::uint64_t, std::string_view> names;
    for (const auto& [name, entry] : (*dir)->entries) {
        if (entry.cookie > cookie) names[entry.cookie] = name;
    }
    if (core_.lies.hides_names && !names.empty()) names.erase(names.begin());
    const std::size_t begin = out_.position();
    out_.fixed(nfs4::Verifier{});
    bool at_end = true;
    const bool is_short = core_.random.chance(core_.behaviour.small_page);
    for (const auto& [at, name] : names) {
        const std::size_t before = out_.position();
        out_.boolean(true);
        out_.u64(at);
        out_.string(name);
        const auto entry = (*dir)->entries.find(name);
        put_attributes(out_, *core_.files.find(entry->second.id), asked, core_.limits);
        const bool is_full = out_.position() - begin + 8 > size_max;
        const bool is_first = before == begin + nfs4::verifier_size;
        if (is_full && is_first) return Status::toosmall;
        if (is_full || (is_short && !is_first && core_.random.chance(300))) {
            answer_.resize(before);
            at_end = false;
            break;
        }
    }
    out_.boolean(false);
    out_.boolean(at_end);
    return Status::ok;
}

nfs4::Status ModelCompound::set_attributes() {
    const nfs4::StateId state = take_state_id();
    const ModelNewAttributes wanted = take_new_attributes(in_);
    keeps_result_ = true;  // SETATTR4res has its set also when it fails
    const auto refuse = [this](Status status) {
        out_.u32(0);
        return status;
    };
    const auto inode = current();
    if (!inode) return refuse(inode.error());
    if (wanted.size) {
        if (in_grace() && core_.behaviour.is_strict_in_grace) return refuse(Status::grace);
        if ((*inode)->type != nfs4::FileType::regular) return refuse(Status::inval);
        if (state != nfs4::anonymous_state) {
            const auto held = core_.state.find(state);
            if (!held) return refuse(held.error());
            if ((*held)->file != (*inode)->id) return refuse(Status::bad_stateid);
        }
        core_.files.resize(**inode, *wanted.size);
    }
    set(**inode, wanted);
    has_changed_ = true;
    wanted.set.put(out_);
    return Status::ok;
}

}  // namespace dpfs::sim
