// SPDX-License-Identifier: Apache-2.0
#include "fuse/extensions.hpp"

#include "fuse/arguments.hpp"
#include "fuse/wire.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace dpfs::fuse {
namespace {

/// The next struct of an area that is a copy already. Error: EINVAL.
template <wire_struct T>
Result<T> take(std::span<const std::byte>& bytes) noexcept {
    if (bytes.size() < sizeof(T)) return fail(Errno::invalid);
    T value;
    std::memcpy(&value, bytes.data(), sizeof(T));
    bytes = bytes.subspan(sizeof(T));
    return value;
}

/// The first of the security contexts; Linux sends one (one module's) or none.
Result<SecurityContext> parse_security(std::span<const std::byte> bytes) noexcept {
    const auto context = take<wire::SecCtx>(bytes);
    if (!context) return fail(context.error());

    Text text(bytes);
    const auto name = text.xattr_name();
    if (!name || !name->starts_with("security.")) return fail(Errno::invalid);
    if (text.left().size() < context->size) return fail(Errno::invalid);
    return SecurityContext{.name = *name, .value = text.left().first(context->size)};
}

Result<void> parse_groups(std::span<const std::byte> bytes,
                          reactor::Credentials& caller) noexcept {
    const auto header = take<wire::SuppGroups>(bytes);
    if (!header) return fail(header.error());
    if (header->nr_groups > caller.groups.size()) return fail(Errno::invalid);
    if (bytes.size() < header->nr_groups * sizeof(std::uint32_t)) return fail(Errno::invalid);

    std::memcpy(caller.groups.data(), bytes.data(), header->nr_groups * sizeof(std::uint32_t));
    caller.group_count = header->nr_groups;
    return {};
}

}  // namespace

Result<SecurityContext> parse_extensions(std::span<const std::byte> bytes,
                                         reactor::Credentials& caller) noexcept {
    SecurityContext security;
    while (!bytes.empty()) {
        std::span<const std::byte> rest = bytes;
        const auto header = take<wire::ExtHeader>(rest);
        if (!header) return fail(header.error());
        if (header->size < sizeof(*header) || header->size > bytes.size()) {
            return fail(Errno::invalid);
        }
        const auto body = rest.first(header->size - sizeof(*header));

        if (header->type == wire::ext_groups) {
            if (const auto parsed = parse_groups(body, caller); !parsed) {
                return fail(parsed.error());
            }
        } else if (header->type > 0 && header->type <= wire::max_nr_secctx) {
            const auto parsed = parse_security(body);
            if (!parsed) return fail(parsed.error());
            security = *parsed;
        }
        bytes = bytes.subspan(std::min(wire::record_align(header->size), bytes.size()));
    }
    return security;
}

}  // namespace dpfs::fuse
