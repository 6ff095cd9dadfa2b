// SPDX-License-Identifier: Apache-2.0
#include "bench/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace dpfs::bench {
namespace {

/// Three digits that count: "8.12", "81.2", "812".
std::string three_digits(double value) {
    const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    return fmt::format("{:.{}f}", value, decimals);
}

using Row = std::vector<std::string>;

std::size_t width_of(std::string_view text) {
    // "µ" is two bytes and one column.
    return static_cast<std::size_t>(std::ranges::count_if(
        text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

/// Columns as wide as they must be; the first one to the left, the others to the right.
std::string table_of(const std::vector<Row>& rows) {
    std::vector<std::size_t> widths;
    for (const Row& row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (std::size_t i = 0; i < row.size(); ++i) {
            widths[i] = std::max(widths[i], width_of(row[i]));
        }
    }
    std::string out;
    for (const Row& row : rows) {
        std::string line = "  ";
        for (std::size_t i = 0; i < row.size(); ++i) {
            const std::string space(widths[i] - width_of(row[i]), ' ');
            line += i == 0 ? row[i] + space : "  " + space + row[i];
        }
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + '\n';
    }
    return out;
}

std::string heading(const WorkResult& result, const Options& options) {
    const LoadOptions& load = options.load;
    std::string out = fmt::format("{}: ", name_of(result.work));
    if (moves_data(result.work)) {
        out += fmt::format("{} of {}{}{}, ",
                           readable_size(load.block_size.bytes),
                           readable_size(load.file_size.bytes),
                           load.direct ? ", O_DIRECT" : "",
                           load.verify ? ", verified" : "");
    }
    if (result.work == Work::mixed) out += fmt::format("{} % reads, ", load.read_percent);
    if (lists(result.work)) {
        out += fmt::format(
            "{} entries, buffer {}, ", load.entry_count, readable_size(load.list_size.bytes));
    }
    return out + fmt::format("depth {}, queues {}, {}, median of {} rounds of {:g} s\n",
                             load.depth,
                             options.queue_count,
                             options.driver.wait == WaitMode::busy ? "busy" : "interrupts",
                             options.round_count,
                             options.round_time.seconds());
}

std::string optional_time(const std::optional<double>& ns) {
    return ns ? readable_time(*ns) : "not seen";
}

Row speed_row(const std::string& name,
              const Measurement& all,
              Work work,
              const Options& options) {
    const Spread rate = all.rate();
    Row row = {name,
               readable_count(rate.median) + "/s",
               fmt::format("{} to {}", readable_count(rate.min), readable_count(rate.max))};
    if (moves_data(work)) {
        const double bytes = rate.median * static_cast<double>(options.load.block_size.bytes);
        row.push_back(fmt::format("{} GB/s", three_digits(bytes / 1e9)));
    }
    for (std::size_t i = 0; i < percentile_count; ++i) {
        row.push_back(readable_time(all.latency(i)));
    }
    return row;
}

std::string speed_table(const WorkResult& result, const Options& options) {
    Row head = {"", "rate", "min to max"};
    if (moves_data(result.work)) head.emplace_back("bandwidth");
    head.insert(head.end(), percentile_names.begin(), percentile_names.end());
    std::vector<Row> rows = {head};
    for (const GroupResult& group : result.groups) {
        rows.push_back(speed_row(group.name, group.all, result.work, options));
        for (std::size_t i = 0; i < group.members.size(); ++i) {
            rows.push_back(speed_row(
                "  " + group.member_names[i], group.members[i], result.work, options));
        }
    }
    return table_of(rows);
}

std::string cost_table(const WorkResult& result) {
    std::vector<Row> rows = {{"of an operation, at the server:",
                              "user",
                              "system",
                              "instructions",
                              "calls/request",
                              "kicks/request"}};
    for (const GroupResult& group : result.groups) {
        const auto instructions = group.all.instructions();
        rows.push_back({group.name,
                        optional_time(group.all.user_ns()),
                        optional_time(group.all.system_ns()),
                        instructions ? readable_count(*instructions) : "not counted here",
                        fmt::format("{:.4f}", group.all.calls_per_request()),
                        fmt::format("{:.4f}", group.all.kicks_per_request())});
    }
    return table_of(rows);
}

std::string ratio_table(const WorkResult& result) {
    std::vector<Row> rows = {{"rate in relation to " + result.groups.front().name + ":",
                              "median",
                              "min to max",
                              "p50"}};
    const double first_p50 = result.groups.front().all.latency(0);
    for (std::size_t i = 1; i < result.groups.size(); ++i) {
        const Spread ratio = result.ratio(i);
        const double p50 = result.groups[i].all.latency(0);
        rows.push_back({result.groups[i].name,
                        fmt::format("{:.2f}", ratio.median),
                        fmt::format("{:.2f} to {:.2f}", ratio.min, ratio.max),
                        fmt::format("{:.2f}", first_p50 > 0 ? p50 / first_p50 : 0)});
    }
    return table_of(rows);
}

}  // namespace

std::string readable_count(double count) {
    if (count >= 999'500) return three_digits(count / 1e6) + " M";
    if (count >= 9'995) return three_digits(count / 1e3) + " k";
    return count >= 99.95 ? fmt::format("{:.0f}", count) : three_digits(count);
}

std::string readable_time(double ns) {
    if (ns >= 999.5e6) return three_digits(ns / 1e9) + " s";
    if (ns >= 999.5e3) return three_digits(ns / 1e6) + " ms";
    if (ns >= 999.5) return three_digits(ns / 1e3) + " µs";
    return fmt::format("{:.0f} ns", ns);
}

std::string readable_size(std::uint64_t bytes) {
    constexpr std::array<std::string_view, 4> units = {"B", "KiB", "MiB", "GiB"};
    std::size_t unit = 0;
    while (unit + 1 < units.size() && bytes >= 1024 && bytes % 1024 == 0) {
        bytes /= 1024;
        ++unit;
    }
    return fmt::format("{} {}", bytes, units[unit]);
}

std::string text_report(const std::vector<WorkResult>& results, const Options& options) {
    std::string out;
    for (const WorkResult& result : results) {
        if (!out.empty()) out += '\n';
        out += heading(result, options);
        out += speed_table(result, options);
        out += cost_table(result);
        if (result.groups.size() > 1) out += ratio_table(result);
    }
    return out;
}

}  // namespace dpfs::bench
