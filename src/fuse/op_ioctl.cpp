// SPDX-License-Identifier: Apache-2.0
#include "base/or_return.hpp"
#include "fuse/answer.hpp"
#include "fuse/session.hpp"
#include "fuse/wire_file.hpp"

#include <algorithm>

namespace dpfs::fuse {
namespace {

/// What _IOC_SIZEBITS (14) of a command can say; restricted ioctls have no more.
constexpr std::uint32_t ioctl_size_max = 16383;

struct IoctlOutput {
    std::span<std::byte> bytes;
    std::int32_t value;
};

Result<std::size_t> put_ioctl(Call& call,
                              std::int32_t value,
                              std::span<const std::byte> bytes) {
    const auto header =
        call.put(wire::IoctlOut{.result = value, .flags = 0, .in_iovs = 0, .out_iovs = 0});
    if (!header) return header;
    const auto output = call.put_bytes(bytes);
    if (!output) return output;
    return *header + *output;
}

/// `value` and the output live here as long as the file system needs them.
Answer run_ioctl(Session& session, Call& call, wire::IoctlIn in) {
    const auto input = std::as_writable_bytes(call.text.get(in.in_size));
    co_await or_return(call.arguments.copy_out(input));
    const auto output = call.output.get(in.out_size);
    std::int32_t value = 0;
    auto task = session.file_system().ioctl(
        call.context, call.node(), FileHandle{in.fh}, in.cmd, in.arg, input, output, value);
    const std::size_t size = co_await or_return(co_await std::move(task));
    co_return put_ioctl(call, value, output.first(std::min(size, output.size())));
}

}  // namespace

/// FUSE_IOCTL (39), restricted: size and direction are what the command says.
///
/// In       ioctl_in, then `in_size` bytes.
/// Out      ioctl_out, then the output.
/// Errors   EINVAL  unrestricted (Linux sends it for CUSE only), sizes that do not fit;
///          ENOTTY  from the file system; ENOSYS is ENOTTY to Linux's callers.
Answer op::ioctl(Session& session, Call& call) {
    const auto in = call.arguments.take<wire::IoctlIn>();
    if (!in) return refuse(in.error());
    if ((in->flags & wire::ioctl_flag::unrestricted) != 0) return refuse(Errno::invalid);
    if (in->in_size > ioctl_size_max || in->out_size > ioctl_size_max) {
        return refuse(Errno::invalid);
    }
    if (in->in_size > call.arguments.left()) return refuse(Errno::invalid);
    if (sizeof(wire::IoctlOut) + in->out_size > call.payload.left()) {
        return refuse(Errno::invalid);
    }
    return run_ioctl(session, call, *in);
}

/// FUSE_BMAP (37). In: bmap_in. Out: bmap_out. Errors: EINVAL for a block size of 0.
Answer op::bmap(Session& session, Call& call) {
    const auto in = call.arguments.take<wire::BmapIn>();
    if (!in) return refuse(in.error());
    if (in->blocksize == 0) return refuse(Errno::invalid);
    return answer<std::uint64_t>(
        call,
        session.file_system().bmap(call.context, call.node(), in->block, in->blocksize),
        [](Call& to, const std::uint64_t& block) {
            return to.put(wire::BmapOut{.block = block});
        });
}

/// FUSE_POLL (40). In: poll_in. Out: poll_out. A wake-up later (FUSE_POLL_SCHEDULE_NOTIFY)
/// needs a notification, which stock Linux does not take over virtio; ENOSYS makes it call
/// every file ready for good.
Answer op::poll(Session& session, Call& call) {
    const auto in = call.arguments.take<wire::PollIn>();
    if (!in) return refuse(in.error());
    return answer<std::uint32_t>(
        call,
        session.file_system().poll(call.context, call.node(), FileHandle{in->fh}, in->events),
        [](Call& to, const std::uint32_t& events) {
            return to.put(wire::PollOut{.revents = events, .padding = 0});
        });
}

}  // namespace dpfs::fuse
