// SPDX-License-Identifier: Apache-2.0
#include "bench/create_out.hpp"
#include "bench/failure.hpp"
#include "bench/workload.hpp"
#include "fuse/wire_file.hpp"
#include "fuse/wire_inode.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>

namespace dpfs::bench {

namespace wire = fuse::wire;
using wire::Opcode;

namespace {

/// Files that are opened and closed again: the requests that Linux makes for
/// open() and close(), and for open(O_CREAT), close() and unlink().
class HandleWorkload final : public Workload {
  public:
    HandleWorkload(Work work, const WorkloadSite& site, const TestFile* file)
        : creates_(work == Work::create_unlink),
          forgets_(site.forgets),
          file_nodeid_(file == nullptr ? 0 : file->file.nodeid),
          name_prefix_(fmt::format("{}-new-{}-", site.tree.prefix(), site.lane_index)) {}

    void lay_out(Slot& slot) override {
        // From now on the slot has names of its own.
        slot.number = next_number_++;
    }

    void begin(Slot& slot) override {
        if (creates_) {
            const wire::CreateIn in = {.flags = O_CREAT | O_EXCL | O_RDWR,
                                       .mode = S_IFREG | 0600,
                                       .umask = 0,
                                       .open_flags = 0};
            slot.prepare({.opcode = Opcode::create,
                          .nodeid = root_nodeid,
                          .arguments_size = put_name(slot, slot.put_arguments(in)),
                          .reply_size = sizeof(CreateOut)});
            return;
        }
        slot.nodeid = file_nodeid_;
        const wire::OpenIn in = {.flags = O_RDWR, .open_flags = 0};
        slot.prepare({.opcode = Opcode::open,
                      .nodeid = file_nodeid_,
                      .arguments_size = slot.put_arguments(in),
                      .reply_size = sizeof(wire::OpenOut)});
    }

    Progress take(Slot& slot, std::uint32_t written) override {
        const Opcode opcode = slot.opcode();
        if (opcode == Opcode::create) return take_created(slot, written);
        if (opcode == Opcode::open) return take_opened(slot, written);
        if (opcode == Opcode::flush) return take_flush(slot, written);
        if (!slot.succeeded(written, 0)) return refuse(slot, written);
        if (!creates_) return Progress::done;
        return opcode == Opcode::release ? send_unlink(slot) : forget(slot);
    }

  private:
    std::uint32_t put_name(Slot& slot, std::uint32_t at) const {
        std::array<char, 64> digits = {};
        const auto end = fmt::format_to_n(digits.data(), digits.size(), "{}", slot.number);
        const std::uint32_t behind = slot.put_name(at, name_prefix_) - 1;
        return slot.put_name(behind, std::string_view(digits.data(), end.size));
    }

    Progress take_created(Slot& slot, std::uint32_t written) {
        if (!slot.succeeded(written, sizeof(CreateOut))) return refuse(slot, written);
        const auto out = slot.reply<CreateOut>();
        slot.nodeid = out.entry.nodeid;
        slot.handle = out.open.fh;
        return send_flush(slot);
    }

    Progress take_opened(Slot& slot, std::uint32_t written) {
        if (!slot.succeeded(written, sizeof(wire::OpenOut))) return refuse(slot, written);
        slot.handle = slot.reply<wire::OpenOut>().fh;
        return send_flush(slot);
    }

    Progress send_flush(Slot& slot) const {
        if (without_flush_) return send_release(slot);
        const wire::FlushIn in = {
            .fh = slot.handle, .unused = 0, .padding = 0, .lock_owner = 0};
        slot.prepare({.opcode = Opcode::flush,
                      .nodeid = slot.nodeid,
                      .arguments_size = slot.put_arguments(in)});
        return Progress::more;
    }

    Progress take_flush(Slot& slot, std::uint32_t written) {
        if (!slot.succeeded(written, 0)) {
            const auto size = slot.reply_size(written);
            // Who does not know FLUSH is not asked again, as Linux does it.
            if (size || size.error() != Errno::not_implemented) return refuse(slot, written);
            without_flush_ = true;
        }
        return send_release(slot);
    }

    Progress send_release(Slot& slot) const {
        const wire::ReleaseIn in = {
            .fh = slot.handle, .flags = O_RDWR, .release_flags = 0, .lock_owner = 0};
        slot.prepare({.opcode = Opcode::release,
                      .nodeid = slot.nodeid,
                      .arguments_size = slot.put_arguments(in)});
        return Progress::more;
    }

    Progress send_unlink(Slot& slot) const {
        slot.prepare({.opcode = Opcode::unlink,
                      .nodeid = root_nodeid,
                      .arguments_size = put_name(slot, 0)});
        return Progress::more;
    }

    Progress forget(Slot& slot) {
        auto done = forgets_.add(slot.nodeid, 1);
        if (done) done = forgets_.flush();
        if (!done) return fail_with(fmt::format("FORGET: {}", explain(done.error())));
        return Progress::done;
    }

    bool creates_;
    ForgetQueue& forgets_;
    std::uint64_t file_nodeid_;
    std::string name_prefix_;
    std::uint64_t next_number_ = 0;
    bool without_flush_ = false;
};

}  // namespace

Outcome<std::unique_ptr<Workload>> make_handle_workload(Work work, const WorkloadSite& site) {
    const TestFile* file = nullptr;
    if (work == Work::open_close) {
        const auto made = site.tree.file(site.lane_index);
        if (!made) return failed(made.error());
        file = *made;
    }
    return std::make_unique<HandleWorkload>(work, site, file);
}

}  // namespace dpfs::bench
