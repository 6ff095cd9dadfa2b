// SPDX-License-Identifier: Apache-2.0
#include "bench/workload.hpp"

#include "bench/failure.hpp"

#include <fmt/format.h>

namespace dpfs::bench {

Progress Workload::refuse(const Slot& slot, std::uint32_t written) {
    const auto size = slot.reply_size(written);
    const auto opcode = std::to_underlying(slot.opcode());
    if (size) {
        return fail_with(
            fmt::format("a reply to opcode {} has {} bytes, which cannot be", opcode, *size));
    }
    return fail_with(fmt::format("opcode {}: {}", opcode, explain(size.error())));
}

Outcome<std::unique_ptr<Workload>> make_workload(Work work, const WorkloadSite& site) {
    switch (work) {
        case Work::seqread:
        case Work::randread:
        case Work::seqwrite:
        case Work::randwrite:
        case Work::mixed:
            return make_io_workload(work, site);
        case Work::statfs:
        case Work::getattr:
        case Work::lookup:
            return make_inode_workload(work, site);
        case Work::create_unlink:
        case Work::open_close:
            return make_handle_workload(work, site);
        case Work::readdir:
        case Work::readdirplus:
            return make_list_workload(work, site);
    }
    return failed("no such work");
}

}  // namespace dpfs::bench
