// SPDX-License-Identifier: Apache-2.0
#include "hostile_fixture.hpp"

#include "fuse/wire_file.hpp"
#include "fuse/wire_inode.hpp"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <iostream>
#include <utility>

namespace dpfs::hostile {
namespace {

constexpr std::uint64_t root = 1;

std::string device_table(const std::filesystem::path& folder, const std::string& tag) {
    return "[[device]]\nbackend = 'uring'\ntag = '" + tag + "'\nsocket = '" +
           (folder / tag).string() + "'\ndir = '" + (folder / (tag + ".d")).string() + "'\n";
}

bool is_problem_of_the_victim(const std::string& line) {
    return line.find("tag=victim") != line.npos &&
           (line.find(" warning ") != line.npos || line.find(" error ") != line.npos);
}

}  // namespace

HostileTest::HostileTest() {
    std::string pattern = "/tmp/dpfs-hostile.XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    for (const char* const tag : {"victim", "neighbour"}) {
        std::filesystem::create_directory(folder_ / (std::string(tag) + ".d"));
    }
    std::ofstream(folder_ / "victim.d" / "file") << std::string(file_size, 'v');
    std::ofstream(folder_ / "dpfs.toml")
        << "[daemon]\nthreads = 1\n"
        << device_table(folder_, "victim") << device_table(folder_, "neighbour");
}

HostileTest::~HostileTest() {
    if (HasFailure() && daemon_ != nullptr) {
        daemon_->signal(SIGKILL);
        for (const std::string& line : log_lines()) std::cerr << "daemon: " << line << '\n';
    }
    neighbour_.reset();
    daemon_.reset();
    std::filesystem::remove_all(folder_);
}

void HostileTest::SetUp() {
    using Words = std::vector<std::string>;
    daemon_ = std::make_unique<daemon::ChildProcess>(
        Words{"serve", "--config", (folder_ / "dpfs.toml").string()});
    for (int i = 0; i < 2; ++i) {
        ASSERT_TRUE(daemon_->next_output_line().starts_with("ready tag="));
    }
    neighbour_ = std::make_unique<daemon::ChildProcess>(Words{"bench",
                                                              "--socket",
                                                              socket("neighbour"),
                                                              "--work",
                                                              "mixed",
                                                              "--verify",
                                                              "--file-size",
                                                              "8M",
                                                              "--depth",
                                                              "16",
                                                              "--poll",
                                                              "interrupt",
                                                              "--warm-up-ms",
                                                              "0",
                                                              "--rounds",
                                                              "1",
                                                              "--round-ms",
                                                              "1500"});
}

std::unique_ptr<HostileGuest> HostileTest::mounted(std::uint64_t features) const {
    auto guest = attacker(features);
    if (guest == nullptr || !guest->mount()) return nullptr;
    return guest;
}

std::vector<std::string> HostileTest::log_lines() {
    std::vector<std::string> lines;
    for (std::string line = daemon_->next_error_line(); !line.empty();
         line = daemon_->next_error_line()) {
        lines.push_back(std::move(line));
    }
    return lines;
}

HostileTest::OpenFile HostileTest::open_file(HostileGuest& guest, std::uint32_t flags) {
    const auto entry =
        guest.call(wire::Opcode::lookup, root, name_bytes("file"), sizeof(wire::EntryOut));
    EXPECT_TRUE(entry && entry->body.size() == sizeof(wire::EntryOut));
    if (!entry || entry->body.size() != sizeof(wire::EntryOut)) return {};
    wire::EntryOut found;
    std::memcpy(&found, entry->body.data(), sizeof(found));

    const wire::OpenIn in = {.flags = flags, .open_flags = 0};
    const auto opened =
        guest.call(wire::Opcode::open, found.nodeid, bytes_of(in), sizeof(wire::OpenOut));
    EXPECT_TRUE(opened && opened->body.size() == sizeof(wire::OpenOut));
    if (!opened || opened->body.size() != sizeof(wire::OpenOut)) return {};
    wire::OpenOut out;
    std::memcpy(&out, opened->body.data(), sizeof(out));
    return {.nodeid = found.nodeid, .handle = out.fh};
}

std::vector<std::byte> HostileTest::read_arguments(const OpenFile& file) {
    return bytes_of(wire::ReadIn{.fh = file.handle,
                                 .offset = 0,
                                 .size = read_size,
                                 .read_flags = 0,
                                 .lock_owner = 0,
                                 .flags = O_RDWR,
                                 .padding = 0});
}

void HostileTest::expect_nobody_else_is_harmed(int line_count) {
    EXPECT_EQ(neighbour_->wait(), 0) << neighbour_->next_error_line();
    {
        const auto next = mounted(split_features);
        ASSERT_NE(next, nullptr) << "the next guest is not served";
        const OpenFile file = open_file(*next, O_RDONLY);
        const auto read =
            next->call(wire::Opcode::read, file.nodeid, read_arguments(file), read_size);
        if (!read) FAIL() << "the next guest gets no answer";
        EXPECT_EQ(read->error, 0);
        EXPECT_EQ(read->body, std::vector<std::byte>(read_size, std::byte{'v'}));
    }
    daemon_->signal(SIGTERM);
    const std::vector<std::string> lines = log_lines();
    EXPECT_LE(std::ranges::count_if(lines, is_problem_of_the_victim), line_count)
        << testing::PrintToString(lines);
    EXPECT_EQ(daemon_->wait(), 0);
}

}  // namespace dpfs::hostile
