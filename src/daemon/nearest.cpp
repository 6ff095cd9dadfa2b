// SPDX-License-Identifier: Apache-2.0
#include "daemon/nearest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <utility>
#include <vector>

namespace dpfs::daemon {
namespace {

/// Levenshtein's: how many letters to put in, take out or replace.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < a.size(); ++i) {
        std::size_t diagonal = std::exchange(row[0], i + 1);
        for (std::size_t j = 0; j < b.size(); ++j) {
            const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
        }
    }
    return row.back();
}

}  // namespace

std::string_view nearest(std::string_view word, std::span<const std::string_view> candidates) {
    constexpr std::size_t word_size_max = 64;  // bytes; longer ones are no typing errors
    if (word.size() > word_size_max) return {};
    std::string_view best;
    // A third of the letters may be wrong: more, and the proposal is a guess.
    std::size_t best_distance = word.size() / 3 + 2;
    for (const std::string_view candidate : candidates) {
        const std::size_t d = distance(word, candidate);
        if (d < best_distance && d < candidate.size()) {
            best = candidate;
            best_distance = d;
        }
    }
    return best;
}

std::string suggestion(std::string_view word, std::span<const std::string_view> candidates) {
    const std::string_view best = nearest(word, candidates);
    return best.empty() ? std::string() : fmt::format("; did you mean '{}'?", best);
}

std::string listing(std::span<const std::string_view> words) {
    if (words.empty()) return {};
    const auto last = words.size() - 1;
    if (last == 0) return std::string(words[0]);
    return fmt::format("{} or {}", fmt::join(words.first(last), ", "), words[last]);
}

}  // namespace dpfs::daemon
