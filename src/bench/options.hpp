// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <vector>

namespace dpfs::bench {

/// One kind of work; what an operation of it is, describe() says.
enum class Work : std::uint8_t {
    seqread,
    randread,
    seqwrite,
    randwrite,
    mixed,
    statfs,
    getattr,
    lookup,
    create_unlink,
    open_close,
    readdir,
    readdirplus,
};

inline constexpr std::array<std::string_view, 12> work_names = {
    "seqread",
    "randread",
    "seqwrite",
    "randwrite",
    "mixed",
    "statfs",
    "getattr",
    "lookup",
    "create-unlink",
    "open-close",
    "readdir",
    "readdirplus",
};

[[nodiscard]] constexpr std::string_view name_of(Work work) {
    return work_names[static_cast<std::size_t>(work)];
}

/// The requests of one operation, for help texts.
[[nodiscard]] std::string_view describe(Work work);

/// Whether the work reads or writes blocks of a file, so that it has a bandwidth.
[[nodiscard]] constexpr bool moves_data(Work work) {
    return work <= Work::mixed;
}
[[nodiscard]] constexpr bool lists(Work work) {
    return work == Work::readdir || work == Work::readdirplus;
}

/// Works, one after the other.
struct WorkList {
    std::vector<Work> works;
};

/// A number of bytes that people write as 4k or 256M.
struct ByteSize {
    std::uint64_t bytes = 0;
};

enum class WaitMode : std::uint8_t {
    busy,       ///< the used rings are looked at for ever
    interrupt,  ///< sleep until the device calls
};
enum class RingFormat : std::uint8_t { split, packed };

/// How requests are laid out and waited for.
struct DriverOptions {
    RingFormat ring = RingFormat::split;
    std::uint32_t ring_size = 1024;  ///< descriptors
    bool indirect = true;
    bool event_idx = true;
    bool scatter = false;         ///< neighbouring pages of a buffer do not lie side by side
    std::uint32_t batch_max = 8;  ///< replies taken before what follows from them is published
    WaitMode wait = WaitMode::busy;
    Duration stall_time_max = seconds(10);  ///< without any reply: the device hangs
};

/// What is done with the files.
struct LoadOptions {
    WorkList works = {{Work::randread}};
    std::uint32_t depth = 32;  ///< operations in flight, in each queue
    ByteSize block_size = {4096};
    ByteSize file_size = {std::uint64_t{256} << 20};  ///< of each queue's file
    std::string file;  ///< of the device's root, for all queues; empty: each makes one
    std::uint32_t read_percent = 70;     ///< of Work::mixed
    bool direct = false;                 ///< files are opened with O_DIRECT
    bool verify = false;                 ///< what is read is what was written
    std::uint32_t entry_count = 10'000;  ///< in the directory that is listed
    ByteSize list_size = {32768};        ///< of the buffer of a READDIR
    bool batch_forget = false;           ///< BATCH_FORGET; Linux sends FORGETs
    std::uint64_t seed = 1;
};

/// What `dpfs bench` does.
struct Options {
    std::vector<std::string> sockets;
    std::vector<std::string> floors;  ///< FloorOptions::place: served in this process
    bool compare = false;             ///< targets take turns instead of working at once
    std::uint32_t queue_count = 1;    ///< request queues of each target
    std::uint32_t thread_count = 0;   ///< 0: one for each queue
    std::vector<unsigned> cpus;       ///< of the threads that make requests
    std::vector<unsigned> floor_cpus;
    std::uint32_t round_count = 5;
    Duration round_time = milliseconds(1000);
    Duration warm_up_time = milliseconds(300);
    pid_t server_pid = 0;  ///< 0: who listens on the socket
    bool json = false;
    DriverOptions driver;
    LoadOptions load;
};

}  // namespace dpfs::bench
