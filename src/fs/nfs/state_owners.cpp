// SPDX-License-Identifier: Apache-2.0
#include "fs/nfs/state_owners.hpp"

#include <fmt/format.h>

#include <cstring>
#include <random>

namespace dpfs::nfs {
namespace {

std::uint64_t random_number() {
    std::random_device random;
    return std::uint64_t{random()} << 32 | random();
}

}  // namespace

StateOwners::StateOwners() : instance_(random_number()) {}

StateOwners::Open StateOwners::of_open(std::uint64_t number) const noexcept {
    Open owner;
    std::memcpy(owner.bytes.data(), &instance_, sizeof instance_);
    std::memcpy(owner.bytes.data() + 8, &number, sizeof number);
    return owner;
}

StateOwners::Lock StateOwners::of_lock(std::uint64_t owner,
                                       bool is_flock,
                                       std::uint64_t made_through) const noexcept {
    Lock name;
    std::memcpy(name.bytes.data(), &instance_, sizeof instance_);
    std::memcpy(name.bytes.data() + 8, &owner, sizeof owner);
    std::memcpy(name.bytes.data() + 16, &made_through, sizeof made_through);
    name.bytes[24] = is_flock ? std::byte{2} : std::byte{1};
    return name;
}

nfs4::Verifier StateOwners::next_verifier() noexcept {
    // As good as random: no two starts begin with the same number.
    const std::uint64_t number = instance_ + next_number();
    nfs4::Verifier verifier;
    std::memcpy(verifier.data(), &number, sizeof number);
    return verifier;
}

std::string StateOwners::next_hidden_name() {
    return fmt::format(".nfs{:016x}{:08x}", instance_, next_number());
}

}  // namespace dpfs::nfs
