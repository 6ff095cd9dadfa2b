// SPDX-License-Identifier: Apache-2.0
// Goal: a configuration file sets what it says, and one that is wrong is answered with file,
// line, key and what to write. Method: a catalogue of malformed files.
#include "daemon/config_file.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace dpfs::daemon {
namespace {

Config config_of(std::string_view text) {
    auto config = parse_config(text, "f.toml");
    EXPECT_TRUE(config) << config.error();
    return config ? std::move(*config) : Config();
}

TEST(ConfigFile, sets_what_it_says) {
    const Config config = config_of(R"(
[daemon]
threads = 4
poll = "busy"
spin_us = 7
log_format = "json"
cpus = "2-3"
[[device]]
backend = "uring"
tag = "home"
socket = "/run/a.sock"
dir = "/srv"
queues = 4
cache = "always"
entry_valid_ms = 1500
uid_map = ["0:100000:10", "10:0:1"]
socket_mode = "0660"
)");
    const DaemonConfig& daemon = config.daemon;
    EXPECT_EQ(daemon.thread_count, 4U);
    EXPECT_EQ(daemon.uring.loop.policy.mode, reactor::PollMode::busy);
    EXPECT_EQ(daemon.uring.loop.policy.spin, microseconds(7));
    EXPECT_EQ(daemon.log_format, LogFormat::json);
    EXPECT_EQ(daemon.cpus.cpus, (std::vector<unsigned>{2, 3}));

    const DeviceConfig& device = config.devices.at(0);
    EXPECT_EQ(device.backend, Backend::uring);
    EXPECT_EQ(device.transport.tag, "home");
    EXPECT_EQ(device.transport.socket_path, "/run/a.sock");
    EXPECT_EQ(device.transport.request_queue_count, 4);
    EXPECT_EQ(device.mirror.directory, "/srv");
    EXPECT_EQ(device.mirror.cache, mirror::CachePolicy::always);
    EXPECT_EQ(device.mirror.entry_valid, milliseconds(1500));
    EXPECT_EQ(device.mirror.uid_map.at(1).guest, 10U);
    EXPECT_EQ(device.socket_mode.bits, 0660U);
}

TEST(ConfigFile, has_any_number_of_devices) {
    std::string text;
    for (int i = 0; i < 100; ++i) {
        text += "[[device]]\nbackend = 'null'\nsocket = '/run/" + std::to_string(i) + "'\n";
    }
    EXPECT_EQ(config_of(text).devices.size(), 100U);
}

TEST(ConfigFile, lets_devices_of_different_tenants_have_the_same_tag) {
    const Config config = config_of(
        "[[device]]\nbackend='null'\nsocket='/a'\ntag='t'\n"
        "[[device]]\nbackend='null'\nsocket='/b'\ntag='t'\n");
    EXPECT_EQ(config.devices.size(), 2U);
}

TEST(ConfigFile, takes_minus_one_as_not_set) {
    const Config config = config_of(
        "[[device]]\nbackend='aio'\nsocket='/a'\ndir='/'\nentry_valid_ms=-1\nsocket_uid=-1\n");
    EXPECT_EQ(config.devices.at(0).mirror.entry_valid, std::nullopt);
    EXPECT_EQ(config.devices.at(0).transport.socket_ownership.uid, std::nullopt);
}

struct Malformed {
    const char* name;
    const char* text;
    const char* message;
};

class MalformedFile : public testing::TestWithParam<Malformed> {};

TEST_P(MalformedFile, is_answered_with_its_place) {
    const auto config = parse_config(GetParam().text, "f.toml");
    ASSERT_FALSE(config);
    EXPECT_EQ(config.error(), GetParam().message);
}

const Malformed catalogue[] = {
    {"empty", "", "f.toml:1: no device; add a [[device]] section"},
    {"no_device", "[daemon]\nthreads = 2\n", "f.toml:1: no device; add a [[device]] section"},
    {"unknown_section",
     "\n[deamon]\n",
     "f.toml:2: deamon: unknown section; did you mean 'daemon'?; write [daemon] or [[device]]"},
    {"daemon_is_a_value", "daemon = 1\n", "f.toml:1: daemon: is no section; write [daemon]"},
    {"one_bracket",
     "[device]\ntag = 'a'\n",
     "f.toml:1: device: is no list of sections; write [[device]], with two brackets"},
    {"devices_are_numbers",
     "device = [1, 2]\n",
     "f.toml:1: device: is no list of sections; write [[device]], with two brackets"},
    {"unknown_key",
     "[[device]]\nbackend = 'null'\nquues = 2\n",
     "f.toml:3: quues: unknown key; did you mean 'queues'?"},
    {"unknown_daemon_key", "[daemon]\nxyzzy = 2\n", "f.toml:2: xyzzy: unknown key"},
    {"no_backend",
     "\n[[device]]\nsocket = '/a'\n",
     "f.toml:2: device: has no 'backend'; write backend = \"uring\""},
    {"no_socket",
     "[[device]]\nbackend = 'null'\n",
     "f.toml:1: device: has no 'socket'; write socket = \"PATH\""},
    {"no_dir",
     "[[device]]\nbackend = 'uring'\nsocket = '/a'\n",
     "f.toml:1: device: has no 'dir'; write dir = \"DIR\""},
    {"unknown_backend",
     "[[device]]\nbackend = 'urng'\nsocket = '/a'\n",
     "f.toml:2: backend: 'urng' is not null, uring, aio or nfs; did you mean 'uring'?"},
    {"key_of_another_backend",
     "[[device]]\nbackend = 'null'\nsocket = '/a'\ndir = '/srv'\n",
     "f.toml:4: dir: means nothing to back end 'null'; leave it out"},
    {"no_queue",
     "[[device]]\nbackend = 'null'\nsocket = '/a'\nqueues = 0\n",
     "f.toml:4: queues: 0 is not a number from 1 to 64"},
    {"too_many_queues",
     "[[device]]\nbackend = 'null'\nsocket = '/a'\nqueues = 65\n",
     "f.toml:4: queues: 65 is not a number from 1 to 64"},
    {"number_as_text",
     "[[device]]\nqueues = '4'\n",
     "f.toml:2: queues: \"4\" is not a number from 1 to 64"},
    {"text_as_number",
     "[[device]]\ntag = 4\n",
     "f.toml:2: tag: 4 is not a text of 1 to 36 bytes"},
    {"fraction",
     "[[device]]\nqueues = 1.5\n",
     "f.toml:2: queues: is not a number from 1 to 64"},
    {"date", "[[device]]\ntag = 1979-05-27\n", "f.toml:2: tag: is not a text of 1 to 36 bytes"},
    {"table_as_value",
     "[[device]]\n[device.tag]\nx = 1\n",
     "f.toml:2: tag: is not a text of 1 to 36 bytes"},
    {"list_of_numbers",
     "[[device]]\nuid_map = [1]\n",
     "f.toml:2: uid_map: is not a list of texts"},
    {"list_as_text",
     "[[device]]\nuid_map = '0:1:2'\n",
     "f.toml:2: uid_map: \"0:1:2\" is not a list of texts"},
    {"flag_as_number",
     "[[device]]\nread_only = 1\n",
     "f.toml:2: read_only: 1 is not true or false"},
    {"empty_tag",
     "[[device]]\ntag = ''\n",
     "f.toml:2: tag: is empty; write a text of 1 to 36 bytes"},
    {"long_tag",
     "[[device]]\ntag = 'aaaaaaaaaabbbbbbbbbbccccccccccddddddd'\n",
     "f.toml:2: tag: has 37 bytes; write a text of 1 to 36 bytes"},
    {"tag_with_newline",
     "[[device]]\ntag = \"a\\nb\"\n",
     "f.toml:2: tag: a newline or NUL byte is in it; leave it out"},
    {"tag_with_nul",
     "[[device]]\ntag = \"a\\u0000b\"\n",
     "f.toml:2: tag: a newline or NUL byte is in it; leave it out"},
    {"bad_mode",
     "[[device]]\nsocket_mode = '888'\n",
     "f.toml:2: socket_mode: '888' is not a file mode; write one such as 0660"},
    {"socket_twice",
     "[[device]]\nbackend='null'\nsocket='/a'\n[[device]]\nbackend='null'\nsocket='/a'\n",
     "f.toml:6: socket: '/a' is that of another device (f.toml:3: socket); name another path"},
    {"nfs_owner_twice",
     "[[device]]\nbackend='nfs'\nserver=['s']\nexport='/'\nsocket='/a'\nnfs_owner='me'\n"
     "[[device]]\nbackend='nfs'\nserver=['s']\nexport='/'\nsocket='/b'\nnfs_owner='me'\n",
     "f.toml:12: nfs_owner: 'me' is that of another device (f.toml:6: nfs_owner), and the "
     "server "
     "would take them for one; name another, or share the client (nfs_share)"},
    {"shared_with_another_server",
     "[[device]]\nbackend='nfs'\nserver=['s']\nexport='/'\nsocket='/a'\nnfs_share='x'\n"
     "[[device]]\nbackend='nfs'\nserver=['t']\nexport='/'\nsocket='/b'\nnfs_share='x'\n",
     "f.toml:12: nfs_share: 'x' is shared with another device (f.toml:6: nfs_share), which has "
     "another server, or other options of its client; make them the same, or share under "
     "another name"},
};

INSTANTIATE_TEST_SUITE_P(Catalogue,
                         MalformedFile,
                         testing::ValuesIn(catalogue),
                         [](const auto& row) { return std::string(row.param.name); });

/// What toml++ itself refuses; its words may change, the place may not.
class NotToml : public testing::TestWithParam<Malformed> {};

TEST_P(NotToml, is_answered_with_its_line) {
    const auto config = parse_config(GetParam().text, "f.toml");
    ASSERT_FALSE(config);
    EXPECT_TRUE(config.error().starts_with(GetParam().message)) << config.error();
}

const Malformed no_toml[] = {
    {"unfinished_text", "[[device]]\ntag = \"a\n", "f.toml:2: not TOML: "},
    {"no_value", "[daemon]\nthreads =\n", "f.toml:2: not TOML: "},
    {"bare_word", "[daemon]\npoll = busy\n", "f.toml:2: not TOML: "},
    {"key_twice", "[daemon]\nthreads = 1\nthreads = 2\n", "f.toml:3: not TOML: "},
    {"section_twice", "[daemon]\n[daemon]\n", "f.toml:2: not TOML: "},
    {"leading_zero", "[[device]]\nqueues = 04\n", "f.toml:2: not TOML: "},
    {"no_key_in_brackets", "[!]\n", "f.toml:1: not TOML: "},
    {"control_character_as_key", "[\x15]\n", "f.toml:1: not TOML: "},
    {"letter_that_is_not_ascii_in_a_key",
     "[[device]]\nt\u00e4g = 'a'\n",
     "f.toml:2: not TOML: a character outside of quotes that is not ASCII"},
    {"no_utf8", "[[device]]\ntag = '\xff'\n", "f.toml:2: not TOML: "},
};

INSTANTIATE_TEST_SUITE_P(Catalogue, NotToml, testing::ValuesIn(no_toml), [](const auto& row) {
    return std::string(row.param.name);
});

TEST(ConfigFile, stands_deep_nesting) {
    const std::string text = "a = " + std::string(100'000, '[');
    EXPECT_FALSE(parse_config(text, "f.toml"));
}

TEST(LoadConfig, says_which_file_cannot_be_read) {
    const auto config = load_config("/nonexistent/dpfs.toml");
    ASSERT_FALSE(config);
    EXPECT_EQ(config.error(),
              "/nonexistent/dpfs.toml: cannot be read (ENOENT); name a file that can");
}

TEST(LoadConfig, says_that_a_directory_is_no_file) {
    const auto config = load_config("/");
    ASSERT_FALSE(config);
    EXPECT_EQ(config.error(), "/: cannot be read (EISDIR); name a file that can");
}

}  // namespace
}  // namespace dpfs::daemon
