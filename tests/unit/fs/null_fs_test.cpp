// SPDX-License-Identifier: Apache-2.0
// Goal: fs/null can be mounted and written to and read from, as null_fs.hpp says.
#include "fs/null/null_fs.hpp"

#include "fuse/wire_file.hpp"
#include "fuse/wire_inode.hpp"
#include "reactor/reactor.hpp"
#include "session_fixture.hpp"

#include <gtest/gtest.h>

#include <sys/stat.h>

namespace dpfs::fuse::test {
namespace {

using wire::Opcode;

class NullFs : public testing::Test {
  protected:
    NullFs() : queue_(world_.add_reactor(), 0, false) {
        SessionOptions options;
        options.reactors = {&queue_.reactor()};
        session_ = std::make_unique<Session>(files_, options, Logger(log_, ""));
        ask(make_request(Opcode::init, Message().add(linux_init())));
    }
    ~NullFs() override { world_.run(queue_.reactor(), reset()); }

    /// Everything is answered before this returns.
    std::unique_ptr<TestRequest> ask(const Bytes& bytes) {
        auto request = std::make_unique<TestRequest>(queue_, bytes, 8192, Layout::linux_like);
        world_.run(queue_.reactor(), deliver(*request));
        EXPECT_EQ(request->completions, 1);
        return request;
    }
    std::unique_ptr<TestRequest> read(std::uint64_t offset, std::uint32_t size) {
        wire::ReadIn in{};
        in.offset = offset;
        in.size = size;
        return ask(make_request(Opcode::read, Message().add(in)));
    }

  private:
    Task<bool> deliver(TestRequest& request) {
        session_->handle(hal::RequestHandle(request));
        co_return true;
    }
    Task<bool> reset() {
        co_await session_->reset();
        co_return true;
    }

    reactor::SimWorld world_{1};
    SilentLog log_;
    fs::NullFs files_{{.file_size = 1 << 20}};
    TestQueue queue_;
    std::unique_ptr<Session> session_;
};

TEST_F(NullFs, has_every_name_as_a_file_of_its_own) {
    const auto one = ask(make_request(Opcode::lookup, Message().add_string("one")));
    const auto again = ask(make_request(Opcode::lookup, Message().add_string("one")));
    const auto two = ask(make_request(Opcode::lookup, Message().add_string("two")));
    const auto entry = as<wire::EntryOut>(one->payload());
    EXPECT_EQ(entry.nodeid, as<wire::EntryOut>(again->payload()).nodeid);
    EXPECT_NE(entry.nodeid, as<wire::EntryOut>(two->payload()).nodeid);
    EXPECT_GT(entry.nodeid, 1U);
    EXPECT_TRUE(S_ISREG(entry.attr.mode));
    EXPECT_EQ(entry.attr.size, 1U << 20);
}

TEST_F(NullFs, has_a_directory_as_its_root) {
    const auto request = ask(make_request(Opcode::getattr, Message().add(wire::GetattrIn{})));
    EXPECT_TRUE(S_ISDIR(as<wire::AttrOut>(request->payload()).attr.mode));
}

TEST_F(NullFs, reads_zeroes_up_to_the_end) {
    EXPECT_EQ(read(0, 4096)->payload(), Bytes(4096));
    EXPECT_EQ(read((1 << 20) - 10, 4096)->payload(), Bytes(10));
    EXPECT_TRUE(read(1 << 20, 4096)->payload().empty());
    EXPECT_TRUE(read(INT64_MAX - 4096, 4096)->payload().empty());
}

TEST_F(NullFs, swallows_what_is_written) {
    wire::WriteIn in{};
    in.size = 100;
    const auto request = ask(make_request(Opcode::write, Message().add(in).fill(100)));
    EXPECT_EQ(as<wire::WriteOut>(request->payload()).size, 100U);
}

TEST_F(NullFs, lists_itself_and_nothing_else) {
    wire::ReadIn in{};
    in.size = 4096;
    const auto first = ask(make_request(Opcode::readdir, Message().add(in)));
    EXPECT_EQ(first->payload().size(), 2 * 32U);
    in.offset = 2;
    const auto second = ask(make_request(Opcode::readdir, Message().add(in)));
    EXPECT_TRUE(second->payload().empty());
}

TEST_F(NullFs, creates_opens_and_closes) {
    wire::CreateIn in{};
    const auto create = ask(make_request(Opcode::create, Message().add(in).add_string("new")));
    EXPECT_EQ(create->out_header().error, 0);
    EXPECT_EQ(create->payload().size(), 144U);
    EXPECT_EQ(
        ask(make_request(Opcode::open, Message().add(wire::OpenIn{})))->out_header().error, 0);
    EXPECT_EQ(ask(make_request(Opcode::release, Message().add(wire::ReleaseIn{})))
                  ->out_header()
                  .error,
              0);
    EXPECT_EQ(
        ask(make_request(Opcode::unlink, Message().add_string("new")))->out_header().error, 0);
}

TEST_F(NullFs, makes_nothing_but_files) {
    const auto request =
        ask(make_request(Opcode::mkdir, Message().add(wire::MkdirIn{}).add_string("d")));
    EXPECT_LT(request->out_header().error, 0);
}

}  // namespace
}  // namespace dpfs::fuse::test
