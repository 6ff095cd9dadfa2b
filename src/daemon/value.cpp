// SPDX-License-Identifier: Apache-2.0
#include "daemon/value.hpp"

#include "daemon/nearest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <optional>

namespace dpfs::daemon {
namespace {

std::unexpected<std::string> is_not(std::string_view shown,
                                    ValueKind kind,
                                    const ValueRange& range) {
    return wrong(fmt::format("{} is not {}", shown, describe(kind, range)));
}

Parsed<void> check_integer(const ValueRange& range, std::int64_t number) {
    const bool in_range = number >= range.min && number <= range.max;
    const bool power = std::has_single_bit(static_cast<std::uint64_t>(number));
    const bool multiple = number % range.multiple_of == 0;
    if (in_range && multiple && (power || !range.power_of_two)) return {};
    return is_not(std::to_string(number), ValueKind::integer, range);
}

Parsed<void> check_text(const ValueRange& range, std::string_view text) {
    const auto size = static_cast<std::int64_t>(text.size());
    if (text.find('\0') != text.npos || text.find('\n') != text.npos) {
        return wrong("a newline or NUL byte is in it; leave it out");
    }
    if (size >= range.min && size <= range.max) return {};
    if (size == 0)
        return wrong(fmt::format("is empty; write {}", describe(ValueKind::text, range)));
    return wrong(fmt::format("has {} bytes; write {}", size, describe(ValueKind::text, range)));
}

Parsed<void> check_choice(const ValueRange& range, std::string_view text) {
    if (std::ranges::find(range.choices, text) != range.choices.end()) return {};
    return wrong(fmt::format("'{}' is not {}{}",
                             text,
                             describe(ValueKind::choice, range),
                             suggestion(text, range.choices)));
}

std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

std::optional<ValueKind> kind_of_value(const Value& value) {
    if (std::holds_alternative<bool>(value)) return ValueKind::boolean;
    if (std::holds_alternative<std::int64_t>(value)) return ValueKind::integer;
    if (std::holds_alternative<std::string>(value)) return ValueKind::text;
    return ValueKind::list;
}

std::string describe_number(const ValueRange& range) {
    if (range.power_of_two) return "a power of two";
    if (range.multiple_of != 1) return fmt::format("a multiple of {}", range.multiple_of);
    return "a number";
}

}  // namespace

std::string describe(ValueKind kind, const ValueRange& range) {
    switch (kind) {
        case ValueKind::boolean:
            return "true or false";
        case ValueKind::integer:
            return fmt::format(
                "{} from {} to {}", describe_number(range), range.min, range.max);
        case ValueKind::text:
            return fmt::format("a text of {} to {} bytes", range.min, range.max);
        case ValueKind::choice:
            return listing(range.choices);
        case ValueKind::list:
            return "a list of texts";
    }
    return {};
}

Parsed<void> check_value(ValueKind kind, const ValueRange& range, const Value& value) {
    const ValueKind stored = kind == ValueKind::choice ? ValueKind::text : kind;
    if (kind_of_value(value) != stored) return is_not(to_toml(value), kind, range);
    switch (kind) {
        case ValueKind::boolean:
            return {};
        case ValueKind::integer:
            return check_integer(range, std::get<std::int64_t>(value));
        case ValueKind::text:
            return check_text(range, std::get<std::string>(value));
        case ValueKind::choice:
            return check_choice(range, std::get<std::string>(value));
        case ValueKind::list:
            for (const std::string& item : std::get<std::vector<std::string>>(value)) {
                if (auto checked = check_text(range, item); !checked) return checked;
            }
            return {};
    }
    return {};
}

Parsed<Value> parse_value(ValueKind kind, const ValueRange& range, std::string_view text) {
    Value value;
    switch (kind) {
        case ValueKind::boolean:
            if (text != "true" && text != "false") {
                return is_not(fmt::format("'{}'", text), kind, range);
            }
            value = text == "true";
            break;
        case ValueKind::integer: {
            std::int64_t number = 0;
            const auto [stop, error] = std::from_chars(text.begin(), text.end(), number);
            if (error != std::errc() || stop != text.end()) {
                return is_not(fmt::format("'{}'", text), kind, range);
            }
            value = number;
            break;
        }
        case ValueKind::text:
        case ValueKind::choice:
            value = std::string(text);
            break;
        case ValueKind::list:
            value = std::vector{std::string(text)};
            break;
    }
    if (auto checked = check_value(kind, range, value); !checked) {
        return wrong(std::move(checked.error()));
    }
    return value;
}

std::string to_toml(const Value& value) {
    if (const auto* const flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
    if (const auto* const number = std::get_if<std::int64_t>(&value)) {
        return std::to_string(*number);
    }
    if (const auto* const text = std::get_if<std::string>(&value)) return quoted(*text);
    std::vector<std::string> items;
    for (const std::string& item : std::get<std::vector<std::string>>(value)) {
        items.push_back(quoted(item));
    }
    return fmt::format("[{}]", fmt::join(items, ", "));
}

std::string to_display(const Value& value) {
    if (const auto* const text = std::get_if<std::string>(&value)) {
        return text->empty() ? "none" : *text;
    }
    if (const auto* const items = std::get_if<std::vector<std::string>>(&value)) {
        return items->empty() ? "none" : fmt::format("{}", fmt::join(*items, " "));
    }
    return to_toml(value);
}

}  // namespace dpfs::daemon
