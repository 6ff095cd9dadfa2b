// SPDX-License-Identifier: Apache-2.0
#include "net/nfs4/locations.hpp"

#include "net/nfs4/attributes.hpp"

namespace dpfs::nfs4 {
namespace {

constexpr AttributeSet locations_only = {Attribute::file_system_locations};
constexpr std::size_t described_size_max = 512;

/// A list of texts, each of which takes four bytes at least.
std::vector<std::string_view> take_texts(rpc::XdrReader& in) {
    std::vector<std::string_view> texts;
    const std::uint32_t count = in.count(4);
    for (std::uint32_t i = 0; i < count && in.ok(); ++i) texts.push_back(in.string(opaque_max));
    return texts;
}

void append(std::string& to, std::string_view text) {
    for (const char each : text) to.push_back(each > ' ' && each <= '~' ? each : '?');
}

}  // namespace

std::vector<Location> take_locations(rpc::XdrReader& in) {
    std::vector<Location> locations;
    const AttributeSet present = AttributeSet::take(in);
    const std::uint32_t size = in.u32();
    if (present.empty() || !present.within(locations_only) || size > in.left()) in.fail();
    const std::size_t left_after = in.left() - size;
    take_texts(in);  // fs_root: where it is in the tree of who answers
    const std::uint32_t count = in.count(8);
    for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
        Location& location = locations.emplace_back();
        location.servers = take_texts(in);
        location.path = take_texts(in);
    }
    if (in.left() != left_after) in.fail();
    if (!in.ok()) locations.clear();
    return locations;
}

std::string describe(const std::vector<Location>& locations) {
    std::string text;
    for (const Location& location : locations) {
        for (const std::string_view server : location.servers) {
            if (!text.empty()) text += ", ";
            append(text, server);
            text.push_back(':');
            for (const std::string_view component : location.path) {
                text.push_back('/');
                append(text, component);
            }
            if (location.path.empty()) text.push_back('/');
            if (text.size() > described_size_max) {
                text.resize(described_size_max);
                return text + "...";
            }
        }
    }
    return text.empty() ? "nowhere" : text;
}

}  // namespace dpfs::nfs4
