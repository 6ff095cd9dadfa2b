// SPDX-License-Identifier: Apache-2.0
#include "bench/failure.hpp"
#include "bench/workload.hpp"
#include "fuse/wire_file.hpp"
#include "fuse/wire_inode.hpp"

#include <fmt/format.h>

#include <cstring>
#include <fcntl.h>

namespace dpfs::bench {

namespace wire = fuse::wire;
using wire::Opcode;

namespace {

/// A directory is listed from its beginning to its end. With READDIRPLUS each entry is a
/// reference to an inode, which a FORGET returns.
class ListWorkload final : public Workload {
  public:
    ListWorkload(Work work, const WorkloadSite& site, const TestDirectory& directory)
        : plus_(work == Work::readdirplus),
          forgets_(site.forgets),
          directory_(directory),
          list_size_(static_cast<std::uint32_t>(site.load.list_size.bytes)) {}

    void begin(Slot& slot) override {
        slot.number = 0;
        slot.position = 0;
        const wire::OpenIn in = {.flags = O_RDONLY | O_DIRECTORY, .open_flags = 0};
        slot.prepare({.opcode = Opcode::opendir,
                      .nodeid = directory_.nodeid,
                      .arguments_size = slot.put_arguments(in),
                      .reply_size = sizeof(wire::OpenOut)});
    }

    Progress take(Slot& slot, std::uint32_t written) override {
        if (slot.opcode() == Opcode::opendir) {
            if (!slot.succeeded(written, sizeof(wire::OpenOut))) return refuse(slot, written);
            slot.handle = slot.reply<wire::OpenOut>().fh;
            return send_list(slot);
        }
        if (slot.opcode() == Opcode::releasedir) {
            return slot.succeeded(written, 0) ? Progress::done : refuse(slot, written);
        }
        const auto size = slot.reply_size(written);
        if (!size || *size > list_size_) return refuse(slot, written);
        if (*size > 0) return take_entries(slot, *size);
        // "." and ".." may be there or not.
        const std::uint64_t surplus = slot.number - directory_.entry_count;
        if (surplus > 2) {
            return fail_with(fmt::format("a directory of {} entries was listed with {}",
                                         directory_.entry_count,
                                         slot.number));
        }
        return send_release(slot);
    }

  private:
    Progress send_list(Slot& slot) const {
        const wire::ReadIn in = {.fh = slot.handle,
                                 .offset = slot.position,
                                 .size = list_size_,
                                 .read_flags = 0,
                                 .lock_owner = 0,
                                 .flags = O_RDONLY | O_DIRECTORY,
                                 .padding = 0};
        slot.prepare({.opcode = plus_ ? Opcode::readdirplus : Opcode::readdir,
                      .nodeid = directory_.nodeid,
                      .arguments_size = slot.put_arguments(in),
                      .data_out_size = list_size_,
                      .one_piece = true});
        return Progress::more;
    }

    Progress send_release(Slot& slot) const {
        const wire::ReleaseIn in = {.fh = slot.handle,
                                    .flags = O_RDONLY | O_DIRECTORY,
                                    .release_flags = 0,
                                    .lock_owner = 0};
        slot.prepare({.opcode = Opcode::releasedir,
                      .nodeid = directory_.nodeid,
                      .arguments_size = slot.put_arguments(in)});
        return Progress::more;
    }

    Progress take_entries(Slot& slot, std::uint32_t size) {
        std::span<const std::byte> rest = slot.data().first(size);
        const std::size_t entry_size = plus_ ? sizeof(wire::EntryOut) : 0;
        Result<void> done;
        while (rest.size() >= entry_size + sizeof(wire::Dirent)) {
            wire::Dirent entry;
            std::memcpy(&entry, rest.data() + entry_size, sizeof(entry));
            const std::size_t record_size =
                wire::record_align(entry_size + sizeof(entry) + entry.namelen);
            if (record_size > rest.size()) break;
            if (plus_) done = forget_entry(rest);
            if (!done) return fail_with(fmt::format("FORGET: {}", explain(done.error())));
            slot.position = entry.off;
            ++slot.number;
            rest = rest.subspan(record_size);
        }
        if (!rest.empty()) return fail_with("a listing ends in the middle of an entry");
        if (plus_) done = forgets_.flush();
        if (!done) return fail_with(fmt::format("FORGET: {}", explain(done.error())));
        return send_list(slot);
    }

    Result<void> forget_entry(std::span<const std::byte> record) {
        std::uint64_t nodeid = 0;
        std::memcpy(&nodeid, record.data(), sizeof(nodeid));
        if (nodeid == 0) return {};  // "." and "..", and what was not looked up
        return forgets_.add(nodeid, 1);
    }

    bool plus_;
    ForgetQueue& forgets_;
    const TestDirectory& directory_;
    std::uint32_t list_size_;
};

}  // namespace

Outcome<std::unique_ptr<Workload>> make_list_workload(Work work, const WorkloadSite& site) {
    const auto directory = site.tree.directory();
    if (!directory) return failed(directory.error());
    return std::make_unique<ListWorkload>(work, site, **directory);
}

}  // namespace dpfs::bench
