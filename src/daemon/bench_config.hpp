// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/options.hpp"
#include "daemon/config.hpp"
#include "daemon/option.hpp"
#include "daemon/value.hpp"

#include <span>
#include <string>
#include <string_view>

namespace dpfs::daemon {

/// What `dpfs bench` was asked for.
struct BenchConfig {
    bench::Options options;
    CpuList cpus;
    CpuList floor_cpus;
    Places places;

    /// The options with what has a form of its own on the command line.
    [[nodiscard]] bench::Options to_options() const;
};

/// The one list of the options of `dpfs bench`.
[[nodiscard]] std::span<const Option<BenchConfig>> bench_options();

/// What no option alone can tell. Errors: one line; exit code 2.
[[nodiscard]] Parsed<void> check_bench(const BenchConfig& config);

/// "randread,getattr".
template <>
struct TextForm<bench::WorkList> {
    static Parsed<bench::WorkList> parse(std::string_view text);
    static std::string print(const bench::WorkList& list);
};

/// "4k", "256M", "1G", or bytes.
template <>
struct TextForm<bench::ByteSize> {
    static Parsed<bench::ByteSize> parse(std::string_view text);
    static std::string print(const bench::ByteSize& size);
};

}  // namespace dpfs::daemon
