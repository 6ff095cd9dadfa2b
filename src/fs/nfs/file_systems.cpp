// SPDX-License-Identifier: Apache-2.0
#include "fs/nfs/file_systems.hpp"

#include <algorithm>
#include <utility>

namespace dpfs::nfs {
namespace {

std::uint32_t bit(Feature feature) noexcept {
    return 1U << std::to_underlying(feature);
}

}  // namespace

std::string_view name_of(Feature feature) noexcept {
    switch (feature) {
        case Feature::allocate:
            return "ALLOCATE";
        case Feature::deallocate:
            return "DEALLOCATE";
        case Feature::seek:
            return "SEEK";
        case Feature::copy:
            return "COPY";
        case Feature::clone:
            return "CLONE";
        case Feature::read_plus:
            return "READ_PLUS";
        case Feature::copy_offload:
            return "asynchronous COPY";
    }
    return "unknown operation";
}

bool FileSystems::lacks(const nfs4::FileSystemId& id, Feature feature) const {
    const std::lock_guard lock(mutex_);
    const Known* const known = find(id);
    return known != nullptr && (known->lacking & bit(feature)) != 0;
}

bool FileSystems::set_lacks(const nfs4::FileSystemId& id, Feature feature) {
    const std::lock_guard lock(mutex_);
    Known& known = find_or_add(id);
    const bool is_new = (known.lacking & bit(feature)) == 0;
    known.lacking |= bit(feature);
    return is_new;
}

std::optional<FileSystemFacts> FileSystems::facts(const nfs4::FileSystemId& id) const {
    const std::lock_guard lock(mutex_);
    const Known* const known = find(id);
    return known != nullptr ? known->facts : std::nullopt;
}

void FileSystems::set_facts(const nfs4::FileSystemId& id, FileSystemFacts facts) {
    const std::lock_guard lock(mutex_);
    find_or_add(id).facts = facts;
}

void FileSystems::forget() {
    const std::lock_guard lock(mutex_);
    known_.clear();
}

const FileSystems::Known* FileSystems::find(const nfs4::FileSystemId& id) const {
    const auto found = std::ranges::find(known_, id, &Known::id);
    return found != known_.end() ? &*found : nullptr;
}

FileSystems::Known& FileSystems::find_or_add(const nfs4::FileSystemId& id) {
    const auto found = std::ranges::find(known_, id, &Known::id);
    if (found != known_.end()) return *found;
    if (known_.size() >= count_max_) known_.clear();
    return known_.emplace_back(Known{.id = id});
}

}  // namespace dpfs::nfs
