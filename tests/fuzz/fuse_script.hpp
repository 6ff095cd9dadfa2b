// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fuse/wire.hpp"
#include "message.hpp"
#include "script_reader.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace dpfs::fuzz {

/// What a tenant has been given, and not given back.
struct Holding {
    std::map<std::uint64_t, std::uint64_t> references;  // by nodeid; the root needs none
    std::map<std::uint64_t, std::uint64_t> handles;     // to nodeids
};

/// Makes requests out of a fuzzer's input: each opcode's arguments field by field, with values
/// that mean something most of the time, then perhaps wrong in one respect.
class FuseScript {
  public:
    FuseScript(ScriptReader& input, const Holding& holding)
        : input_(input), holding_(holding) {}

    fuse::test::Bytes request(std::uint32_t opcode, std::uint64_t unique);
    /// The same, with a length that lies, bytes missing, or one that changed.
    void spoil(fuse::test::Bytes& request);
    /// How memory of that many bytes is cut into descriptors, some of them empty.
    std::vector<std::size_t> parts(std::size_t size, std::size_t header_size);

  private:
    void add_field(fuse::test::Message& to, char kind);
    [[nodiscard]] std::uint64_t node();
    [[nodiscard]] std::uint64_t handle();
    [[nodiscard]] std::uint64_t offset();
    [[nodiscard]] std::uint32_t flags();
    [[nodiscard]] std::uint32_t mode();
    [[nodiscard]] std::string name();
    void add_forgets(fuse::test::Message& to);

    ScriptReader& input_;
    const Holding& holding_;
    std::uint32_t size_ = 0;  // the last field of that kind: data are as long
};

}  // namespace dpfs::fuzz
