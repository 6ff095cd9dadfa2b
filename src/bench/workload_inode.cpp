// SPDX-License-Identifier: Apache-2.0
#include "bench/workload.hpp"
#include "fuse/wire_inode.hpp"

namespace dpfs::bench {

namespace wire = fuse::wire;
using wire::Opcode;

namespace {

/// The same request again and again: STATFS, GETATTR, LOOKUP.
class InodeWorkload final : public Workload {
  public:
    InodeWorkload(Work work, TestFile& file) : work_(work), file_(file) {
        if (work == Work::statfs) reply_size_ = sizeof(wire::StatfsOut);
        if (work == Work::getattr) reply_size_ = sizeof(wire::AttrOut);
        if (work == Work::lookup) reply_size_ = sizeof(wire::EntryOut);
    }

    void lay_out(Slot& slot) override {
        Workload::lay_out(slot);
        RequestShape shape = {
            .opcode = Opcode::statfs, .nodeid = root_nodeid, .reply_size = reply_size_};
        if (work_ == Work::getattr) {
            shape.opcode = Opcode::getattr;
            shape.nodeid = file_.file.nodeid;
            const wire::GetattrIn in = {.getattr_flags = 0, .dummy = 0, .fh = 0};
            shape.arguments_size = slot.put_arguments(in);
        } else if (work_ == Work::lookup) {
            shape.opcode = Opcode::lookup;
            shape.arguments_size = slot.put_name(0, file_.name);
        }
        slot.prepare(shape);
    }

    void begin(Slot& /*slot*/) override {}

    Progress take(Slot& slot, std::uint32_t written) override {
        if (!slot.succeeded(written, reply_size_)) return refuse(slot, written);
        if (work_ == Work::lookup) {
            if (slot.reply<wire::EntryOut>().nodeid != file_.file.nodeid) {
                return fail_with("a LOOKUP gives another inode than CREATE gave");
            }
            // One FORGET at the end returns them all, as a kernel that keeps the inode does.
            ++file_.lookup_count;
        }
        return Progress::done;
    }

  private:
    Work work_;
    TestFile& file_;
    std::uint32_t reply_size_ = 0;
};

}  // namespace

Outcome<std::unique_ptr<Workload>> make_inode_workload(Work work, const WorkloadSite& site) {
    const auto file = site.tree.file(site.lane_index);
    if (!file) return failed(file.error());
    return std::make_unique<InodeWorkload>(work, **file);
}

}  // namespace dpfs::bench
