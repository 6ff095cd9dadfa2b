// SPDX-License-Identifier: Apache-2.0
#include "floor/works.hpp"

#include "net/nfs4/attributes.hpp"
#include "net/nfs4/request.hpp"

#include <optional>

namespace dpfs::nfs_floor {

using nfs4::Op;

namespace {

using enum nfs4::Attribute;
// What the back end asks for, too.
constexpr nfs4::AttributeSet file_attributes = {type,
                                                change,
                                                size,
                                                fsid,
                                                fileid,
                                                mode,
                                                link_count,
                                                owner,
                                                owner_group,
                                                rawdev,
                                                space_used,
                                                time_access,
                                                time_modify,
                                                time_metadata};
constexpr nfs4::AttributeSet listed_attributes = {type, rdattr_error, fileid};

void put_open_begin(Compound& out, const Target& target, std::string_view owner) {
    out.put(Op::open);
    out.writer().u32(0);
    out.writer().u32(nfs4::share::access_read | nfs4::share::access_write |
                     nfs4::share::want_no_delegation);
    out.writer().u32(nfs4::share::deny_none);
    out.writer().u64(target.client_id);
    out.writer().string(owner);
}

class Transfer final : public Work {
  public:
    Transfer(Target& target, std::uint32_t slot, bool writes)
        : target_(target),
          writes_(writes),
          compound_(target.session, slot, 2),
          commit_(target.session, slot, 2) {
        commit_.put_file(target.handle);
        commit_.put(Op::commit);
        commit_.writer().u64(0);
        commit_.writer().u32(0);  // all of it
        compound_.put_file(target.handle);
        compound_.put(writes ? Op::write : Op::read);
        auto& out = compound_.writer();
        for (std::size_t i = 0; i < target.state.size(); i += 4) {
            // Sequence 0: the state as it is now.
            const auto bytes = std::as_bytes(std::span(target.state)).subspan(i, 4);
            if (i == 0) {
                out.u32(0);
            } else {
                out.fixed(bytes);
            }
        }
        offset_at_ = out.position();
        out.u64(0);
        if (writes) out.u32(static_cast<std::uint32_t>(nfs4::Stable::unstable));
        out.u32(target.options.block_size);
    }
    Compound& next() override {
        if (commits_) return commit_;
        compound_.patch_u64(offset_at_, target_.next_offset());
        return compound_;
    }
    [[nodiscard]] std::span<const std::byte> payload() const override {
        if (!writes_ || commits_) return {};
        return target_.data;
    }
    bool take(rpc::XdrReader& in) override {
        expect(in, Op::putfh);
        if (commits_) {
            expect(in, Op::commit);
            commits_ = false;
            return true;
        }
        expect(in, writes_ ? Op::write : Op::read);
        if (writes_) commits_ = must_commit(in);
        return !commits_;
    }

  private:
    /// As the back end does: before the server has more than a part in its memory only.
    bool must_commit(rpc::XdrReader& in) {
        const std::uint32_t size = in.u32();
        if (in.u32() != static_cast<std::uint32_t>(nfs4::Stable::unstable)) return false;
        target_.unstable_size += size;
        if (target_.unstable_size < target_.options.commit_size) return false;
        target_.unstable_size = 0;
        return true;
    }

    Target& target_;
    const bool writes_;
    Compound compound_, commit_;
    std::size_t offset_at_ = 0;
    bool commits_ = false;
};

class GetAttributes final : public Work {
  public:
    GetAttributes(const Target& target, std::uint32_t slot)
        : compound_(target.session, slot, 2) {
        compound_.put_file(target.handle);
        compound_.put(Op::getattr);
        file_attributes.put(compound_.writer());
    }
    Compound& next() override { return compound_; }
    bool take(rpc::XdrReader& in) override {
        expect(in, Op::putfh);
        expect(in, Op::getattr);
        return true;
    }

