// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <expected>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace dpfs::daemon {

/// A value, or what is wrong with what the operator wrote: one line, without where it stands.
template <class T>
using Parsed = std::expected<T, std::string>;

[[nodiscard]] inline std::unexpected<std::string> wrong(std::string message) {
    return std::unexpected(std::move(message));
}

/// A value as an operator writes it, before it becomes a field of a configuration.
using Value = std::variant<bool, std::int64_t, std::string, std::vector<std::string>>;

enum class ValueKind : std::uint8_t { boolean, integer, text, choice, list };

/// What may be written for an option.
struct ValueRange {
    std::int64_t min = 0;  ///< of a number; of a text's bytes
    std::int64_t max = 0;
    bool power_of_two = false;
    std::int64_t multiple_of = 1;
    std::span<const std::string_view> choices = {};  ///< of a choice, in the order of its enum
};

/// "a number from 1 to 64", "never, auto or always": what to write.
[[nodiscard]] std::string describe(ValueKind kind, const ValueRange& range);

/// Errors: a message that quotes the value and says what to write instead.
[[nodiscard]] Parsed<void> check_value(ValueKind kind,
                                       const ValueRange& range,
                                       const Value& value);

/// One argument of the command line as a value of `kind`; checked.
[[nodiscard]] Parsed<Value> parse_value(ValueKind kind,
                                        const ValueRange& range,
                                        std::string_view text);

/// As it is written in TOML.
[[nodiscard]] std::string to_toml(const Value& value);
/// As it is shown to people: no quotes, "none" for what is empty.
[[nodiscard]] std::string to_display(const Value& value);

}  // namespace dpfs::daemon
