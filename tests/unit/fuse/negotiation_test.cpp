// SPDX-License-Identifier: Apache-2.0
// Goal: INIT agrees on what both sides can do, in the form that each version of the protocol
// has. Method: golden bytes for kernels that are in use; single flags and limits through
// offer() and agree().
#include "fuse/negotiation.hpp"

#include "session_fixture.hpp"

#include <gtest/gtest.h>

namespace dpfs::fuse::test {
namespace {

namespace init = wire::init;

wire::InitOut init_out(const TestRequest& request) {
    return as<wire::InitOut>(request.payload());
}

TEST(Init, answers_a_6_1_kernel_with_these_bytes) {
    // 7.38; init_in of 64 bytes: FUSE_ASYNC_READ, BIG_WRITES, MAX_PAGES, INIT_EXT;
    // SECURITY_CTX.
    constexpr unsigned char in[] = {0x07, 0, 0,    0, 0x26, 0,    0,    0, 0, 0,
                                    2,    0, 0x21, 0, 0x40, 0x40, 0x01, 0, 0, 0};
    // 7.45, readahead 128 KiB, the same flags, 1024 and 768 in the background, 4 MiB writes, 1
    // ns, 1024 pages, no mapping; flags2; the rest is zero.
    constexpr unsigned char out[] = {0x07, 0, 0,    0,    0x2d, 0,    0, 0, 0, 0, 2,    0,
                                     0x21, 0, 0x40, 0x40, 0,    0x04, 0, 3, 0, 0, 0x40, 0,
                                     1,    0, 0,    0,    0,    4,    0, 0, 1, 0, 0,    0};
    SessionFixture fixture;
    const auto request = fixture.ask(make_request(
        wire::Opcode::init, Message().add_bytes(std::as_bytes(std::span(in))).fill(44)));
    EXPECT_EQ(request->size, 80U);
    EXPECT_EQ(request->payload(),
              Message().add_bytes(std::as_bytes(std::span(out))).fill(28).bytes());
}

TEST(Init, takes_the_16_bytes_of_a_kernel_before_7_36) {
    // 5.4, where virtio-fs began: 7.31.
    SessionFixture fixture;
    const wire::InitInCompat in{.major = 7,
                                .minor = 31,
                                .max_readahead = 65536,
                                .flags = static_cast<std::uint32_t>(init::async_read)};
    const auto request = fixture.ask(make_request(wire::Opcode::init, Message().add(in)));
    EXPECT_EQ(request->out_header().error, 0);
    EXPECT_EQ(request->size, 80U);
    EXPECT_EQ(init_out(*request).flags, init::async_read);
    EXPECT_EQ(init_out(*request).flags2, 0U);
    EXPECT_EQ(init_out(*request).max_readahead, 65536U);
    EXPECT_EQ(init_out(*request).max_pages, 0U);
    EXPECT_EQ(init_out(*request).max_write, 131072U)
        << "32 pages, where the kernel says no more";
}

TEST(Init, answers_a_kernel_before_7_23_with_24_bytes) {
    SessionFixture fixture;
    const wire::InitInCompat in{.major = 7, .minor = 22, .max_readahead = 65536, .flags = 0};
    const auto request = fixture.ask(make_request(wire::Opcode::init, Message().add(in)), 40);
    EXPECT_EQ(request->out_header().error, 0);
    EXPECT_EQ(request->size, 40U);
}

TEST(Init, refuses_a_kernel_before_7_12) {
    SessionFixture fixture;
    const wire::InitInCompat in{.major = 7, .minor = 11, .max_readahead = 65536, .flags = 0};
    const auto request = fixture.ask(make_request(wire::Opcode::init, Message().add(in)));
    EXPECT_EQ(request->out_header().error, -EPROTO);
    EXPECT_FALSE(fixture.session->running());
    EXPECT_TRUE(fixture.files.calls.empty());
}

TEST(Init, asks_a_newer_major_version_to_come_again_with_ours) {
    SessionFixture fixture;
    wire::InitIn in = linux_init();
    in.major = 8;
    in.minor = 3;
    const auto request = fixture.ask(make_request(wire::Opcode::init, Message().add(in)));
    EXPECT_EQ(request->out_header().error, 0);
    EXPECT_EQ(init_out(*request).major, 7U);
    EXPECT_EQ(init_out(*request).minor, 45U);
    EXPECT_FALSE(fixture.session->running());
    fixture.mount();
    EXPECT_TRUE(fixture.session->running());
}

TEST(Init, refuses_an_older_major_version) {
    SessionFixture fixture;
    wire::InitIn in = linux_init();
    in.major = 6;
    const auto request = fixture.ask(make_request(wire::Opcode::init, Message().add(in)));
    EXPECT_EQ(request->out_header().error, -EPROTO);
}

TEST(Init, does_not_ask_the_file_system_when_the_reply_has_no_room) {
    SessionFixture fixture;
    const auto request =
        fixture.ask(make_request(wire::Opcode::init, Message().add(linux_init())), 79);
    EXPECT_EQ(request->out_header().error, -EIO);
    EXPECT_FALSE(fixture.session->running());
    EXPECT_TRUE(fixture.files.calls.empty());
}

TEST(Init, ignores_bytes_that_a_later_version_adds) {
    SessionFixture fixture;
    const auto request =
        fixture.ask(make_request(wire::Opcode::init, Message().add(linux_init()).fill(64)));
    EXPECT_EQ(request->out_header().error, 0);
}

TEST(Negotiation, ignores_flags2_without_init_ext) {
    wire::InitIn in = linux_init();
    in.flags &= ~static_cast<std::uint32_t>(init::init_ext);
    EXPECT_EQ(offer(in, {})->flags >> 32, 0U);
}

TEST(Negotiation, never_offers_what_makes_no_sense_over_virtio) {
    wire::InitIn in = linux_init();
    in.flags = in.flags2 = 0xffff'ffff;
    const std::uint64_t never =
        init::file_ops | init::export_support | init::splice_write | init::splice_move |
        init::splice_read | init::handle_killpriv | init::abort_error | init::map_alignment |
        init::init_reserved | init::has_inode_dax | init::passthrough |
        init::no_export_support | init::has_resend | init::over_io_uring;
    EXPECT_EQ(offer(in, {})->flags & never, 0U);
}

TEST(Negotiation, takes_flags_of_options_only_when_they_are_wanted) {
    wire::InitIn in = linux_init();
    in.flags = in.flags2 = 0xffff'ffff;
    SessionOptions options;
    options.readdirplus = ReaddirPlus::never;
    const std::uint64_t optional = init::writeback_cache | init::allow_idmap |
                                   init::request_timeout | init::do_readdirplus |
                                   init::readdirplus_auto;
    EXPECT_EQ(offer(in, options)->flags & optional, 0U);

    options.readdirplus = ReaddirPlus::adaptive;
    options.writeback = true;
    options.id_mapped_mounts = true;
    options.request_timeout = seconds(30);
    EXPECT_EQ(offer(in, options)->flags & optional, optional);

    options.readdirplus = ReaddirPlus::always;
    EXPECT_EQ(offer(in, options)->flags & optional, optional & ~init::readdirplus_auto);
}

TEST(Negotiation, tells_a_request_timeout_in_seconds) {
    wire::InitIn in = linux_init();
    in.flags2 |= static_cast<std::uint32_t>(init::request_timeout >> 32);
    SessionOptions options;
    options.request_timeout = milliseconds(90'500);
    const Capabilities offered = *offer(in, options);
    const Negotiation agreed = agree(in, offered, offered);
    EXPECT_EQ(init_reply(in, agreed, offered, options).request_timeout, 90U);
}

TEST(Negotiation, lets_a_file_system_take_away_but_not_add) {
    const wire::InitIn in = linux_init();
    const Capabilities offered = *offer(in, {});
    Capabilities chosen = offered;
    chosen.flags &= ~(init::posix_locks | init::do_readdirplus);
    chosen.flags |= init::passthrough;
    chosen.request_size_max = 65536 + 100;
    const Negotiation agreed = agree(in, offered, chosen);
    EXPECT_FALSE(agreed.has(init::posix_locks));
    EXPECT_FALSE(agreed.has(init::passthrough));
    EXPECT_FALSE(agreed.has(init::readdirplus_auto)) << "means nothing without do_readdirplus";
    EXPECT_EQ(agreed.request_size_max, 65536U);
    EXPECT_EQ(agreed.pages_max, 16U);

    chosen.request_size_max = 1U << 31;
    EXPECT_EQ(agree(in, offered, chosen).request_size_max, offered.request_size_max);
    chosen.request_size_max = 0;
    EXPECT_EQ(agree(in, offered, chosen).request_size_max, 4096U);
}

TEST(Negotiation, takes_explicit_invalidation_only_without_the_automatic_one) {
    const wire::InitIn in = linux_init();
    const Capabilities offered = *offer(in, {});
    EXPECT_FALSE(agree(in, offered, offered).has(init::explicit_inval_data));
    Capabilities chosen = offered;
    chosen.flags &= ~init::auto_inval_data;
    EXPECT_TRUE(agree(in, offered, chosen).has(init::explicit_inval_data));
}

TEST(Negotiation, keeps_informative_flags_to_itself) {
    const wire::InitIn in = linux_init();
    const Capabilities offered = *offer(in, {});
    const Negotiation agreed = agree(in, offered, offered);
    EXPECT_TRUE(agreed.has(init::no_open_support));
    EXPECT_EQ(init_reply(in, agreed, offered, {}).flags & informative_flags, 0U);
}

TEST(Negotiation, speaks_the_older_of_both_minor_versions) {
    wire::InitIn in = linux_init();
    const Capabilities offered = *offer(in, {});
    EXPECT_EQ(agree(in, offered, offered).minor, 41U);
    in.minor = 99;
    EXPECT_EQ(agree(in, offered, offered).minor, 45U);
}

TEST(FileSystem, default_init_promises_nothing_that_defaults_do_not_do) {
    FileSystem plain;
    Capabilities capabilities{.flags = ~std::uint64_t{0}, .request_timeout = {}};
    reactor::CancelSource cancel;
    SessionFixture fixture;
    Context context{.reactor = *fixture.reactors[0], .cancel = cancel, .caller = {}};
    auto ready = plain.init(context, capabilities);
    ASSERT_TRUE(ready.start());
    EXPECT_TRUE(ready.take().has_value());
    EXPECT_EQ(capabilities.flags & (init::posix_locks | init::flock_locks | init::posix_acl |
                                    init::do_readdirplus | init::handle_killpriv_v2),
              0U);
    EXPECT_NE(capabilities.flags & init::async_read, 0U);
}

}  // namespace
}  // namespace dpfs::fuse::test
