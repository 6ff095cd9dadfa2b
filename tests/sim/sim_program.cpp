// SPDX-License-Identifier: Apache-2.0
#include "sim_program.hpp"

#include "base/or_return.hpp"
#include "fuse/wire_file.hpp"
#include "fuse/wire_inode.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fcntl.h>
#include <iterator>
#include <utility>

namespace dpfs::sim {
namespace {

namespace wire = fuse::wire;
using wire::Opcode;

constexpr std::size_t transfer_size_max = 12000;  // bytes; fits a request slot of the guest
constexpr std::size_t file_size_max = 40000;
constexpr std::size_t file_count_max = 4;

/// A request's body: structs and names one after the other.
class Body {
  public:
    template <wire_struct T>
    Body&& with(const T& value) && {
        append(std::as_bytes(std::span(&value, 1)));
        return std::move(*this);
    }
    Body&& name(const std::string& text) && {
        append(std::as_bytes(std::span(text.c_str(), text.size() + 1)));
        return std::move(*this);
    }
    Body&& data(std::span<const std::byte> bytes) && {
        append(bytes);
        return std::move(*this);
    }
    std::vector<std::byte> done() && { return std::move(bytes_); }

  private:
    void append(std::span<const std::byte> more) {
        bytes_.insert(bytes_.end(), more.begin(), more.end());
    }
    std::vector<std::byte> bytes_;
};

template <wire_struct T>
T as(const std::vector<std::byte>& bytes, std::size_t offset = 0) {
    T value{};
    EXPECT_GE(bytes.size(), offset + sizeof value);
    std::memcpy(&value, bytes.data() + offset, sizeof value);
    return value;
}

}  // namespace

Program::Program(Guest& guest,
                 reactor::SimRandom& random,
                 std::string name_prefix,
                 std::uint16_t queue)
    : guest_(guest), random_(random), prefix_(std::move(name_prefix)), queue_(queue) {}

bool Program::is_excused(Errno error) {
    return error == Errno::no_space || error == Errno::io_error ||
           error == Errno::connection_reset;
}

Task<void> Program::run(int steps) {
    for (int i = 0; i < steps; ++i) {
        const Result<void> taken = co_await step();
        if (taken) continue;
        EXPECT_TRUE(is_excused(taken.error())) << errno_name(taken.error());
        if (taken.error() == Errno::connection_reset) co_return;
    }
}

Task<Result<void>> Program::step() {
    if (files_.empty() || (files_.size() < file_count_max && random_.chance(150))) {
        co_return co_await create();
    }
    const auto found =
        std::next(files_.begin(), static_cast<std::ptrdiff_t>(random_.below(files_.size())));
    const std::string name = found->first;
    File& file = found->second;
    if (!file.open) co_await or_return(co_await open(guest_, file));
    switch (random_.below(12)) {
        case 0:
            co_return co_await truncate(file);
        case 1:
            co_return co_await check_size(guest_, file);
        case 2:
            co_return co_await rename(name);
        case 3:
            co_return co_await unlink(name);
        case 4:
            co_return co_await close(guest_, file);
        case 5:
            co_return co_await sync(file);
        case 6:
            co_return co_await look_up(guest_, name, file);
        case 7:
        case 8:
        case 9:
            co_return co_await read(guest_, file);
        default:
            co_return co_await write(file);
    }
}

std::string Program::new_name() {
    return prefix_ + "-" + std::to_string(made_count_++);
}

void Program::grow(File& file, std::size_t size) {
    if (file.contents.size() >= size) return;
    file.contents.resize(size);
    file.known.resize(size, true);
}

Task<Result<void>> Program::create() {
    const std::string name = new_name();
    const wire::CreateIn in{
        .flags = O_RDWR, .mode = S_IFREG | 0644, .umask = 022, .open_flags = 0};
    const auto body = Body().with(in).name(name).done();
    const auto answer = co_await or_return(co_await guest_.request(
        queue_, Opcode::create, 1, body, sizeof(wire::EntryOut) + sizeof(wire::OpenOut)));
    const auto entry = as<wire::EntryOut>(answer);
    EXPECT_EQ(entry.attr.size, 0U);
    EXPECT_NE(entry.nodeid, 0U);
    File file;
    file.nodeid = entry.nodeid;
    file.handle = as<wire::OpenOut>(answer, sizeof entry).fh;
    file.lookups = 1;
    file.open = true;
    files_.emplace(name, std::move(file));
    co_return Result<void>();
}

Task<Result<void>> Program::write(File& file) {
    const std::size_t offset = random_.below(file_size_max - transfer_size_max);
    std::vector<std::byte> data(1 + random_.below(transfer_size_max - 1));
    for (std::byte& byte : data) byte = static_cast<std::byte>(random_.next());

    wire::WriteIn in{};
    in.fh = file.handle;
    in.offset = offset;
    in.size = static_cast<std::uint32_t>(data.size());
    const auto body = Body().with(in).data(data).done();
    const auto answer = co_await guest_.request(
        queue_, Opcode::write, file.nodeid, body, sizeof(wire::WriteOut));
    std::size_t written = 0;
    if (answer) {
        written = as<wire::WriteOut>(*answer).size;
        EXPECT_LE(written, data.size());
        EXPECT_GT(written, 0U);
    }
    if (written > 0) {
        grow(file, offset + written);
        std::ranges::copy(std::span(data).first(written),
                          file.contents.begin() + static_cast<std::ptrdiff_t>(offset));
    }
    for (std::size_t i = 0; i < data.size(); ++i) {
        if (offset + i >= file.known.size()) break;
        file.known[offset + i] = i < written;
    }
    if (written < data.size())
        file.size_known = file.size_known && offset + data.size() <= file.contents.size();
    if (!answer) co_return fail(answer.error());
    co_return Result<void>();
}

Task<Result<void>> Program::read(Guest& guest, File& file) {
    const std::size_t offset = random_.below(file_size_max);
    const std::size_t size = 1 + random_.below(transfer_size_max - 1);
    wire::ReadIn in{};
    in.fh = file.handle;
    in.offset = offset;
    in.size = static_cast<std::uint32_t>(size);
    const auto body = Body().with(in).done();
    const auto data = co_await or_return(co_await guest.request(
        queue_, Opcode::read, file.nodeid, body, static_cast<std::uint32_t>(size)));
    if (file.size_known) {
        const std::size_t expected =
            offset >= file.contents.size() ? 0 : std::min(size, file.contents.size() - offset);
        EXPECT_EQ(data.size(), expected)
            << "a short answer is the end of the file to the tenant";
    }
    for (std::size_t i = 0; i < data.size() && offset + i < file.contents.size(); ++i) {
        if (!file.known[offset + i] || data[i] == file.contents[offset + i]) continue;
        ADD_FAILURE() << "a wrong byte at " << offset + i << " of a file of " << prefix_;
        break;
    }
    co_return Result<void>();
}

Task<Result<void>> Program::truncate(File& file) {
    const std::size_t size = random_.below(file_size_max);
    wire::SetattrIn in{};
    in.valid = wire::fattr::size | wire::fattr::fh;
    in.fh = file.handle;
    in.size = size;
    const auto body = Body().with(in).done();
    const auto answer = co_await guest_.request(
        queue_, Opcode::setattr, file.nodeid, body, sizeof(wire::AttrOut));
    if (!answer) {
        // Done or not: nothing is known of the file's end any more.
        file.size_known = false;
        file.known.assign(file.known.size(), false);
        co_return fail(answer.error());
    }
    EXPECT_EQ(as<wire::AttrOut>(*answer).attr.size, size);
    // Cut-off bytes that were uncertain are gone, and come back as zeroes.
    if (!file.size_known) file.known.assign(file.contents.size(), false);
    file.contents.resize(size);
    file.known.resize(size, file.size_known);
    file.size_known = true;
    co_return Result<void>();
}

Task<Result<void>> Program::check_size(Guest& guest, File& file) {
    const wire::GetattrIn in{};
    const auto body = Body().with(in).done();
    const auto answer = co_await or_return(co_await guest.request(
        queue_, Opcode::getattr, file.nodeid, body, sizeof(wire::AttrOut)));
    if (file.size_known) {
        EXPECT_EQ(as<wire::AttrOut>(answer).attr.size, file.contents.size());
    }
    co_return Result<void>();
}

Task<void> Program::check_gone(std::string name) {
    const auto body = Body().name(name).done();
    const auto answer =
        co_await guest_.request(queue_, Opcode::lookup, 1, body, sizeof(wire::EntryOut));
    if (answer) {
        EXPECT_EQ(as<wire::EntryOut>(*answer).nodeid, 0U) << name << " should be gone";
    } else {
        EXPECT_TRUE(answer.error() == Errno::no_entry || is_excused(answer.error()));
    }
}

Task<Result<void>> Program::rename(std::string from) {
    const std::string to = new_name();
    const wire::RenameIn in{1};
    const auto body = Body().with(in).name(from).name(to).done();
    const auto answer = co_await guest_.request(queue_, Opcode::rename, 1, body, 0);
    if (!answer) {
        // Done or not, nobody will ever say.
        files_.erase(from);
        co_return fail(answer.error());
    }
    auto moved = files_.extract(from);
    moved.key() = to;
    files_.insert(std::move(moved));
    co_await check_gone(from);
    co_return Result<void>();
}

Task<Result<void>> Program::unlink(std::string name) {
    const auto body = Body().name(name).done();
    const auto answer = co_await guest_.request(queue_, Opcode::unlink, 1, body, 0);
    if (!answer) {
        files_.erase(name);
        co_return fail(answer.error());
    }
    // An open file outlives its name.
    File file = std::move(files_.extract(name).mapped());
    co_await check_gone(name);
    co_await or_return(co_await read(guest_, file));
    co_await or_return(co_await close(guest_, file));
    co_await guest_.forget(file.nodeid, file.lookups);
    co_return Result<void>();
}

Task<Result<void>> Program::look_up(Guest& guest, std::string name, File& file) {
    const auto body = Body().name(name).done();
    const auto answer = co_await or_return(
        co_await guest.request(queue_, Opcode::lookup, 1, body, sizeof(wire::EntryOut)));
    const auto entry = as<wire::EntryOut>(answer);
    EXPECT_NE(entry.nodeid, 0U);
    if (file.nodeid != 0) {
        EXPECT_EQ(entry.nodeid, file.nodeid);
    }
    file.nodeid = entry.nodeid;
    ++file.lookups;
    if (file.size_known) {
        EXPECT_EQ(entry.attr.size, file.contents.size());
    }
    co_return Result<void>();
}

Task<Result<void>> Program::open(Guest& guest, File& file) {
    const wire::OpenIn in{O_RDWR, 0};
    const auto body = Body().with(in).done();
    const auto answer = co_await or_return(
        co_await guest.request(queue_, Opcode::open, file.nodeid, body, sizeof(wire::OpenOut)));
    file.handle = as<wire::OpenOut>(answer).fh;
    file.open = true;
    co_return Result<void>();
}

Task<Result<void>> Program::close(Guest& guest, File& file) {
    wire::ReleaseIn in{};
    in.fh = file.handle;
    const auto body = Body().with(in).done();
    file.open = false;
    co_await or_return(co_await guest.request(queue_, Opcode::release, file.nodeid, body, 0));
    co_return Result<void>();
}

Task<Result<void>> Program::sync(File& file) {
    wire::FsyncIn in{};
    in.fh = file.handle;
    const auto body = Body().with(in).done();
    co_await or_return(co_await guest_.request(queue_, Opcode::fsync, file.nodeid, body, 0));
    co_return Result<void>();
}

Task<void> Program::finish() {
    for (auto& [name, file] : files_) {
        if (file.open) (void)co_await close(guest_, file);
        co_await guest_.forget(file.nodeid, file.lookups);
        file.lookups = 0;
        file.nodeid = 0;
    }
}

Task<void> Program::check_all(Guest& guest) {
    for (auto& [name, file] : files_) {
        file.nodeid = 0;
        const Result<void> found = co_await look_up(guest, name, file);
        EXPECT_TRUE(found.has_value()) << name << " is lost: " << errno_name(found.error());
        if (!found) continue;
        const Result<void> opened = co_await open(guest, file);
        EXPECT_TRUE(opened.has_value()) << name;
        if (!opened) continue;
        for (int i = 0; i < 4; ++i) {
            const Result<void> same = co_await read(guest, file);
            EXPECT_TRUE(same.has_value()) << name;
        }
        (void)co_await close(guest, file);
        co_await guest.forget(file.nodeid, 1);
    }
}

}  // namespace dpfs::sim
