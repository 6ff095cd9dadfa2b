// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/time.hpp"
#include "daemon/backend.hpp"
#include "daemon/value.hpp"

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace dpfs::daemon {

/// What is known about an option besides where its value goes.
struct OptionInfo {
    std::string_view key;  ///< in TOML; on the command line `--key` with '-' for '_'
    std::string_view placeholder = {};  ///< of the value, in help texts
    std::string_view help = {};         ///< whole sentences
    ValueRange range = {};
    std::int64_t unit_ns = 0;            ///< of a Duration: nanoseconds of 1
    BackendSet backends = all_backends;  ///< where it means something
    bool required = false;
    ValueKind kind = ValueKind::boolean;  ///< option() sets it, from the field's type
};

/// One row of the schema: an option, and the field of `Owner` that it sets. The default is what
/// a default-constructed Owner has, so that it is written down once.
template <class Owner>
struct Option {
    OptionInfo info;
    Value (*read)(const Owner& owner, const OptionInfo& info) = nullptr;
    /// `value` has passed check_value().
    Parsed<void> (*write)(Owner& owner, const OptionInfo& info, const Value& value) = nullptr;

    [[nodiscard]] Parsed<void> set(Owner& owner, const Value& value) const {
        if (auto checked = check_value(info.kind, info.range, value); !checked) return checked;
        return write(owner, info, value);
    }
    [[nodiscard]] Value default_value() const { return read(Owner(), info); }
};

/// How an optional number without a value is written.
inline constexpr std::int64_t unset_number = -1;

/// How a type of our own is written as text: specialisations have `T parse(string_view)` as a
/// Parsed<T> and `std::string print(const T&)`.
template <class T>
struct TextForm;

template <class T>
concept has_text_form = requires(const T& value) {
    { TextForm<T>::print(value) } -> std::same_as<std::string>;
};

namespace detail {

template <class T>
inline constexpr bool is_list = false;
template <class T>
inline constexpr bool is_list<std::vector<T>> = true;
template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

template <class Field>
consteval ValueKind kind_of() {
    if constexpr (has_text_form<Field>)
        return ValueKind::text;
    else if constexpr (is_optional<Field>)
        return kind_of<typename Field::value_type>();
    else if constexpr (is_list<Field>)
        return ValueKind::list;
    else if constexpr (std::same_as<Field, bool>)
        return ValueKind::boolean;
    else if constexpr (std::integral<Field> || std::same_as<Field, Duration>) {
        return ValueKind::integer;
    } else if constexpr (std::is_enum_v<Field>)
        return ValueKind::choice;
    else {
        static_assert(std::same_as<Field, std::string>);
        return ValueKind::text;
    }
}

template <class Field>
Value read_field(const Field& field, const OptionInfo& info) {
    if constexpr (has_text_form<Field>) {
        return TextForm<Field>::print(field);
    } else if constexpr (is_list<Field>) {
        std::vector<std::string> items;
        items.reserve(field.size());
        for (const auto& item : field) {
            items.push_back(std::get<std::string>(read_field(item, info)));
        }
        return items;
    } else if constexpr (is_optional<Field>) {
        return field ? read_field(*field, info) : Value(unset_number);
    } else if constexpr (std::same_as<Field, Duration>) {
        return field.ns / info.unit_ns;
    } else if constexpr (std::is_enum_v<Field>) {
        return std::string(info.range.choices[static_cast<std::size_t>(field)]);
    } else if constexpr (std::integral<Field> && !std::same_as<Field, bool>) {
        return static_cast<std::int64_t>(field);
    } else {
        return field;
    }
}

template <class Field>
Parsed<void> write_text(Field& field, const std::string& text) {
    if constexpr (has_text_form<Field>) {
        auto parsed = TextForm<Field>::parse(text);
        if (!parsed) return wrong(std::move(parsed.error()));
        field = std::move(*parsed);
    } else {
        field = text;
    }
    return {};
}

template <class Field>
Parsed<void> write_field(Field& field, const OptionInfo& info, const Value& value) {
    if constexpr (kind_of<Field>() == ValueKind::text) {
        return write_text(field, std::get<std::string>(value));
    } else if constexpr (is_list<Field>) {
        field.clear();
        for (const std::string& item : std::get<std::vector<std::string>>(value)) {
            if (auto written = write_text(field.emplace_back(), item); !written) return written;
        }
    } else if constexpr (is_optional<Field>) {
        field.reset();
        if (value != Value(unset_number)) return write_field(field.emplace(), info, value);
    } else if constexpr (std::same_as<Field, Duration>) {
        field.ns = std::get<std::int64_t>(value) * info.unit_ns;
    } else if constexpr (std::is_enum_v<Field>) {
        const auto& choices = info.range.choices;
        for (std::size_t i = 0; i < choices.size(); ++i) {
            if (choices[i] == std::get<std::string>(value)) field = static_cast<Field>(i);
        }
    } else if constexpr (std::same_as<Field, bool>) {
        field = std::get<bool>(value);
    } else {
        field = static_cast<Field>(std::get<std::int64_t>(value));
    }
    return {};
}

template <class Owner, class Field>
Owner owner_of(Field Owner::*);

}  // namespace detail

/// The row for the field at the end of `path`: option<&Device::session, &Session::size>({…}).
template <auto first, auto... path>
constexpr auto option(OptionInfo info) {
    using Owner = decltype(detail::owner_of(first));
    using Field = std::remove_cvref_t<decltype(((std::declval<Owner&>().*first).*....*path))>;
    info.kind = detail::kind_of<Field>();
    return Option<Owner>{info,
                         [](const Owner& owner, const OptionInfo& row) {
                             return detail::read_field(((owner.*first).*....*path), row);
                         },
                         [](Owner& owner, const OptionInfo& row, const Value& value) {
                             return detail::write_field(
                                 ((owner.*first).*....*path), row, value);
                         }};
}

}  // namespace dpfs::daemon
