// SPDX-License-Identifier: Apache-2.0
#include "bench/report.hpp"

#include <nlohmann/json.hpp>

namespace dpfs::bench {
namespace {

using Json = nlohmann::ordered_json;

Json spread(const Spread& spread) {
    return {{"median", spread.median}, {"min", spread.min}, {"max", spread.max}};
}

Json or_null(const std::optional<double>& value) {
    return value ? Json(*value) : Json();
}

Json measurement(const std::string& name,
                 const Measurement& measured,
                 Work work,
                 const Options& options) {
    Json out = {{"name", name},
                {"operations_per_s", spread(measured.rate())},
                {"rounds", measured.rates()}};
    if (moves_data(work)) {
        const auto size = static_cast<double>(options.load.block_size.bytes);
        out["bytes_per_s"] = measured.rate().median * size;
    }
    for (std::size_t i = 0; i < percentile_count; ++i) {
        out["latency_ns"][percentile_names[i]] = measured.latency(i);
    }
    out["server"] = {{"user_ns", or_null(measured.user_ns())},
                     {"system_ns", or_null(measured.system_ns())},
                     {"instructions", or_null(measured.instructions())}};
    out["calls_per_request"] = measured.calls_per_request();
    out["kicks_per_request"] = measured.kicks_per_request();
    return out;
}

Json configuration(const Options& options) {
    const LoadOptions& load = options.load;
    const DriverOptions& driver = options.driver;
    return {{"depth", load.depth},
            {"queues", options.queue_count},
            {"threads", options.thread_count},
            {"block_size", load.block_size.bytes},
            {"file_size", load.file_size.bytes},
            {"read_percent", load.read_percent},
            {"direct", load.direct},
            {"verify", load.verify},
            {"entries", load.entry_count},
            {"list_size", load.list_size.bytes},
            {"batch_forget", load.batch_forget},
            {"seed", load.seed},
            {"poll", driver.wait == WaitMode::busy ? "busy" : "interrupt"},
            {"ring", driver.ring == RingFormat::split ? "split" : "packed"},
            {"ring_size", driver.ring_size},
            {"indirect", driver.indirect},
            {"event_idx", driver.event_idx},
            {"scatter", driver.scatter},
            {"batch", driver.batch_max},
            {"rounds", options.round_count},
            {"round_s", options.round_time.seconds()},
            {"warm_up_s", options.warm_up_time.seconds()}};
}

Json group(const WorkResult& result, std::size_t index, const Options& options) {
    const GroupResult& of_group = result.groups[index];
    Json out = measurement(of_group.name, of_group.all, result.work, options);
    if (index > 0) out["ratio_to_first"] = spread(result.ratio(index));
    for (std::size_t i = 0; i < of_group.members.size(); ++i) {
        out["devices"].push_back(
            measurement(of_group.member_names[i], of_group.members[i], result.work, options));
    }
    return out;
}

}  // namespace

std::string json_report(const std::vector<WorkResult>& results, const Options& options) {
    Json out = {{"configuration", configuration(options)}};
    for (const WorkResult& result : results) {
        Json work = {{"work", name_of(result.work)}};
        for (std::size_t i = 0; i < result.groups.size(); ++i) {
            work["targets"].push_back(group(result, i, options));
        }
        out["works"].push_back(std::move(work));
    }
    // A path may be no UTF-8.
    return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace dpfs::bench
