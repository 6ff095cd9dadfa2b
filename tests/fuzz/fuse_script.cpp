// SPDX-License-Identifier: Apache-2.0
#include "fuse_script.hpp"

#include "fuse/wire_file.hpp"
#include "fuse/wire_init.hpp"
#include "fuse/wire_inode.hpp"
#include "session_fixture.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <string_view>
#include <sys/stat.h>
#include <utility>

namespace dpfs::fuzz {

using fuse::test::Bytes;
using fuse::test::Message;
using fuse::wire::Opcode;

namespace {

struct Shape {
    Opcode opcode;
    std::string_view fields;
};

// 8 bytes: h handle, N nodeid, o offset, c count, q anything, Z zero; 4 bytes: s size (of d),
// S size, f flags, m mode, z zero; n name, a attribute's name, d data, B forgets.
constexpr std::array shapes = {
    Shape{Opcode::lookup, "n"},
    Shape{Opcode::forget, "c"},
    Shape{Opcode::getattr, "fzh"},
    Shape{Opcode::setattr, "fzhoqqqqffffzffz"},
    Shape{Opcode::symlink, "nn"},
    Shape{Opcode::mknod, "mfzzn"},
    Shape{Opcode::mkdir, "mzn"},
    Shape{Opcode::unlink, "n"},
    Shape{Opcode::rmdir, "n"},
    Shape{Opcode::rename, "Nnn"},
    Shape{Opcode::link, "Nn"},
    Shape{Opcode::open, "ff"},
    Shape{Opcode::read, "hosfqfz"},
    Shape{Opcode::write, "hosfqfzd"},
    Shape{Opcode::release, "hffq"},
    Shape{Opcode::fsync, "hfz"},
    Shape{Opcode::setxattr, "sffzad"},
    Shape{Opcode::getxattr, "sza"},
    Shape{Opcode::listxattr, "sz"},
    Shape{Opcode::removexattr, "a"},
    Shape{Opcode::flush, "hzzq"},
    Shape{Opcode::opendir, "ff"},
    Shape{Opcode::readdir, "hosfqfz"},
    Shape{Opcode::releasedir, "hffq"},
    Shape{Opcode::fsyncdir, "hfz"},
    Shape{Opcode::getlk, "hqoofzfz"},
    Shape{Opcode::setlk, "hqoofzfz"},
    Shape{Opcode::setlkw, "hqoofzfz"},
    Shape{Opcode::access, "fz"},
    Shape{Opcode::create, "fmzfn"},
    Shape{Opcode::interrupt, "c"},
    Shape{Opcode::bmap, "ofz"},
    Shape{Opcode::ioctl, "hffqsSd"},
    Shape{Opcode::poll, "hqff"},
    Shape{Opcode::batch_forget, "B"},
    Shape{Opcode::fallocate, "hoofz"},
    Shape{Opcode::readdirplus, "hosfqfz"},
    Shape{Opcode::rename2, "Nfznn"},
    Shape{Opcode::lseek, "hofz"},
    Shape{Opcode::copy_file_range, "hoNhooZ"},
    Shape{Opcode::syncfs, "q"},
    Shape{Opcode::tmpfile, "fmzf"},
    Shape{Opcode::statx, "fzhff"},
    Shape{Opcode::copy_file_range_64, "hoNhooZ"},
};

std::string_view fields_of(std::uint32_t opcode) {
    const auto found = std::ranges::find(shapes, Opcode{opcode}, &Shape::opcode);
    return found == shapes.end() ? std::string_view() : found->fields;
}

void add_number(Message& to, std::uint64_t value) {
    to.add_bytes(std::as_bytes(std::span(&value, 1)));
}
void add_number(Message& to, std::uint32_t value) {
    to.add_bytes(std::as_bytes(std::span(&value, 1)));
}

/// One of a map's keys.
template <class Map>
std::uint64_t key_at(const Map& map, std::uint32_t index) {
    return std::next(map.begin(), index % static_cast<std::uint32_t>(map.size()))->first;
}

}  // namespace

// --- values

std::uint64_t FuseScript::node() {
    const auto choice = input_.number();
    if (choice >= 240) return input_.number<std::uint64_t>();
    if (choice % 3 == 0 || holding_.references.empty()) return 1;
    return key_at(holding_.references, choice / 3);
}

std::uint64_t FuseScript::handle() {
    const auto choice = input_.number();
    if (choice >= 240 || holding_.handles.empty()) return choice;
    return key_at(holding_.handles, choice);
}

std::uint64_t FuseScript::offset() {
    switch (input_.below(8)) {
        case 7:
            return input_.number<std::uint64_t>();
        case 6:
            return INT64_MAX - std::uint64_t{input_.number()};
        case 5:
            return input_.number<std::uint16_t>();
        default:
            return input_.below(32);
    }
}

std::uint32_t FuseScript::flags() {
    switch (input_.below(4)) {
        case 0:
            return 0;
        case 1:
            return input_.number();
        case 2:
            return 1U << input_.below(32);
        default:
            return input_.number<std::uint32_t>();
    }
}

std::uint32_t FuseScript::mode() {
    constexpr std::array<std::uint32_t, 6> types = {
        S_IFREG, S_IFDIR, S_IFLNK, S_IFCHR, S_IFIFO, 0};
    return types[input_.below(types.size())] | (input_.number() & 0777U);
}

std::string FuseScript::name() {
    using namespace std::string_literals;
    switch (const auto choice = input_.number()) {
        case 250:
            return {};
        case 251:
            return input_.one_in(2) ? "." : "..";
        case 252:
            return input_.one_in(2) ? "a/b" : "/";
        case 253:
            return "a\0b"s;
        case 254:
            return std::string(250 + input_.below(8), 'n');
        case 255: {
            const auto bytes = input_.bytes(input_.below(20));
            std::string text(bytes.size(), '\0');
            if (!bytes.empty()) std::memcpy(text.data(), bytes.data(), bytes.size());
            return text;
        }
        default:
            return std::string(1, static_cast<char>('a' + choice % 8));
    }
}

// --- requests

void FuseScript::add_forgets(Message& to) {
    const std::uint32_t count = input_.below(6);
    add_number(to, input_.one_in(16) ? input_.number<std::uint32_t>() : count);
    add_number(to, std::uint32_t{0});
    for (std::uint32_t i = 0; i < count; ++i) {
        add_number(to, node());
        add_number(to, std::uint64_t{input_.below(4)});
    }
}

void FuseScript::add_field(Message& to, char kind) {
    switch (kind) {
        case 'h':
            return add_number(to, handle());
        case 'N':
            return add_number(to, node());
        case 'o':
            return add_number(to, offset());
        case 'c':
            return add_number(to, std::uint64_t{input_.number()});
        case 'q':
            return add_number(to, std::uint64_t{input_.number()} << (8 * input_.below(8)));
        case 'Z':
            return add_number(to, std::uint64_t{input_.one_in(32)});
        case 's':
            size_ = input_.one_in(8) ? input_.number<std::uint16_t>() : input_.number();
            return add_number(to, size_);
        case 'S':
            return add_number(to, std::uint32_t{input_.number()});
        case 'f':
            return add_number(to, flags());
        case 'm':
            return add_number(to, mode());
        case 'z':
            return add_number(to, std::uint32_t{0});
        case 'd': {
            Bytes data = input_.bytes(std::min<std::size_t>(size_, 8));
            data.resize(size_, std::byte{0x33});
            to.add_bytes(data);
            return;
        }
        case 'B':
            return add_forgets(to);
        default:  // n, a
            to.add_string(name());
    }
}

Bytes FuseScript::request(std::uint32_t opcode, std::uint64_t unique) {
    Message arguments;
    if (Opcode{opcode} == Opcode::init) {
        fuse::wire::InitIn in = fuse::test::linux_init();
        if (input_.one_in(4)) in.major = 5 + input_.below(5);
        if (input_.one_in(4)) in.minor = input_.below(60);
        if (input_.one_in(4)) in.flags = input_.number<std::uint32_t>();
        arguments.add(in);
    }
    for (const char kind : fields_of(opcode)) add_field(arguments, kind);
    const fuse::wire::InHeader header = {.len = 0,
                                         .opcode = 0,
                                         .unique = unique,
                                         .nodeid = node(),
                                         .uid = 1000,
                                         .gid = 100,
                                         .pid = 42,
                                         .total_extlen = 0,
                                         .padding = 0};
    return fuse::test::make_request(Opcode{opcode}, arguments, header);
}

void FuseScript::spoil(Bytes& request) {
    const auto put_length = [&](std::uint32_t length) {
        if (request.size() >= sizeof(length))
            std::memcpy(request.data(), &length, sizeof(length));
    };
    const auto size = static_cast<std::uint32_t>(request.size());
    switch (input_.below(5)) {
        case 0:
            return put_length(size + input_.number() - 128);
        case 1:
            return put_length(input_.number<std::uint32_t>());
        case 2:
            request.resize(input_.number() % (request.size() + 1));
            return put_length(static_cast<std::uint32_t>(request.size()));
        case 3:
            request.resize(input_.number() % (request.size() + 1));
            return;
        default:
            // Not the opcode, nor the request's number.
            request[16 + input_.number() % (request.size() - 16)] ^= std::byte{input_.number()};
    }
}

std::vector<std::size_t> FuseScript::parts(std::size_t size, std::size_t header_size) {
    std::vector<std::size_t> all;
    std::size_t left = size;
    const std::uint32_t count = input_.below(16);
    if (count == 0 && left > header_size) {
        all.push_back(header_size);
        left -= header_size;
    }
    for (std::uint32_t i = 1; i < count; ++i) {
        all.push_back(std::min<std::size_t>(left, input_.number()));
        left -= all.back();
    }
    if (left > 0) all.push_back(left);
    return all;
}

}  // namespace dpfs::fuzz
