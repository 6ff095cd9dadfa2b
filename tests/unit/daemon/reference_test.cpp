// SPDX-License-Identifier: Apache-2.0
// Goal: examples/dpfs.toml and docs/configuration.md say what the schema says: every key, none
// too many, the right default. Method: the text that the schema gives must be in the files, and
// the example must load and have the defaults.
#include "reference.hpp"

#include "daemon/config_file.hpp"
#include "daemon/schema.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <limits>
#include <set>
#include <sstream>

namespace dpfs::daemon {
namespace {

using testing::HasSubstr;

const std::string example_path = DPFS_SOURCE_DIR "/examples/dpfs.toml";
const std::string docs_path = DPFS_SOURCE_DIR "/docs/configuration.md";
constexpr std::string_view tables_begin = "<!-- the schema's tables begin -->\n\n";
constexpr std::string_view tables_end = "<!-- the schema's tables end -->\n";

std::string read_file(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

/// Writes what is to be there, where the developer asks for it.
void update(const std::string& path, const std::string& text) {
    if (std::getenv("DPFS_UPDATE") != nullptr) std::ofstream(path) << text;
}

std::string docs_with_tables() {
    std::string docs = read_file(docs_path);
    const std::size_t begin = docs.find(tables_begin) + tables_begin.size();
    const std::size_t end = docs.find(tables_end);
    return docs.replace(begin, end - begin, option_tables());
}

/// Keys as they stand at the beginning of the file's lines.
std::set<std::string> keys_in(const std::string& text) {
    std::set<std::string> keys;
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        const std::size_t end = line.find(" = ");
        if (end != line.npos && !line.starts_with('#')) keys.insert(line.substr(0, end));
    }
    return keys;
}

std::set<std::string> keys_of_schema() {
    std::set<std::string> keys;
    for (const auto key : keys_of(daemon_options())) keys.emplace(key);
    for (const auto key : keys_of(device_options())) keys.emplace(key);
    return keys;
}

TEST(ExampleFile, is_what_the_schema_makes_of_it) {
    update(example_path, example_configuration());
    EXPECT_EQ(read_file(example_path), example_configuration())
        << "run this test with DPFS_UPDATE=1 to write the file";
}

TEST(ExampleFile, has_every_key_of_the_schema_and_no_other) {
    EXPECT_EQ(keys_in(read_file(example_path)), keys_of_schema());
}

TEST(ExampleFile, loads) {
    const auto config = load_config(example_path);
    ASSERT_TRUE(config) << config.error();
    EXPECT_EQ(config->devices.size(), 3U);
    EXPECT_EQ(config->devices[0].backend, Backend::uring);
    EXPECT_EQ(config->devices[0].mirror.directory, "/srv/share");
}

TEST(ExampleFile, has_the_defaults) {
    const auto config = load_config(example_path);
    ASSERT_TRUE(config) << config.error();
    for (const Option<DaemonConfig>& option : daemon_options()) {
        EXPECT_EQ(option.read(config->daemon, option.info), option.default_value())
            << option.info.key;
    }
    for (const Option<DeviceConfig>& option : device_options()) {
        if (option.info.required) continue;
        EXPECT_EQ(option.read(config->devices[0], option.info), option.default_value())
            << option.info.key;
    }
}

TEST(ConfigurationPage, has_the_tables_of_the_schema) {
    update(docs_path, docs_with_tables());
    EXPECT_THAT(read_file(docs_path), HasSubstr(option_tables()))
        << "run this test with DPFS_UPDATE=1 to write the tables";
}

TEST(ConfigurationPage, has_a_row_for_every_key) {
    const std::string page = read_file(docs_path);
    for (const std::string& key : keys_of_schema()) {
        EXPECT_THAT(page, HasSubstr("\n| `" + key + "` | "));
    }
}

TEST(Schema, has_no_key_twice) {
    EXPECT_EQ(keys_of_schema().size(), daemon_options().size() + device_options().size());
}

TEST(Schema, accepts_its_own_defaults) {
    for (const Option<DaemonConfig>& option : daemon_options()) {
        DaemonConfig owner;
        EXPECT_TRUE(option.set(owner, option.default_value())) << option.info.key;
    }
    for (const Option<DeviceConfig>& option : device_options()) {
        if (option.info.required) continue;
        DeviceConfig owner;
        EXPECT_TRUE(option.set(owner, option.default_value())) << option.info.key;
    }
}

/// A range that is wider than its field would be cut silently.
TEST(Schema, has_no_range_wider_than_the_field) {
    for (const Option<DeviceConfig>& option : device_options()) {
        if (option.info.kind != ValueKind::integer) continue;
        DeviceConfig owner;
        const Value most = option.info.range.max;
        ASSERT_TRUE(option.set(owner, most)) << option.info.key;
        EXPECT_EQ(option.read(owner, option.info), most) << option.info.key;
    }
    for (const Option<DaemonConfig>& option : daemon_options()) {
        if (option.info.kind != ValueKind::integer) continue;
        DaemonConfig owner;
        const Value most = option.info.range.max;
        ASSERT_TRUE(option.set(owner, most)) << option.info.key;
        EXPECT_EQ(option.read(owner, option.info), most) << option.info.key;
    }
}

}  // namespace
}  // namespace dpfs::daemon
