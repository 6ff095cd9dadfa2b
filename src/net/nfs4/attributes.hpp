// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.hpp"
#include "net/nfs4/file_handle.hpp"
#include "net/nfs4/wire.hpp"
#include "net/rpc/xdr.hpp"

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace dpfs::nfs4 {

/// A set of attributes (bitmap4; RFC 8881, 3.3.7).
class AttributeSet {
  public:
    constexpr AttributeSet() = default;
    constexpr AttributeSet(std::initializer_list<Attribute> list) {
        for (const Attribute each : list) add(each);
    }
    constexpr void add(Attribute attribute) {
        const auto number = static_cast<std::uint32_t>(attribute);
        words_[number / 32] |= 1U << (number % 32);
    }
    [[nodiscard]] constexpr bool has(Attribute attribute) const {
        const auto number = static_cast<std::uint32_t>(attribute);
        return (words_[number / 32] & (1U << (number % 32))) != 0;
    }
    /// Whether nothing is in it that is not in `other`.
    [[nodiscard]] constexpr bool within(const AttributeSet& other) const {
        for (std::size_t i = 0; i < words_.size(); ++i) {
            if ((words_[i] & ~other.words_[i]) != 0) return false;
        }
        return true;
    }
    [[nodiscard]] constexpr bool empty() const { return within({}); }

    void put(rpc::XdrWriter& out) const;
    /// Bits beyond those that have a name here are left out.
    static AttributeSet take(rpc::XdrReader& in) noexcept;

  private:
    std::array<std::uint32_t, 3> words_ = {};
};

struct Time {
    std::int64_t seconds = 0;
    std::uint32_t nanoseconds = 0;
};

struct FileSystemId {
    std::uint64_t major = 0;
    std::uint64_t minor = 0;
    bool operator==(const FileSystemId&) const = default;
};

/// Attributes of a file, as far as a server has given them: `present` says which. Views point
/// into the reply.
struct Attributes {
    AttributeSet present;
    FileType type = FileType::regular;
    std::uint64_t change = 0;
    std::uint64_t size = 0;
    FileSystemId fsid;
    std::uint32_t lease_time = 0;  // seconds
    std::uint32_t error = 0;       ///< of an entry of a listing, as a status
    FileHandle handle;
    std::uint64_t fileid = 0;
    std::uint64_t files_available = 0, files_free = 0, files_total = 0;
    std::uint32_t name_max = 0;
    std::uint64_t read_max = 0, write_max = 0;
    std::uint32_t mode = 0;
    std::uint32_t link_count = 0;
    std::string_view owner, owner_group;
    std::uint32_t device_major = 0, device_minor = 0;
    std::uint64_t space_available = 0, space_free = 0, space_total = 0;
    std::uint64_t space_used = 0;
    Time access, metadata, modify;
    std::uint64_t mounted_on_fileid = 0;
    std::uint32_t clone_block_size = 0;  // bytes
    bool xattr_support = false;
    AttributeSet supported;
};

/// Reads a fattr4. Nothing but `wanted` is believed: a server that sends more breaks the
/// protocol, and the reader fails.
Attributes take_attributes(rpc::XdrReader& in, const AttributeSet& wanted);

/// What a client may set. Source: RFC 8881, 5.6, 5.7 and 18.30.
struct NewAttributes {
    struct SetTime {
        bool now;  ///< the server's clock
        Time time;
    };
    std::optional<std::uint64_t> size;
    std::optional<std::uint32_t> mode;
    std::optional<std::string> owner, owner_group;  ///< names or numbers (RFC 8881, 5.9)
    std::optional<SetTime> access, modify;
};
void put_attributes(rpc::XdrWriter& out, const NewAttributes& attributes);

/// The number that an owner string stands for: digits, or "root" with any domain. Errors:
/// EINVAL: a name, which only its domain knows.
[[nodiscard]] Result<std::uint32_t> parse_owner(std::string_view owner) noexcept;

}  // namespace dpfs::nfs4