  private:
    Compound compound_;
};

/// OPEN of a new file, CLOSE, REMOVE: a compound each, as a kernel asks for them.
class CreateUnlink final : public Work {
  public:
    CreateUnlink(const Target& target, std::uint32_t slot)
        : target_(target),
          slot_(slot),
          name_("floor-" + std::to_string(slot)),
          create_(target.session, slot, 4),
          remove_(target.session, slot, 2) {
        create_.put_file(target.directory_handle);
        put_open_begin(create_, target, name_);
        auto& out = create_.writer();
        out.u32(1);  // creates
        out.u32(static_cast<std::uint32_t>(nfs4::CreateMode::unchecked));
        nfs4::NewAttributes attributes;
        attributes.mode = 0644;
        nfs4::put_attributes(out, attributes);
        out.u32(static_cast<std::uint32_t>(nfs4::Claim::null));
        out.string(name_);
        create_.put(Op::getfh);
        create_.put(Op::getattr);
        file_attributes.put(out);
        remove_.put_file(target.directory_handle);
        remove_.put(Op::remove);
        remove_.writer().string(name_);
    }
    Compound& next() override {
        if (step_ == Step::create) return create_;
        return step_ == Step::close ? *close_ : remove_;
    }
    bool take(rpc::XdrReader& in) override {
        expect(in, Op::putfh);
        switch (step_) {
            case Step::create:
                expect(in, Op::open);
                prepare_close(in);
                step_ = Step::close;
                return false;
            case Step::close:
                expect(in, Op::close);
                step_ = Step::remove;
                return false;
            case Step::remove:
                expect(in, Op::remove);
                step_ = Step::create;
                return true;
        }
        return true;
    }

  private:
    enum class Step : std::uint8_t { create, close, remove };

    void prepare_close(rpc::XdrReader& in) {
        const nfs4::StateId state = nfs4::take_opened(in).state;
        expect(in, Op::getfh);
        const auto handle = in.opaque(nfs4::file_handle_size_max);
        close_.emplace(target_.session, slot_, 2);
        close_->put(Op::putfh);
        close_->writer().opaque(handle);
        close_->put(Op::close);
        close_->writer().u32(0);
        close_->writer().u32(state.sequence);
        close_->writer().fixed(state.other);
    }

    const Target& target_;
    const std::uint32_t slot_;
    const std::string name_;
    Step step_ = Step::create;
    Compound create_, remove_;
    std::optional<Compound> close_;
};

/// READDIR from the first entry to the last, in pages as large as the back end's.
class List final : public Work {
  public:
    List(const Target& target, std::uint32_t slot) : compound_(target.session, slot, 2) {
        constexpr std::uint32_t page_size = 32 << 10;
        compound_.put_file(target.handle);
        compound_.put(Op::readdir);
        auto& out = compound_.writer();
        cookie_at_ = out.position();
        out.u64(0);
        out.u64(0);  // the verifier
        out.u32(page_size);
        out.u32(page_size);
        listed_attributes.put(out);
    }
    Compound& next() override {
        compound_.patch_u64(cookie_at_, cookie_);
        return compound_;
    }
    bool take(rpc::XdrReader& in) override {
        expect(in, Op::putfh);
        expect(in, Op::readdir);
        compound_.patch_u64(cookie_at_ + 8, in.u64());
        while (in.boolean()) {
            cookie_ = in.u64();
            in.string(nfs4::opaque_max);
            nfs4::AttributeSet::take(in);
            in.opaque(nfs4::opaque_max);
        }
        const bool at_end = in.boolean();
        if (!in.ok()) give_up("a listing is malformed");
        if (at_end) cookie_ = 0;
        return at_end;
    }

  private:
    Compound compound_;
    std::size_t cookie_at_ = 0;
    std::uint64_t cookie_ = 0;
};

}  // namespace

std::uint64_t Target::next_offset() {
    const std::uint64_t count = options.file_size / options.block_size;
    const bool is_sequential = options.name.starts_with("seq");
    const std::uint64_t block = is_sequential ? position++ % count : random.below(count);
    return block * options.block_size;
}

Target make_target(Session& session, std::string_view directory, WorkOptions options) {
    Target target;
    target.options = std::move(options);
    target.client_id = session.client_id();
    target.session = session.id();
    target.directory_handle = session.find(directory);
    const bool lists = target.options.name == "readdir";
    const std::string& name = lists ? target.options.directory : target.options.file;
    target.handle = session.find(std::string(directory) + "/" + name);
    if (!lists) target.state = session.open(target.handle);
    target.data.resize(target.options.block_size, std::byte{'f'});
    return target;
}

std::unique_ptr<Work> make_work(Target& target, std::uint32_t slot) {
    const std::string& name = target.options.name;
    if (name.ends_with("read")) return std::make_unique<Transfer>(target, slot, false);
    if (name.ends_with("write")) return std::make_unique<Transfer>(target, slot, true);
    if (name == "getattr") return std::make_unique<GetAttributes>(target, slot);
    if (name == "create-unlink") return std::make_unique<CreateUnlink>(target, slot);
    if (name == "readdir") return std::make_unique<List>(target, slot);
    give_up("no work is called '" + name + "'");
}

}  // namespace dpfs::nfs_floor
