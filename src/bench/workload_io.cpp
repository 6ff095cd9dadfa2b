// SPDX-License-Identifier: Apache-2.0
#include "bench/random.hpp"
#include "bench/workload.hpp"
#include "fuse/wire_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fcntl.h>

namespace dpfs::bench {

namespace wire = fuse::wire;
using wire::Opcode;

namespace {

/// Reads and writes of whole blocks of one file. With `verify`, each block has a version: a
/// write makes the next one, a read must find the last; so that this is well defined, at most
/// one request for a block is in flight.
class IoWorkload final : public Workload {
  public:
    IoWorkload(Work work, TestFile& file, const LoadOptions& load, std::uint64_t seed)
        : file_(file),
          random_(seed),
          block_size_(static_cast<std::uint32_t>(load.block_size.bytes)),
          read_percent_(read_percent_of(work, load)),
          sequential_(work == Work::seqread || work == Work::seqwrite),
          verify_(load.verify),
          flags_(O_RDWR | (load.direct ? O_DIRECT : 0)) {}

    void lay_out(Slot& slot) override {
        Workload::lay_out(slot);
        prepare(slot, read_percent_ > 0 ? Opcode::read : Opcode::write);
        for (std::uint32_t at = 0; at < block_size_; at += Slot::page_size) {
            file_.pattern.fill(slot.page(at / Slot::page_size), at);
        }
    }

    void begin(Slot& slot) override {
        const Opcode wanted = next_opcode();
        if (slot.opcode() != wanted) prepare(slot, wanted);
        slot.number = next_block();
        // ReadIn and WriteIn have their offsets at the same place.
        slot.arguments<wire::ReadIn>().offset = slot.number * block_size_;
        if (verify_) begin_verified(slot);
    }

    Progress take(Slot& slot, std::uint32_t written) override {
        if (slot.opcode() == Opcode::read) {
            if (!slot.succeeded(written, block_size_)) return refuse(slot, written);
        } else {
            if (!slot.succeeded(written, sizeof(wire::WriteOut))) return refuse(slot, written);
            if (slot.reply<wire::WriteOut>().size != block_size_) return short_write(slot);
        }
        return verify_ ? take_verified(slot) : Progress::done;
    }

  private:
    static std::uint32_t read_percent_of(Work work, const LoadOptions& load) {
        if (work == Work::mixed) return load.read_percent;
        return work == Work::seqread || work == Work::randread ? 100 : 0;
    }

    void prepare(Slot& slot, Opcode opcode) const {
        const bool reads = opcode == Opcode::read;
        const wire::WriteIn in = {.fh = file_.run_handle,
                                  .offset = 0,
                                  .size = block_size_,
                                  .write_flags = 0,
                                  .lock_owner = 0,
                                  .flags = static_cast<std::uint32_t>(flags_),
                                  .padding = 0};
        slot.prepare({.opcode = opcode,
                      .nodeid = file_.file.nodeid,
                      .arguments_size = slot.put_arguments(in),
                      .reply_size = reads ? 0 : std::uint32_t{sizeof(wire::WriteOut)},
                      .data_in_size = reads ? 0 : block_size_,
                      .data_out_size = reads ? block_size_ : 0});
    }

    Opcode next_opcode() noexcept {
        if (read_percent_ == 100) return Opcode::read;
        if (read_percent_ == 0) return Opcode::write;
        return random_.below(100) < read_percent_ ? Opcode::read : Opcode::write;
    }

    std::uint64_t next_block() noexcept {
        if (!sequential_) return random_.below(file_.block_count);
        next_ = next_ + 1 < file_.block_count ? next_ + 1 : 0;
        return next_;
    }

    void begin_verified(Slot& slot) {
        while (file_.busy[slot.number]) {
            slot.number = slot.number + 1 < file_.block_count ? slot.number + 1 : 0;
        }
        file_.busy[slot.number] = true;
        const std::uint64_t offset = slot.number * block_size_;
        slot.arguments<wire::ReadIn>().offset = offset;
        const bool writes = slot.opcode() == Opcode::write;
        Pattern pattern = file_.pattern;
        // A READ's pages are filled too: with what no version has, so that nothing old passes.
        pattern.version = writes ? ++file_.versions[slot.number] : ~std::uint32_t{0};
        for (std::uint32_t at = 0; at < block_size_; at += Slot::page_size) {
            pattern.fill(slot.page(at / Slot::page_size), offset + at);
        }
    }

    Progress take_verified(Slot& slot) {
        file_.busy[slot.number] = false;
        if (slot.opcode() == Opcode::write) return Progress::done;
        Pattern pattern = file_.pattern;
        pattern.version = file_.versions[slot.number];
        for (std::uint32_t at = 0; at < block_size_; at += Slot::page_size) {
            const std::uint64_t offset = slot.number * block_size_ + at;
            const auto page = slot.page(at / Slot::page_size)
                                  .first(std::min(Slot::page_size, block_size_ - at));
            if (const auto wrong = pattern.find_mismatch(page, offset)) {
                return fail_with(
                    fmt::format("'{}' does not hold at byte {} what was written there",
                                file_.name,
                                offset + *wrong));
            }
        }
        return Progress::done;
    }

    Progress short_write(const Slot& slot) {
        return fail_with(fmt::format("a WRITE of {} bytes has taken {} of them",
                                     block_size_,
                                     slot.reply<wire::WriteOut>().size));
    }

    TestFile& file_;
    Random random_;
    std::uint32_t block_size_;
    std::uint32_t read_percent_;
    bool sequential_;
    bool verify_;
    int flags_;
    std::uint64_t next_ = 0;
};

}  // namespace

Outcome<std::unique_ptr<Workload>> make_io_workload(Work work, const WorkloadSite& site) {
    const auto file = site.tree.file(site.lane_index);
    if (!file) return failed(file.error());
    return std::make_unique<IoWorkload>(
        work, **file, site.load, site.load.seed * 1000 + site.lane_index);
}

}  // namespace dpfs::bench
