// SPDX-License-Identifier: Apache-2.0
#include "daemon/bench_config.hpp"

#include "bench/cpu_affinity.hpp"
#include "daemon/nearest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace dpfs::daemon {
namespace {

using bench::ByteSize;
using bench::WorkList;

constexpr std::array<std::string_view, 4> size_units = {"", "k", "M", "G"};
constexpr std::uint64_t size_max = std::uint64_t{1} << 44;
constexpr std::uint64_t transfer_size_max = std::uint64_t{16} << 20;
/// Header, arguments, reply's header and struct.
constexpr std::uint64_t fixed_descriptors = 4;

Parsed<void> check_sizes(const bench::Options& options) {
    const bench::LoadOptions& load = options.load;
    const std::uint64_t block_size = load.block_size.bytes;
    if (block_size < 512 || block_size % 512 != 0 || block_size > transfer_size_max) {
        return wrong("--block-size: must be a multiple of 512, at most 16M");
    }
    if (load.file_size.bytes < block_size) {
        return wrong("--file-size: is less than --block-size; write more");
    }
    if (load.verify && load.file_size.bytes / block_size <= load.depth) {
        return wrong("--verify: needs more blocks than --depth; write more --file-size");
    }
    if (load.verify && !load.file.empty()) {
        return wrong("--verify: needs files of its own; write it without --file");
    }
    if (load.list_size.bytes < 1024 || load.list_size.bytes > transfer_size_max) {
        return wrong("--list-size: must be from 1k to 16M");
    }
    if (load.direct && block_size % 4096 != 0) {
        return wrong("--direct: needs a --block-size that is a multiple of 4k");
    }
    return {};
}

/// Whether all requests find room in a ring.
Parsed<void> check_ring(const bench::Options& options) {
    const std::uint64_t pages = (options.load.block_size.bytes + 4095) / 4096;
    const std::uint64_t each = options.driver.indirect ? 1 : fixed_descriptors + pages;
    const std::uint64_t needed = each * options.load.depth;
    if (needed <= options.driver.ring_size) return {};
    return wrong(
        fmt::format("--depth: {} requests take {} descriptors, and the ring has {}; "
                    "write less --depth or more --ring-size",
                    options.load.depth,
                    needed,
                    options.driver.ring_size));
}

}  // namespace

bench::Options BenchConfig::to_options() const {
    bench::Options out = options;
    out.cpus = cpus.cpus;
    out.floor_cpus = floor_cpus.cpus;
    return out;
}

Parsed<void> check_bench(const BenchConfig& config) {
    const bench::Options& options = config.options;
    const std::size_t target_count = options.sockets.size() + options.floors.size();
    if (target_count == 0) {
        return wrong("--socket: is missing; write dpfs bench --socket PATH …");
    }
    if (options.compare && target_count < 2) {
        return wrong("--compare: needs two devices; write --socket PATH twice");
    }
    if (auto checked = check_sizes(options); !checked) return checked;
    if (auto checked = check_ring(options); !checked) return checked;
    if (auto checked = bench::check_cpus(config.cpus.cpus); !checked) {
        return wrong(fmt::format("--cpus: {}", checked.error()));
    }
    if (auto checked = bench::check_cpus(config.floor_cpus.cpus); !checked) {
        return wrong(fmt::format("--floor-cpus: {}", checked.error()));
    }
    return {};
}

Parsed<WorkList> TextForm<WorkList>::parse(std::string_view text) {
    WorkList list;
    std::string_view rest = text;
    while (true) {
        const std::size_t end = rest.find(',');
        const std::string_view word = rest.substr(0, end);
        const auto* const found = std::ranges::find(bench::work_names, word);
        if (found == bench::work_names.end()) {
            return wrong(fmt::format("'{}' is not {}{}",
                                     word,
                                     listing(bench::work_names),
                                     suggestion(word, bench::work_names)));
        }
        list.works.push_back(static_cast<bench::Work>(found - bench::work_names.begin()));
        if (end == rest.npos) return list;
        rest.remove_prefix(end + 1);
    }
}

std::string TextForm<WorkList>::print(const WorkList& list) {
    std::vector<std::string_view> names;
    names.reserve(list.works.size());
    for (const bench::Work work : list.works) names.push_back(name_of(work));
    return fmt::format("{}", fmt::join(names, ","));
}

Parsed<ByteSize> TextForm<ByteSize>::parse(std::string_view text) {
    std::uint64_t number = 0;
    const auto [stop, error] = std::from_chars(text.begin(), text.end(), number);
    const std::string_view unit(stop, text.end());
    const auto* found = std::ranges::find(size_units, unit == "K" ? "k" : unit);
    const auto shift = static_cast<unsigned>(found - size_units.begin()) * 10;
    if (error != std::errc() || found == size_units.end() || number > size_max >> shift) {
        return wrong(fmt::format("'{}' is not a size; write one such as 4k, 256M or 1G", text));
    }
    return ByteSize{number << shift};
}

std::string TextForm<ByteSize>::print(const ByteSize& size) {
    std::uint64_t number = size.bytes;
    std::size_t unit = 0;
    while (unit + 1 < size_units.size() && number >= 1024 && number % 1024 == 0) {
        number /= 1024;
        ++unit;
    }
    return fmt::format("{}{}", number, size_units[unit]);
}

}  // namespace dpfs::daemon
