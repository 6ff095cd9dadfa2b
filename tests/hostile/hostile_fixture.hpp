// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "child_process.hpp"
#include "hostile_guest.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace dpfs::hostile {

/// One daemon, one reactor thread, two devices: one is attacked, while on the other a tenant
/// writes and reads, and checks each byte.
class HostileTest : public ::testing::Test {
  protected:
    HostileTest();
    ~HostileTest() override;

    void SetUp() override;

    [[nodiscard]] std::unique_ptr<HostileGuest> attacker(std::uint64_t features) const {
        return HostileGuest::connect(socket("victim"), features);
    }
    /// … that has mounted.
    [[nodiscard]] std::unique_ptr<HostileGuest> mounted(std::uint64_t features) const;

    /// To be called at the end: the neighbour's data was right all the time, the attacked
    /// device serves the next guest, the daemon ends as it should, and it has said at most
    /// `line_count` lines about it all.
    void expect_nobody_else_is_harmed(int line_count);

    /// A file of the attacked device, of this many bytes.
    static constexpr std::uint32_t file_size = 1 << 20;
    struct OpenFile {
        std::uint64_t nodeid = 0;
        std::uint64_t handle = 0;
    };
    static OpenFile open_file(HostileGuest& guest, std::uint32_t flags);
    /// Arguments of a READ of 32 KiB.
    static constexpr std::uint32_t read_size = 32 << 10;
    static std::vector<std::byte> read_arguments(const OpenFile& file);

  private:
    /// What the daemon says until it ends.
    [[nodiscard]] std::vector<std::string> log_lines();
    [[nodiscard]] std::string socket(const std::string& tag) const { return folder_ / tag; }

    std::filesystem::path folder_;
    std::unique_ptr<daemon::ChildProcess> daemon_;
    std::unique_ptr<daemon::ChildProcess> neighbour_;
};

}  // namespace dpfs::hostile
