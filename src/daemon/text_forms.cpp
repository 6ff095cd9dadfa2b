// SPDX-License-Identifier: Apache-2.0
#include "daemon/text_forms.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cstddef>
#include <limits>
#include <utility>

namespace dpfs::daemon {
namespace {

constexpr std::uint32_t no_id = std::numeric_limits<std::uint32_t>::max();
constexpr unsigned cpu_max = 4095;  // what CONFIG_NR_CPUS may be at most, less one

/// Takes the text up to `separator` (or all of it) from the front of `rest`.
std::string_view take_part(std::string_view& rest, char separator) {
    const std::size_t end = rest.find(separator);
    const std::string_view part = rest.substr(0, end);
    rest.remove_prefix(end == rest.npos ? rest.size() : end + 1);
    return part;
}

template <class Number>
bool parse_number(std::string_view text, Number& out, int base = 10) {
    const auto [stop, error] = std::from_chars(text.begin(), text.end(), out, base);
    return error == std::errc() && stop == text.end();
}

/// Adds "3" or "2-5"; false: it is neither.
bool add_cpus(std::string_view part, CpuList& list) {
    unsigned first = 0;
    unsigned last = 0;
    const std::string_view first_text = take_part(part, '-');
    if (!parse_number(first_text, first)) return false;
    if (part.empty())
        last = first;
    else if (!parse_number(part, last))
        return false;
    if (last < first || last > cpu_max) return false;
    for (unsigned cpu = first; cpu <= last; ++cpu) list.cpus.push_back(cpu);
    return true;
}

}  // namespace

Parsed<CpuList> TextForm<CpuList>::parse(std::string_view text) {
    CpuList list;
    std::string_view rest = text;
    while (!rest.empty()) {
        if (!add_cpus(take_part(rest, ','), list)) {
            return wrong(fmt::format("'{}' is not a CPU list; write one such as 0-3,8", text));
        }
    }
    return list;
}

std::string TextForm<CpuList>::print(const CpuList& list) {
    return fmt::format("{}", fmt::join(list.cpus, ","));
}

Parsed<FileMode> TextForm<FileMode>::parse(std::string_view text) {
    FileMode mode;
    if (text.size() > 4 || !parse_number(text, mode.bits, 8) || mode.bits > 0777) {
        return wrong(fmt::format("'{}' is not a file mode; write one such as 0660", text));
    }
    return mode;
}

std::string TextForm<FileMode>::print(const FileMode& mode) {
    return fmt::format("{:04o}", mode.bits);
}

Parsed<ids::IdRange> TextForm<ids::IdRange>::parse(std::string_view text) {
    ids::IdRange range;
    std::string_view rest = text;
    const std::string_view guest = take_part(rest, ':');
    const std::string_view host = take_part(rest, ':');
    const bool numbers = parse_number(guest, range.guest) && parse_number(host, range.host) &&
                         parse_number(rest, range.count);
    // The id of all ones means "no id" to the kernel.
    const std::uint64_t id_end = std::numeric_limits<std::uint32_t>::max();
    const std::uint64_t count = range.count;
    if (!numbers || count == 0 || range.guest + count > id_end || range.host + count > id_end) {
        return wrong(fmt::format(
            "'{}' is not an id range; write GUEST:HOST:COUNT, such as 0:100000:65536", text));
    }
    return range;
}

std::string TextForm<ids::IdRange>::print(const ids::IdRange& range) {
    return fmt::format("{}:{}:{}", range.guest, range.host, range.count);
}

Parsed<nfs::OwnerName> TextForm<nfs::OwnerName>::parse(std::string_view text) {
    nfs::OwnerName owner;
    const std::size_t colon = text.rfind(':');
    owner.name = text.substr(0, colon);
    const bool is_number = colon != text.npos && parse_number(text.substr(colon + 1), owner.id);
    if (!is_number || owner.name.empty() || owner.id == no_id) {
        return wrong(fmt::format(
            "'{}' is not an owner; write NAME:ID, such as alice@example.org:1000", text));
    }
    return owner;
}

std::string TextForm<nfs::OwnerName>::print(const nfs::OwnerName& name) {
    return fmt::format("{}:{}", name.name, name.id);
}

Parsed<nfs::UserGroups> TextForm<nfs::UserGroups>::parse(std::string_view text) {
    nfs::UserGroups user;
    std::string_view rest = text;
    bool good = parse_number(take_part(rest, ':'), user.uid) && user.uid != no_id;
    good = good && !rest.empty();
    while (good && !rest.empty()) {
        std::uint32_t& group = user.groups.emplace_back();
        good = parse_number(take_part(rest, ','), group) && group != no_id;
    }
    if (!good || user.groups.size() > nfs::UserGroups::group_count_max) {
        return wrong(
            fmt::format("'{}' is not a user's groups; write UID:GID,GID,... with at most {} "
                        "groups, such as 1000:50,60",
                        text,
                        nfs::UserGroups::group_count_max));
    }
    return user;
}

std::string TextForm<nfs::UserGroups>::print(const nfs::UserGroups& user) {
    return fmt::format("{}:{}", user.uid, fmt::join(user.groups, ","));
}

Parsed<mirror::XattrRule> TextForm<mirror::XattrRule>::parse(std::string_view text) {
    using Action = mirror::XattrRule::Action;
    mirror::XattrRule rule;
    std::string_view rest = text;
    const std::string_view action = take_part(rest, ':');
    const bool has_match = text.find(':') != text.npos;
    rule.match = take_part(rest, ':');
    rule.host_prefix = rest;
    if (action == "pass") rule.action = Action::pass;
    if (action == "refuse") rule.action = Action::refuse;
    if (action == "prefix") rule.action = Action::prefix;
    const bool known = action == "pass" || action == "refuse" || action == "prefix";
    const bool wants_prefix = rule.action == Action::prefix;
    if (!known || !has_match || wants_prefix == rule.host_prefix.empty()) {
        return wrong(
            fmt::format("'{}' is not a rule; write pass:MATCH, refuse:MATCH or "
                        "prefix:MATCH:HOST_PREFIX, such as prefix:trusted.:user.guest.",
                        text));
    }
    return rule;
}

std::string TextForm<mirror::XattrRule>::print(const mirror::XattrRule& rule) {
    switch (rule.action) {
        case mirror::XattrRule::Action::pass:
            return fmt::format("pass:{}", rule.match);
        case mirror::XattrRule::Action::refuse:
            return fmt::format("refuse:{}", rule.match);
        case mirror::XattrRule::Action::prefix:
            return fmt::format("prefix:{}:{}", rule.match, rule.host_prefix);
    }
    return {};
}

}  // namespace dpfs::daemon
