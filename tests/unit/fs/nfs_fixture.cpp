// SPDX-License-Identifier: Apache-2.0
#include "nfs_fixture.hpp"

#include <cstdlib>

namespace dpfs::nfs {

NfsTest::NfsTest()
    : sink_(std::getenv("DPFS_TEST_LOG") != nullptr ? LogLevel::debug : LogLevel::off) {
    reactor::ReactorThreadsOptions how;
    how.count = 1;
    auto threads = reactor::ReactorThreads::make(how, pool_, Logger(sink_, "test"));
    threads_ = std::move(threads.value());
    context_ = std::make_unique<fuse::Context>(fuse::Context{
        .reactor = reactor(), .cancel = cancel_source, .caller = {.uid = 1000, .gid = 1000}});
    options.client.servers = {peer.address()};
    options.client.start_time_max = seconds(10);
}

NfsTest::~NfsTest() {
    stop();
    threads_->stop_all();
    threads_->join();
}

void NfsTest::start() {
    fs_ = make_fs();
}

void NfsTest::stop() {
    if (fs_) end(std::move(fs_));
}

std::unique_ptr<NfsFs> NfsTest::make_fs() {
    const Logger log(sink_, "test");
    const std::vector<reactor::Reactor*> reactors = {&reactor()};
    auto client = clients.client_for(options, reactors, log);
    EXPECT_TRUE(client.has_value());
    auto made = NfsFs::make(options, std::move(client.value()), reactors, log);
    EXPECT_TRUE(made.has_value());
    EXPECT_TRUE(run((*made)->start(reactor())));
    peer.take_record();
    return std::move(made.value());
}

void NfsTest::end(std::unique_ptr<NfsFs> ended) {
    run(ended->destroy(reactor()));
    run(ended->stop(reactor()));
}

void NfsTest::cancel() {
    run(fire(cancel_source));
}

Task<void> NfsTest::fire(reactor::CancelSource& source) {
    source.cancel();
    source.reset();
    co_return;
}

fuse::NodeId NfsTest::look_up(const std::string& name) {
    const auto checked = fuse::Name::check(name);
    const auto found = run(fs().lookup(context(), fuse::root_node, checked.value()));
    EXPECT_TRUE(found) << name;
    peer.take_record();
    return found ? found->node : fuse::negative_node;
}

Result<fuse::OpenReply> NfsTest::open(fuse::NodeId node, std::uint32_t flags) {
    return run(fs().open(context(), node, {.flags = flags}));
}

Result<void> NfsTest::release(fuse::NodeId node, fuse::FileHandle handle) {
    return run(fs().release(context(), node, handle, {}));
}

Result<std::size_t> NfsTest::write(fuse::NodeId node,
                                   fuse::FileHandle handle,
                                   std::uint64_t offset,
                                   std::string data,
                                   std::uint32_t flags) {
    const iovec from = {.iov_base = data.data(), .iov_len = data.size()};
    const fuse::WriteRequest request = {.offset = offset,
                                        .size = static_cast<std::uint32_t>(data.size()),
                                        .flags = flags,
                                        .from_page_cache = false,
                                        .kill_suid_gid = true};
    return run(fs().write(context(), node, handle, request, std::span(&from, 1)));
}

Result<std::string> NfsTest::read(fuse::NodeId node,
                                  fuse::FileHandle handle,
                                  std::uint64_t offset,
                                  std::size_t size) {
    std::string data(size, '\0');
    const iovec to = {.iov_base = data.data(), .iov_len = size};
    const fuse::ReadRequest request = {
        .offset = offset, .size = static_cast<std::uint32_t>(size), .flags = 0};
    const auto done = run(fs().read(context(), node, handle, request, std::span(&to, 1)));
    if (!done) return fail(done.error());
    data.resize(*done);
    return data;
}

fuse::LockRequest NfsTest::lock_of(std::uint64_t start, std::uint64_t end, std::uint32_t type) {
    return {.kind = fuse::LockKind::posix,
            .owner = fuse::LockOwner{7},
            .lock = {.start = start, .end = end, .type = type, .pid = 1},
            .wait = false};
}

}  // namespace dpfs::nfs
