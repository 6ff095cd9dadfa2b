// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fake_file_system.hpp"
#include "fuse/session.hpp"
#include "fuse/wire_init.hpp"
#include "message.hpp"
#include "reactor/sim_world.hpp"

#include <cstring>
#include <memory>
#include <vector>

namespace dpfs::fuse::test {

/// A struct at the start of a payload.
template <wire_struct T>
T as(std::span<const std::byte> bytes, std::size_t offset = 0) {
    T value{};
    if (bytes.size() >= offset + sizeof(T)) {
        std::memcpy(&value, bytes.data() + offset, sizeof(T));
    }
    return value;
}

class SilentLog final : public LogSink {
  public:
    void write(LogLevel, std::string_view, std::string_view) override {}
    bool enabled(LogLevel) const override { return false; }
};

/// What a Linux 6.12 kernel sends over virtio-fs.
wire::InitIn linux_init();

/// A session on simulated reactors, and a tenant that speaks to it without a transport.
class SessionFixture {
  public:
    explicit SessionFixture(std::size_t reactor_count = 1, SessionOptions options = {});
    ~SessionFixture();

    /// Delivers a request on a reactor's queue, and goes on until that is done.
    std::unique_ptr<TestRequest> send(const Bytes& request,
                                      std::size_t reply_room = 4096,
                                      Layout layout = Layout::linux_like,
                                      std::size_t reactor = 0);
    /// The same, and waits for the completion.
    std::unique_ptr<TestRequest> ask(const Bytes& request,
                                     std::size_t reply_room = 4096,
                                     Layout layout = Layout::linux_like,
                                     std::size_t reactor = 0);
    /// Lets time pass until `request` is completed.
    void wait_for(TestRequest& request);
    void sleep(Duration time);
    void run(Task<void> work);
    void mount();

    reactor::SimWorld world{1};
    std::vector<reactor::Reactor*> reactors;
    FakeFileSystem files;
    SilentLog log;
    std::unique_ptr<Session> session;

  private:
    std::vector<std::unique_ptr<TestQueue>> queues_;
};

}  // namespace dpfs::fuse::test
