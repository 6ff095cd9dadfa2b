// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "net/nfs4/attributes.hpp"

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

namespace dpfs::nfs {

/// What one file system of a server may have, and another of the same server not.
enum class Feature : std::uint8_t {
    allocate,
    deallocate,
    seek,
    copy,
    clone,
    read_plus,
    copy_offload,  ///< a copy that goes on by itself, and can be asked about
};
/// The operation's name, for messages.
[[nodiscard]] std::string_view name_of(Feature feature) noexcept;

/// What a file system says about itself.
struct FileSystemFacts {
    bool has_xattr = false;              ///< RFC 8276, 8.2
    std::uint32_t clone_block_size = 0;  ///< bytes; 0: nothing is said (RFC 7862, 12.2.1)
};

/// What has been found out about the server's file systems: who answers NOTSUPP once is not
/// asked again.
///
/// Bounded: when it is full, what was found out is forgotten, and costs a request each to find
/// out again.
/// Thread    any.
/// Source    RFC 7862, 2.3: operations are optional for each file system.
class FileSystems {
  public:
    explicit FileSystems(std::size_t count_max = 256) : count_max_(count_max) {}

    [[nodiscard]] bool lacks(const nfs4::FileSystemId& id, Feature feature) const;
    /// False: that was known already.
    bool set_lacks(const nfs4::FileSystemId& id, Feature feature);
    [[nodiscard]] std::optional<FileSystemFacts> facts(const nfs4::FileSystemId& id) const;
    void set_facts(const nfs4::FileSystemId& id, FileSystemFacts facts);
    /// The server has been started anew, and may be another version of itself.
    void forget();

  private:
    struct Known {
        nfs4::FileSystemId id = {};
        std::uint32_t lacking = 0;  // bits by Feature
        std::optional<FileSystemFacts> facts = {};
    };
    // Under the lock.
    [[nodiscard]] const Known* find(const nfs4::FileSystemId& id) const;
    Known& find_or_add(const nfs4::FileSystemId& id);

    const std::size_t count_max_;
    mutable std::mutex mutex_;
    std::vector<Known> known_;
};

}  // namespace dpfs::nfs
