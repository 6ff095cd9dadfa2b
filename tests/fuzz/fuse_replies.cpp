// SPDX-License-Identifier: Apache-2.0
#include "fuse_replies.hpp"

#include "fuse/wire_file.hpp"
#include "fuse/wire_init.hpp"
#include "fuse/wire_inode.hpp"
#include "require.hpp"
#include "session_fixture.hpp"

#include <algorithm>
#include <limits>
#include <optional>

namespace dpfs::fuzz {

namespace wire = fuse::wire;
using fuse::test::as;
using fuse::test::Bytes;
using wire::Opcode;

namespace {

struct SizeRange {
    std::size_t min;
    std::size_t max;
};

bool is_without_reply(Opcode opcode) {
    return opcode == Opcode::forget || opcode == Opcode::batch_forget ||
           opcode == Opcode::interrupt;
}

bool is_entry(Opcode opcode) {
    return opcode == Opcode::lookup || opcode == Opcode::mknod || opcode == Opcode::mkdir ||
           opcode == Opcode::symlink || opcode == Opcode::link || opcode == Opcode::create;
}

SizeRange exactly(std::size_t size) {
    return {size, size};
}

/// Those whose size the request decides.
std::optional<SizeRange> asked_size(const Exchange& exchange) {
    switch (exchange.header().opcode) {
        case std::to_underlying(Opcode::read):
        case std::to_underlying(Opcode::readdir):
        case std::to_underlying(Opcode::readdirplus):
            return SizeRange{0, exchange.arguments<wire::ReadIn>().size};
        case std::to_underlying(Opcode::getxattr):
        case std::to_underlying(Opcode::listxattr): {
            const std::uint32_t size = exchange.arguments<wire::GetxattrIn>().size;
            return size == 0 ? exactly(sizeof(wire::GetxattrOut)) : SizeRange{0, size};
        }
        case std::to_underlying(Opcode::ioctl): {
            const std::size_t size = sizeof(wire::IoctlOut);
            return SizeRange{size, size + exchange.arguments<wire::IoctlIn>().out_size};
        }
        case std::to_underlying(Opcode::init):
            return SizeRange{wire::compat_init_out_size, sizeof(wire::InitOut)};
        case std::to_underlying(Opcode::readlink):
            return SizeRange{0, 4095};
        default:
            return std::nullopt;
    }
}

struct FixedSize {
    Opcode opcode;
    std::size_t size;
};
constexpr FixedSize fixed_sizes[] = {
    {Opcode::lookup, sizeof(wire::EntryOut)},
    {Opcode::mknod, sizeof(wire::EntryOut)},
    {Opcode::mkdir, sizeof(wire::EntryOut)},
    {Opcode::symlink, sizeof(wire::EntryOut)},
    {Opcode::link, sizeof(wire::EntryOut)},
    {Opcode::create, sizeof(wire::EntryOut) + sizeof(wire::OpenOut)},
    {Opcode::open, sizeof(wire::OpenOut)},
    {Opcode::opendir, sizeof(wire::OpenOut)},
    {Opcode::getattr, sizeof(wire::AttrOut)},
    {Opcode::setattr, sizeof(wire::AttrOut)},
    {Opcode::statx, sizeof(wire::StatxOut)},
    {Opcode::statfs, sizeof(wire::StatfsOut)},
    {Opcode::write, sizeof(wire::WriteOut)},
    {Opcode::copy_file_range, sizeof(wire::WriteOut)},
    {Opcode::copy_file_range_64, sizeof(wire::CopyFileRangeOut)},
    {Opcode::lseek, sizeof(wire::LseekOut)},
};

/// 0 for those that say no more than that they succeeded.
SizeRange payload_size(const Exchange& exchange) {
    if (const auto asked = asked_size(exchange)) return *asked;
    const auto found = std::ranges::find(fixed_sizes, exchange.opcode(), &FixedSize::opcode);
    return exactly(found == std::end(fixed_sizes) ? 0 : found->size);
}

/// The entries of a READDIRPLUS fill its payload; each that has a nodeid gives a reference.
void take_note_of_entries(const Bytes& payload, Holding& holding) {
    std::size_t at = 0;
    while (at < payload.size()) {
        constexpr std::size_t fixed = sizeof(wire::EntryOut) + sizeof(wire::Dirent);
        require(payload.size() - at >= fixed);
        const auto entry = as<wire::EntryOut>(payload, at);
        const auto dirent = as<wire::Dirent>(payload, at + sizeof(entry));
        at += wire::record_align(fixed + dirent.namelen);
        require(at <= payload.size() && dirent.namelen > 0 && dirent.ino == entry.nodeid);
        ++holding.references[entry.nodeid];
    }
}

void forget(Holding& holding, std::uint64_t node, std::uint64_t count) {
    const auto found = holding.references.find(node);
    if (found == holding.references.end()) return;
    found->second -= std::min(found->second, count);
    if (found->second == 0) holding.references.erase(found);
}

}  // namespace

wire::InHeader Exchange::header() const {
    wire::InHeader header{};
    std::ranges::copy(std::span(sent).first(std::min(sent.size(), sizeof(header))),
                      std::as_writable_bytes(std::span(&header, 1)).begin());
    return header;
}

bool Exchange::succeeded() const {
    return request.size >= sizeof(wire::OutHeader) && request.out_header().error == 0;
}

template <wire_struct T>
T Exchange::arguments() const {
    return as<T>(sent, sizeof(wire::InHeader));
}

void check_reply(const Exchange& exchange) {
    const Bytes memory = exchange.request.reply();
    const std::size_t size = exchange.request.size;
    require(exchange.request.completions == 1 && size <= memory.size());
    require(std::ranges::all_of(std::span(memory).subspan(size), [](std::byte one) {
        return one == fuse::test::TestRequest::untouched;
    }));
    const bool has_room = memory.size() >= sizeof(wire::OutHeader);
    if (is_without_reply(exchange.opcode()) || !has_room) return require(size == 0);

    const wire::OutHeader out = exchange.request.out_header();
    require(out.len == size && out.unique == exchange.header().unique);
    require(out.error <= 0 && out.error >= -511);
    const std::size_t payload = size - sizeof(out);
    if (out.error != 0) return require(payload == 0);
    const SizeRange expected = payload_size(exchange);
    require(payload >= expected.min && payload <= expected.max);
}

void take_note(const Exchange& exchange, Holding& holding) {
    if (!exchange.succeeded()) return;
    const Opcode opcode = exchange.opcode();
    const Bytes payload = exchange.request.payload();
    const std::uint64_t node = exchange.header().nodeid;
    if (is_entry(opcode)) ++holding.references[as<wire::EntryOut>(payload).nodeid];
    if (opcode == Opcode::create) {
        const auto open = as<wire::OpenOut>(payload, sizeof(wire::EntryOut));
        holding.handles[open.fh] = as<wire::EntryOut>(payload).nodeid;
    }
    if (opcode == Opcode::open || opcode == Opcode::opendir) {
        holding.handles[as<wire::OpenOut>(payload).fh] = node;
    }
    if (opcode == Opcode::release || opcode == Opcode::releasedir) {
        require(holding.handles.erase(exchange.arguments<wire::ReleaseIn>().fh) == 1);
    }
    if (opcode == Opcode::readdirplus) take_note_of_entries(payload, holding);
}

void take_note_of_forget(const Bytes& sent, Holding& holding) {
    const auto header = as<wire::InHeader>(sent);
    if (header.len < sizeof(header) || header.len > sent.size()) return;
    const auto body = std::span(sent).first(header.len).subspan(sizeof(header));
    if (Opcode{header.opcode} == Opcode::forget) {
        if (body.size() < sizeof(wire::ForgetIn)) return;
        return forget(holding, header.nodeid, as<wire::ForgetIn>(body).nlookup);
    }
    const auto batch = as<wire::BatchForgetIn>(body);
    if (body.size() < sizeof(batch)) return;
    const auto pairs = body.subspan(sizeof(batch));
    if (pairs.size() / sizeof(wire::ForgetOne) < batch.count) return;
    for (std::size_t i = 0; i < batch.count; ++i) {
        const auto one = as<wire::ForgetOne>(pairs, i * sizeof(wire::ForgetOne));
        forget(holding, one.nodeid, one.nlookup);
    }
}

}  // namespace dpfs::fuzz
