// SPDX-License-Identifier: Apache-2.0
#include "fuse/extensions.hpp"

#include "fuse/arguments.hpp"
#include "fuse/wire.hpp"

#include <algorithm>
#include <span>
#include <string_view>

namespace dpfs::fuse {
namespace {

/// The next struct of an area that is a copy already. Error: EINVAL.
template <wire_struct T>
Result<T> take(std::string_view& bytes) noexcept {
    if (bytes.size() < sizeof(T)) return fail(Errno::invalid);
    T value;
    std::ranges::copy(std::as_bytes(std::span(bytes.substr(0, sizeof(T)))),
                      std::as_writable_bytes(std::span(&value, 1)).begin());
    bytes.remove_prefix(sizeof(T));
    return value;
}

/// The first of the security contexts; Linux sends one (one module's) or none.
Result<SecurityContext> parse_security(std::string_view bytes) noexcept {
    const auto context = take<wire::SecCtx>(bytes);
    if (!context) return fail(context.error());

    Text text(bytes);
    const auto name = text.xattr_name();
    if (!name || !name->starts_with("security.")) return fail(Errno::invalid);
    if (text.left().size() < context->size) return fail(Errno::invalid);
    const std::string_view value = text.left().substr(0, context->size);
    return SecurityContext{.name = *name, .value = std::as_bytes(std::span(value))};
}

Result<void> parse_groups(std::string_view bytes, reactor::Credentials& caller) noexcept {
    const auto header = take<wire::SuppGroups>(bytes);
    if (!header) return fail(header.error());
    if (header->nr_groups > caller.groups.size()) return fail(Errno::invalid);
    if (bytes.size() < header->nr_groups * sizeof(std::uint32_t)) return fail(Errno::invalid);

    const std::size_t size = header->nr_groups * sizeof(std::uint32_t);
    std::ranges::copy(std::as_bytes(std::span(bytes.substr(0, size))),
                      std::as_writable_bytes(std::span(caller.groups)).begin());
    caller.group_count = header->nr_groups;
    return {};
}

}  // namespace

Result<SecurityContext> parse_extensions(std::string_view bytes,
                                         reactor::Credentials& caller) noexcept {
    SecurityContext security;
    while (!bytes.empty()) {
        std::string_view rest = bytes;
        const auto header = take<wire::ExtHeader>(rest);
        if (!header) return fail(header.error());
        if (header->size < sizeof(*header) || header->size > bytes.size()) {
            return fail(Errno::invalid);
        }
        const auto body = rest.substr(0, header->size - sizeof(*header));

        if (header->type == wire::ext_groups) {
            if (const auto parsed = parse_groups(body, caller); !parsed) {
                return fail(parsed.error());
            }
        } else if (header->type > 0 && header->type <= wire::max_nr_secctx) {
            const auto parsed = parse_security(body);
            if (!parsed) return fail(parsed.error());
            security = *parsed;
        }
        bytes.remove_prefix(std::min(wire::record_align(header->size), bytes.size()));
    }
    return security;
}

}  // namespace dpfs::fuse
