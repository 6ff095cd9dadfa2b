// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "daemon/config.hpp"
#include "daemon/option.hpp"
#include "fs/mirror/mirror_options.hpp"
#include "fs/nfs/nfs_options.hpp"

#include <string>
#include <string_view>

// How values that are neither numbers nor plain texts are written in a configuration.

namespace dpfs::daemon {

/// "2-5,8": CPUs as taskset(1) and the kernel write them; "": none in particular.
template <>
struct TextForm<CpuList> {
    static Parsed<CpuList> parse(std::string_view text);
    static std::string print(const CpuList& list);
};

/// "0660": permissions in octal digits.
template <>
struct TextForm<FileMode> {
    static Parsed<FileMode> parse(std::string_view text);
    static std::string print(const FileMode& mode);
};

/// "GUEST:HOST:COUNT", for example "0:100000:65536".
template <>
struct TextForm<ids::IdRange> {
    static Parsed<ids::IdRange> parse(std::string_view text);
    static std::string print(const ids::IdRange& range);
};

/// "pass:MATCH", "refuse:MATCH" or "prefix:MATCH:HOST_PREFIX".
template <>
struct TextForm<mirror::XattrRule> {
    static Parsed<mirror::XattrRule> parse(std::string_view text);
    static std::string print(const mirror::XattrRule& rule);
};

/// "alice@example.org:1000": what a server calls an owner, and the owner's number there.
template <>
struct TextForm<nfs::OwnerName> {
    static Parsed<nfs::OwnerName> parse(std::string_view text);
    static std::string print(const nfs::OwnerName& name);
};

/// "1000:50,60": a user's groups.
template <>
struct TextForm<nfs::UserGroups> {
    static Parsed<nfs::UserGroups> parse(std::string_view text);
    static std::string print(const nfs::UserGroups& user);
};

}  // namespace dpfs::daemon
