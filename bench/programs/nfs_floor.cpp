// SPDX-License-Identifier: Apache-2.0
// nfs_floor HOST PORT DIRECTORY [KEY=VALUE…]: what a bare loop of compounds on one connection
// does (bench/nfs). Prints one JSON object.
#include "floor/loop.hpp"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using dpfs::nfs_floor::LoopOptions;
using dpfs::nfs_floor::WorkOptions;

void set(std::string_view argument, WorkOptions& work, LoopOptions& loop) {
    const std::size_t equals = std::min(argument.find('='), argument.size() - 1);
    const std::string_view key = argument.substr(0, equals);
    const std::string value(argument.substr(equals + 1));
    const auto number = static_cast<std::uint32_t>(std::atoll(value.c_str()));
    if (key == "work") {
        work.name = value;
    } else if (key == "file") {
        work.file = value;
    } else if (key == "directory") {
        work.directory = value;
    } else if (key == "block_size") {
        work.block_size = number;
    } else if (key == "depth") {
        loop.depth = number;
    } else if (key == "ms") {
        loop.time_ms = number;
    } else if (key == "spin") {
        loop.spins = number != 0;
    } else {
        dpfs::nfs_floor::give_up("what is '" + std::string(argument) + "'?");
    }
}

}  // namespace

int main(int count, char** arguments) {
    using namespace dpfs::nfs_floor;
    if (count < 4) give_up("nfs_floor HOST PORT DIRECTORY [KEY=VALUE…]");
    WorkOptions work;
    LoopOptions loop;
    for (int i = 4; i < count; ++i) set(arguments[i], work, loop);
    Session session(arguments[1], static_cast<std::uint16_t>(std::atoi(arguments[2])));
    Target target = make_target(session, arguments[3], work);
    const Figures found = Loop(session, target, loop).run();
    session.end();
    std::printf(
        "{\"operations_per_s\": %.1f, \"p50_us\": %.2f, \"p99_us\": %.2f, "
        "\"user_us\": %.3f, \"system_us\": %.3f}\n",
        found.operations_per_s,
        found.p50_us,
        found.p99_us,
        found.user_us,
        found.system_us);
}
