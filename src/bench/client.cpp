// SPDX-License-Identifier: Apache-2.0
#include "bench/client.hpp"

#include "bench/clock.hpp"
#include "bench/create_out.hpp"
#include "fuse/wire_file.hpp"
#include "fuse/wire_init.hpp"

#include <algorithm>
#include <array>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>

namespace dpfs::bench {

namespace wire = fuse::wire;
using wire::Opcode;

namespace {

constexpr int spins_between_looks = 1000;
/// What Linux 6.1 says; the flags are those that change nothing but speed.
constexpr std::uint32_t driver_minor_version = 38;
constexpr std::uint64_t driver_flags =
    wire::init::async_read | wire::init::big_writes | wire::init::parallel_dirops |
    wire::init::do_readdirplus | wire::init::async_dio | wire::init::max_pages;
constexpr std::uint32_t pages_without_max_pages = 32;

}  // namespace

std::unexpected<Errno> Client::give_up(Errno error) {
    broken_ = error;
    return fail(error);
}

Result<Done> Client::wait(Lane& lane) {
    if (broken_) return fail(*broken_);
    const std::int64_t begin = now_ns();
    while (true) {
        for (int i = 0; i < spins_between_looks; ++i) {
            const auto done = lane.poll();
            if (!done) return give_up(done.error());
            if (done->slot != nullptr) return done;
            relax();
        }
        if (!target_.is_alive()) return give_up(Errno::connection_reset);
        if (now_ns() - begin > stall_time_max_.ns) return give_up(Errno::timed_out);
        ::sched_yield();
    }
}

Result<std::uint32_t> Client::call(Lane& lane, Slot& slot) {
    if (broken_) return fail(*broken_);
    if (const auto added = lane.add(slot); !added) return fail(added.error());
    lane.publish();
    auto done = wait(lane);
    // A work that failed may have left replies behind.
    while (done && done->slot != &slot) done = wait(lane);
    if (!done) return fail(done.error());
    return slot.reply_size(done->written);
}

Result<void> Client::mount() {
    Lane& lane = target_.lanes().front();
    Slot& slot = lane.slots().front();
    const wire::InitIn in = {
        .major = wire::kernel_version,
        .minor = driver_minor_version,
        .max_readahead = 1U << 17,
        .flags = static_cast<std::uint32_t>(driver_flags),
        .flags2 = 0,
        .unused = {},
    };
    slot.prepare({.opcode = Opcode::init,
                  .arguments_size = slot.put_arguments(in),
                  .reply_size = sizeof(wire::InitOut)});
    const auto size = call(lane, slot);
    if (!size) return fail(size.error());
    const auto out = slot.reply<wire::InitOut>();
    if (*size < wire::compat_22_init_out_size || out.major != wire::kernel_version) {
        return fail(Errno::protocol);
    }
    const bool says_pages = (out.flags & wire::init::max_pages) != 0;
    const std::uint32_t pages = says_pages ? out.max_pages : pages_without_max_pages;
    write_size_max_ = std::min(out.max_write, pages * Slot::page_size);
    return {};
}

Result<void> Client::unmount() {
    Lane& lane = target_.lanes().front();
    Slot& slot = lane.slots().front();
    slot.prepare({.opcode = Opcode::destroy});
    const auto size = call(lane, slot);
    // Nobody looks at this reply, and the virtiofsd in Rust gives none.
    if (!size && size.error() != Errno::protocol) return fail(size.error());
    return {};
}

Result<OpenedFile> Client::create(Lane& lane, std::uint64_t parent, std::string_view name) {
    Slot& slot = lane.slots().front();
    const wire::CreateIn in = {
        .flags = O_CREAT | O_RDWR, .mode = S_IFREG | 0600, .umask = 0, .open_flags = 0};
    constexpr std::uint32_t reply_size = sizeof(CreateOut);
    slot.prepare({.opcode = Opcode::create,
                  .nodeid = parent,
                  .arguments_size = slot.put_name(slot.put_arguments(in), name),
                  .reply_size = reply_size});
    const auto size = call(lane, slot);
    if (!size) return fail(size.error());
    if (*size != reply_size) return fail(Errno::protocol);
    const auto out = slot.reply<CreateOut>();
    return OpenedFile{.nodeid = out.entry.nodeid, .handle = out.open.fh};
}

Result<std::uint64_t> Client::open(Lane& lane, std::uint64_t nodeid, std::uint32_t flags) {
    Slot& slot = lane.slots().front();
    slot.prepare(
        {.opcode = Opcode::open,
         .nodeid = nodeid,
         .arguments_size = slot.put_arguments(wire::OpenIn{.flags = flags, .open_flags = 0}),
         .reply_size = sizeof(wire::OpenOut)});
    const auto size = call(lane, slot);
    if (!size) return fail(size.error());
    if (*size != sizeof(wire::OpenOut)) return fail(Errno::protocol);
    return slot.reply<wire::OpenOut>().fh;
}

Result<void> Client::release(Lane& lane, const OpenedFile& file) {
    Slot& slot = lane.slots().front();
    const wire::ReleaseIn in = {
        .fh = file.handle, .flags = O_RDWR, .release_flags = 0, .lock_owner = 0};
    slot.prepare({.opcode = Opcode::release,
                  .nodeid = file.nodeid,
                  .arguments_size = slot.put_arguments(in)});
    const auto size = call(lane, slot);
    if (!size) return fail(size.error());
    return {};
}

Result<void> Client::write(Lane& lane,
                           const OpenedFile& file,
                           std::uint64_t offset,
                           std::uint32_t size) {
    Slot& slot = lane.slots().front();
    const wire::WriteIn in = {.fh = file.handle,
                              .offset = offset,
                              .size = size,
                              .write_flags = 0,
                              .lock_owner = 0,
                              .flags = O_RDWR,
                              .padding = 0};
    slot.prepare({.opcode = Opcode::write,
                  .nodeid = file.nodeid,
                  .arguments_size = slot.put_arguments(in),
                  .reply_size = sizeof(wire::WriteOut),
                  .data_in_size = size});
    const auto reply_size = call(lane, slot);
    if (!reply_size) return fail(reply_size.error());
    if (*reply_size != sizeof(wire::WriteOut)) return fail(Errno::protocol);
    // A file system that writes less is full.
    if (slot.reply<wire::WriteOut>().size != size) return fail(Errno::no_space);
    return {};
}

Result<std::uint64_t> Client::lookup(std::uint64_t parent, std::string_view name) {
    Lane& lane = target_.lanes().front();
    Slot& slot = lane.slots().front();
    slot.prepare({.opcode = Opcode::lookup,
                  .nodeid = parent,
                  .arguments_size = slot.put_name(0, name),
                  .reply_size = sizeof(wire::EntryOut)});
    const auto size = call(lane, slot);
    if (!size) return fail(size.error());
    if (*size != sizeof(wire::EntryOut)) return fail(Errno::protocol);
    return slot.reply<wire::EntryOut>().nodeid;
}

Result<std::uint64_t> Client::make_directory(std::uint64_t parent, std::string_view name) {
    Lane& lane = target_.lanes().front();
    Slot& slot = lane.slots().front();
    const wire::MkdirIn in = {.mode = 0700, .umask = 0};
    slot.prepare({.opcode = Opcode::mkdir,
                  .nodeid = parent,
                  .arguments_size = slot.put_name(slot.put_arguments(in), name),
                  .reply_size = sizeof(wire::EntryOut)});
    const auto size = call(lane, slot);
    if (!size) return fail(size.error());
    if (*size != sizeof(wire::EntryOut)) return fail(Errno::protocol);
    return slot.reply<wire::EntryOut>().nodeid;
}

Result<void> Client::remove(std::uint64_t parent, std::string_view name, Opcode how) {
    Lane& lane = target_.lanes().front();
    Slot& slot = lane.slots().front();
    slot.prepare({.opcode = how, .nodeid = parent, .arguments_size = slot.put_name(0, name)});
    const auto size = call(lane, slot);
    if (!size) return fail(size.error());
    return {};
}

}  // namespace dpfs::bench
