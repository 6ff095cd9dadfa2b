// SPDX-License-Identifier: Apache-2.0
// Writes inputs for message_fuzz to begin with: message_seeds DIRECTORY. Each malformed message
// that the tests know, and each message to a ring that works.
#include "hostile_memory.hpp"
#include "hostile_messages.hpp"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace dpfs::fuzz {
namespace {

using hal::test::Fd;
using hal::test::Step;
using Script = std::vector<std::uint8_t>;

HostileMemory::Kind kind_of(Fd fd) {
    switch (fd) {
        case Fd::event:
            return HostileMemory::Kind::event;
        case Fd::memory:
            return HostileMemory::Kind::huge;
        case Fd::sealed_empty:
            return HostileMemory::Kind::empty;
        case Fd::pipe:
            return HostileMemory::Kind::pipe;
    }
    return {};
}

void add(Script& to, const Script& more) {
    to.insert(to.end(), more.begin(), more.end());
}

/// "Bytes as they stand in the input", and time for the device.
void add_raw(Script& to, const Step& step) {
    add(to, {2, static_cast<std::uint8_t>(step.fds.size())});
    for (const Fd fd : step.fds) to.push_back(std::to_underlying(kind_of(fd)));
    const std::size_t size = step.bytes.size();
    add(to, {static_cast<std::uint8_t>(size), static_cast<std::uint8_t>(size >> 8U)});
    for (const std::byte byte : step.bytes) to.push_back(std::to_integer<std::uint8_t>(byte));
    to.push_back(1);
}

void add_set_up(Script& to, bool packed) {
    const std::uint8_t features = packed ? 1 : 2;
    add(to, {0, features, 0, 0, 1, 0});
    to.insert(to.end(), 9, 1);  // after each message
}

constexpr Script::value_type offer_and_kick[] = {4, 1, 1, 1, 0, 1};

void save(const std::filesystem::path& directory, const std::string& name, const Script& one) {
    std::ofstream out(directory / name, std::ios::binary);
    for (const std::uint8_t byte : one) out.put(static_cast<char>(byte));
}

void save_malformed(const std::filesystem::path& directory) {
    for (const auto& malformed : hal::test::malformed_messages()) {
        Script script = {0};
        for (const Step& step : malformed.steps) add_raw(script, step);
        save(directory, malformed.name, script);
    }
    Script script = {0};
    for (const Step& step : hal::test::handshake()) add_raw(script, step);
    save(directory, "handshake", script);
}

/// The ring is started and has an answer; then comes the message, then another request.
void save_told(const std::filesystem::path& directory, bool packed) {
    constexpr std::uint8_t message_count = 28;
    for (std::uint8_t id = 0; id < message_count; ++id) {
        Script script = {5};
        add_set_up(script, packed);
        script.insert(script.end(), std::begin(offer_and_kick), std::end(offer_and_kick));
        add(script, {8, 1});  // hold
        script.insert(script.end(), std::begin(offer_and_kick), std::end(offer_and_kick));
        add(script, {11, id, 1});
        script.insert(script.end(), 20, 4);
        script.insert(script.end(), std::begin(offer_and_kick), std::end(offer_and_kick));
        save(directory, (packed ? "packed_" : "split_") + std::to_string(id), script);
    }
}

void save_shrunk(const std::filesystem::path& directory) {
    Script script = {0};
    add_set_up(script, false);
    add(script, {6, 0, 0, 3, 1, 10});  // the memory goes away; a kick
    save(directory, "shrunk", script);
}

}  // namespace
}  // namespace dpfs::fuzz

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    const std::filesystem::path directory = argv[1];
    std::filesystem::create_directories(directory);
    dpfs::fuzz::save_malformed(directory);
    dpfs::fuzz::save_told(directory, false);
    dpfs::fuzz::save_told(directory, true);
    dpfs::fuzz::save_shrunk(directory);
    return 0;
}
