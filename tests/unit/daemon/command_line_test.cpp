// SPDX-License-Identifier: Apache-2.0
// Goal: a command line sets what it says, and bad usage is one line that says what is wrong and
// what to write. Method: a table of bad usage. That the program ends with 2 is program_test's.
#include "daemon/command_line.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

namespace dpfs::daemon {
namespace {

using testing::HasSubstr;

/// Splits at spaces; '' is the empty argument.
Parsed<Command> parse(const std::string& line) {
    std::vector<std::string> words;
    std::istringstream in(line);
    for (std::string word; in >> word;) words.push_back(word == "''" ? "" : word);
    std::vector<const char*> arguments;
    arguments.reserve(words.size());
    for (const std::string& word : words) arguments.push_back(word.c_str());
    return parse_command_line(arguments);
}

Config served(const std::string& line) {
    auto command = parse(line);
    EXPECT_TRUE(command) << command.error();
    return std::get<Serve>(command.value()).config;
}

std::string shown(const std::string& line) {
    auto command = parse(line);
    EXPECT_TRUE(command) << command.error();
    return std::get<ShowText>(command.value()).text;
}

TEST(CommandLine, serves_one_device) {
    const Config config = served(
        "serve uring --dir /srv --socket /run/a --tag t --queues 4 --threads 2 "
        "--poll interrupt --cache=never --read-only --uid-map 0:1:1 --uid-map 2:3:1");
    EXPECT_EQ(config.daemon.thread_count, 2U);
    EXPECT_EQ(config.daemon.uring.loop.policy.mode, reactor::PollMode::interrupt);
    ASSERT_EQ(config.devices.size(), 1U);
    const DeviceConfig& device = config.devices[0];
    EXPECT_EQ(device.backend, Backend::uring);
    EXPECT_EQ(device.transport.tag, "t");
    EXPECT_EQ(device.transport.request_queue_count, 4);
    EXPECT_EQ(device.mirror.directory, "/srv");
    EXPECT_EQ(device.mirror.cache, mirror::CachePolicy::never);
    EXPECT_TRUE(device.mirror.read_only);
    EXPECT_EQ(device.mirror.uid_map.size(), 2U);
}

TEST(CommandLine, takes_process_options_before_the_back_end_too) {
    EXPECT_EQ(served("serve --threads 3 null --socket /run/a").daemon.thread_count, 3U);
}

TEST(CommandLine, switches_off_what_is_on_by_default) {
    const Config config = served("serve aio --dir / --socket /run/a --async-fsync=false");
    EXPECT_FALSE(config.devices.at(0).mirror.async_fsync);
}

TEST(CommandLine, takes_negative_numbers) {
    const Config config = served("serve aio --dir / --socket /run/a --entry-valid-ms -1");
    EXPECT_EQ(config.devices.at(0).mirror.entry_valid, std::nullopt);
}

TEST(CommandLine, takes_a_file_and_lets_process_options_replace_its_own) {
    const std::string file = DPFS_SOURCE_DIR "/examples/dpfs.toml";
    const Config config = served("serve --config " + file + " --threads 7");
    EXPECT_EQ(config.devices.size(), 3U);
    EXPECT_EQ(config.daemon.thread_count, 7U);
}

TEST(CommandLine, measures_devices) {
    const auto command = parse(
        "bench --socket /run/a --socket /run/b --compare --floor /srv --work "
        "mixed,create-unlink "
        "--depth 3 --block-size 1M --file-size 2G --poll interrupt --ring packed --rounds 3 "
        "--round-ms 250 --indirect=false --verify --cpus 0 --json");
    ASSERT_TRUE(command) << command.error();
    const bench::Options& options = std::get<Bench>(*command).options;
    EXPECT_THAT(options.sockets, testing::ElementsAre("/run/a", "/run/b"));
    EXPECT_THAT(options.floors, testing::ElementsAre("/srv"));
    EXPECT_TRUE(options.compare);
    EXPECT_THAT(options.load.works.works,
                testing::ElementsAre(bench::Work::mixed, bench::Work::create_unlink));
    EXPECT_EQ(options.load.depth, 3U);
    EXPECT_EQ(options.load.block_size.bytes, 1U << 20);
    EXPECT_EQ(options.load.file_size.bytes, 2ULL << 30);
    EXPECT_EQ(options.driver.wait, bench::WaitMode::interrupt);
    EXPECT_EQ(options.driver.ring, bench::RingFormat::packed);
    EXPECT_FALSE(options.driver.indirect);
    EXPECT_EQ(options.round_time, milliseconds(250));
    EXPECT_THAT(options.cpus, testing::ElementsAre(0U));
    EXPECT_TRUE(options.json);
}

TEST(Help, of_bench_tells_what_the_works_are) {
    const std::string text = shown("bench --help");
    for (const std::string_view name : bench::work_names) {
        EXPECT_THAT(text, HasSubstr("  " + std::string(name) + " ")) << name;
    }
    EXPECT_THAT(text, HasSubstr("dpfs bench --compare"));
}

TEST(CommandLine, shows_the_version) {
    EXPECT_THAT(shown("--version"), testing::MatchesRegex("dpfs [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST(CommandLine, lists_emulation_managers) {
    EXPECT_THAT(shown("list-emulation-managers"), HasSubstr("vhost-user"));
}

TEST(Help, shows_whole_commands_and_what_the_tenant_does) {
    for (const char* const line :
         {"--help", "-h", "serve --help", "serve uring --help", "serve aio -h"}) {
        const std::string text = shown(line);
        EXPECT_THAT(text, HasSubstr("--socket /run/dpfs.sock")) << line;
        EXPECT_THAT(text, HasSubstr("vhost-user-fs-pci")) << line;
        EXPECT_THAT(text, HasSubstr("mount -t virtiofs")) << line;
    }
}

TEST(Help, wins_over_what_is_wrong_or_missing) {
    EXPECT_THAT(shown("serve uring --bogus --help"), HasSubstr("Usage: dpfs serve uring"));
}

TEST(Help, of_a_back_end_has_its_options_only) {
    EXPECT_THAT(shown("serve uring --help"), HasSubstr("--read-only"));
    EXPECT_THAT(shown("serve null --help"), testing::Not(HasSubstr("--read-only")));
}

struct BadUsage {
    const char* line;
    const char* message;
};

class BadCommandLine : public testing::TestWithParam<BadUsage> {};

TEST_P(BadCommandLine, is_answered_with_what_to_write) {
    const auto command = parse(GetParam().line);
    ASSERT_FALSE(command);
    EXPECT_EQ(command.error(), GetParam().message);
    EXPECT_EQ(command.error().find('\n'), std::string::npos);
}

const BadUsage catalogue[] = {
    {"", "no command; write dpfs serve uring --dir DIR --socket PATH, or dpfs --help"},
    {"mount /mnt",
     "no command 'mount'; write serve, bench or list-emulation-managers, or dpfs --help"},
    {"srve",
     "no command 'srve'; did you mean 'serve'?; write serve, bench or "
     "list-emulation-managers, or dpfs --help"},
    {"--bogus", "--bogus: unknown option; see dpfs --help"},
    {"--verison", "--verison: unknown option; did you mean '--version'?; see dpfs --help"},
    {"list-emulation-managers -x",
     "-x: unknown option; see dpfs list-emulation-managers --help"},
    {"serve",
     "serve: what? write dpfs serve uring --dir DIR --socket PATH, or dpfs serve --config "
     "FILE"},
    {"serve kv --socket /a", "serve: no back end 'kv'; write null, uring, aio or nfs"},
    {"serve nfs --export /a --socket /b",
     "--server: is missing; write dpfs serve nfs --server HOST[:PORT] …"},
    {"serve urng --socket /a",
     "serve: no back end 'urng'; did you mean 'uring'?; write null, uring, aio or nfs"},
    {"serve --socket /a uring",
     "--socket: comes after the back end; write dpfs serve null|uring|aio|nfs --socket …"},
    {"serve null uring --socket /a",
     "serve: 'null' and 'uring' are two back ends; write one, or list both in a file and write "
     "dpfs serve --config FILE"},
    {"serve --config", "--config: has no value; write --config FILE"},
    {"serve --config /nonexistent",
     "/nonexistent: cannot be read (ENOENT); name a file that can"},
    {"serve --config /a --config /b", "--config: is given twice; write it once"},
    {"serve --config /a null", "--config: does not go with back end 'null'; write one of them"},
    {"serve --config /a --socket /b",
     "--socket: means nothing to dpfs serve; leave it out, or see dpfs serve --help"},
    {"serve null", "--socket: is missing; write dpfs serve null --socket PATH …"},
    {"serve uring --socket /a", "--dir: is missing; write dpfs serve uring --dir DIR …"},
    {"serve null --socket", "--socket: has no value; write --socket PATH"},
    {"serve null --socket /a --threads", "--threads: has no value; write --threads N"},
    {"serve null --socket /a --socket /b", "--socket: is given twice; write it once"},
    {"serve null --socket /a /b", "'/b': is not expected here; see dpfs serve null --help"},
    {"serve null --socket ''", "--socket: is empty; write a text of 1 to 107 bytes"},
    {"serve null --socket "
     "/1234567890123456789012345678901234567890123456789012345678901234567890123456789012345678"
     "9"
     "012345678901234567",
     "--socket: has 108 bytes; write a text of 1 to 107 bytes"},
    {"serve null --socket /a --queues 0", "--queues: 0 is not a number from 1 to 64"},
    {"serve null --socket /a --queues 65", "--queues: 65 is not a number from 1 to 64"},
    {"serve null --socket /a --queues many", "--queues: 'many' is not a number from 1 to 64"},
    {"serve null --socket /a --queue-size 100",
     "--queue-size: 100 is not a power of two from 4 to 1024"},
    {"serve null --socket /a --dir /b",
     "--dir: means nothing to dpfs serve null; leave it out, or see dpfs serve null --help"},
    {"serve uring --socket /a --dir /b --cach auto",
     "--cach: unknown option; did you mean '--cache'?; see dpfs serve uring --help"},
    {"serve uring --socket /a --dir /b --cache=atuo",
     "--cache: 'atuo' is not never, auto or always; did you mean 'auto'?"},
    {"serve uring --socket /a --dir /b --read-only=maybe",
     "--read-only: 'maybe' is not true or false"},
    {"serve uring --socket /a --dir /b --uid-map 0:1",
     "--uid-map: '0:1' is not an id range; write GUEST:HOST:COUNT, such as 0:100000:65536"},
    {"serve null --socket /a --cpus 3-1",
     "--cpus: '3-1' is not a CPU list; write one such as 0-3,8"},
    {"bench", "--socket: is missing; write dpfs bench --socket PATH …"},
    {"bench --compare --socket /a", "--compare: needs two devices; write --socket PATH twice"},
    {"bench /a", "'/a': is not expected here; see dpfs bench --help"},
    {"bench --socket /a --deph 4",
     "--deph: unknown option; did you mean '--depth'?; see dpfs bench --help"},
    {"bench --socket /a --work", "--work: has no value; write --work WORK,…"},
    {"bench --socket /a --work randraed",
     "--work: 'randraed' is not seqread, randread, seqwrite, randwrite, mixed, statfs, "
     "getattr, "
     "lookup, create-unlink, open-close, readdir or readdirplus; did you mean 'randread'?"},
    {"bench --socket /a --work randread,",
     "--work: '' is not seqread, randread, seqwrite, randwrite, mixed, statfs, getattr, "
     "lookup, "
     "create-unlink, open-close, readdir or readdirplus"},
    {"bench --socket /a --file-size 2g",
     "--file-size: '2g' is not a size; write one such as 4k, 256M or 1G"},
    {"bench --socket /a --file-size 99999999G",
     "--file-size: '99999999G' is not a size; write one such as 4k, 256M or 1G"},
    {"bench --socket /a --file-size 1k", "--file-size: is less than --block-size; write more"},
    {"bench --socket /a --block-size 100",
     "--block-size: must be a multiple of 512, at most 16M"},
    {"bench --socket /a --block-size 512 --direct",
     "--direct: needs a --block-size that is a multiple of 4k"},
    {"bench --socket /a --verify --file-size 4k",
     "--verify: needs more blocks than --depth; write more --file-size"},
    {"bench --socket /a --indirect=false --depth 256",
     "--depth: 256 requests take 1280 descriptors, and the ring has 1024; write less --depth "
     "or "
     "more --ring-size"},
    {"bench --socket /a --cpus 4095",
     "--cpus: CPU 4095 cannot be used by this process; name others"},
    {"serve null --socket /a --poll sometimes",
     "--poll: 'sometimes' is not busy, adaptive or interrupt"},
};

INSTANTIATE_TEST_SUITE_P(Catalogue, BadCommandLine, testing::ValuesIn(catalogue));

}  // namespace
}  // namespace dpfs::daemon
