// SPDX-License-Identifier: Apache-2.0
// Whatever a tenant puts into its queues, in whatever descriptors: each request is completed
// once, with a reply that fits, names its request and says how long it is, and the file system
// is never asked about something that is no name.
//
// Input: records of {flags, layout, size of the reply's room, size of the request} and the
// bytes of the request; flags: bit 0 the header's length is put right, 1 it goes to the second
// reactor, 2 the file system takes its time, 3 it fails, 4 the mount is reset before.
#include "fuse/session.hpp"
#include "session_fixture.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

namespace dpfs::fuse::test {
namespace {

struct Record {
    std::uint8_t flags;
    std::uint8_t layout;
    std::uint16_t reply_room;
    std::uint16_t request_size;
};

void require(bool condition) {
    if (!condition) std::abort();
}

bool is_without_reply(wire::Opcode opcode) {
    return opcode == wire::Opcode::forget || opcode == wire::Opcode::batch_forget ||
           opcode == wire::Opcode::interrupt;
}

void check(const TestRequest& request, const Bytes& sent) {
    require(request.completions == 1);
    const std::size_t room = request.reply().size();
    require(request.size <= room);
    wire::InHeader in{};
    std::ranges::copy(std::span(sent).first(std::min(sent.size(), sizeof(in))),
                      std::as_writable_bytes(std::span(&in, 1)).begin());
    if (is_without_reply(wire::Opcode{in.opcode}) || room < sizeof(wire::OutHeader)) {
        require(request.size == 0);
        return;
    }
    const wire::OutHeader out = request.out_header();
    require(out.len == request.size);
    require(out.unique == in.unique);
    require(out.error <= 0 && out.error > -512);
    require(out.error == 0 || request.size == sizeof(out));
}

void run(std::span<const std::uint8_t> input) {
    SessionFixture fixture(2);
    fixture.mount();
    std::vector<std::pair<std::unique_ptr<TestRequest>, Bytes>> sent;
    while (input.size() >= 6 && sent.size() < 16) {
        const Record record{
            .flags = input[0],
            .layout = input[1],
            .reply_room = static_cast<std::uint16_t>(input[2] | input[3] << 8),
            .request_size = static_cast<std::uint16_t>(input[4] | input[5] << 8)};
        input = input.subspan(6);
        const auto taken =
            input.first(std::min<std::size_t>(input.size(), record.request_size));
        input = input.subspan(taken.size());

        Bytes bytes(taken.size());
        std::ranges::copy(std::as_bytes(taken), bytes.begin());
        if ((record.flags & 1) != 0 && bytes.size() >= sizeof(std::uint32_t)) {
            const auto len = static_cast<std::uint32_t>(bytes.size());
            std::memcpy(bytes.data(), &len, sizeof(len));
        }
        fixture.files.delay = (record.flags & 4) != 0 ? milliseconds(2) : Duration{};
        fixture.files.error = (record.flags & 8) != 0 ? Errno::no_entry : Errno{0};
        if ((record.flags & 16) != 0) {
            for (const auto& [request, unused] : sent) fixture.wait_for(*request);
            fixture.run(fixture.session->reset());
            fixture.mount();
        }
        auto request = fixture.send(bytes,
                                    record.reply_room,
                                    layouts[record.layout % std::size(layouts)],
                                    (record.flags & 2) != 0 ? 1 : 0);
        sent.emplace_back(std::move(request), std::move(bytes));
    }
    for (const auto& [request, bytes] : sent) {
        fixture.wait_for(*request);
        check(*request, bytes);
    }
}

}  // namespace
}  // namespace dpfs::fuse::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    dpfs::fuse::test::run({data, size});
    return 0;
}
