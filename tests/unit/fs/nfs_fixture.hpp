// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fs/nfs/nfs_fs.hpp"
#include "fs/nfs/shared_clients.hpp"
#include "nfs_peer.hpp"
#include "reactor/blocking_pool.hpp"
#include "reactor/reactor_threads.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <fcntl.h>
#include <future>
#include <memory>
#include <string>

namespace dpfs::nfs {

/// Counts what it passes on. Thread: any.
class CountingSink final : public LogSink {
  public:
    explicit CountingSink(LogLevel shown) : shown_(make_stderr_sink(shown)) {}
    void write(LogLevel level, std::string_view scope, std::string_view message) override {
        ++count_;
        if (shown_->enabled(level)) shown_->write(level, scope, message);
    }
    [[nodiscard]] bool enabled(LogLevel level) const override {
        return level >= LogLevel::info || shown_->enabled(level);
    }
    [[nodiscard]] int count() const noexcept { return count_.load(); }

  private:
    std::unique_ptr<LogSink> shown_;
    std::atomic<int> count_ = 0;
};

/// An NfsFs on a reactor thread, and its server: a NfsPeer.
class NfsTest : public testing::Test {
  protected:
    NfsTest();
    ~NfsTest() override;

    /// Makes `fs` with `options` and starts it. Called by the first use of fs().
    void start();
    NfsFs& fs() {
        if (!fs_) start();
        return *fs_;
    }
    void stop();
    /// Another one with `options`, started; to be ended by end().
    std::unique_ptr<NfsFs> make_fs();
    void end(std::unique_ptr<NfsFs> ended);

    /// Begins `work` on the reactor's thread.
    template <class T>
    std::future<T> begin(Task<T> work) {
        std::promise<T> promise;
        auto future = promise.get_future();
        threads_->spawn(0, fulfil(std::move(work), std::move(promise)));
        return future;
    }
    template <class T>
    T run(Task<T> work) {
        return begin(std::move(work)).get();
    }
    /// Ends what waits in `context`, as a tenant's reset does.
    void cancel();

    // --- operations of the tenant's, as user 1000
    fuse::NodeId look_up(const std::string& name);
    Result<fuse::OpenReply> open(fuse::NodeId node, std::uint32_t flags = O_RDWR);
    Result<void> release(fuse::NodeId node, fuse::FileHandle handle);
    Result<std::size_t> write(fuse::NodeId node,
                              fuse::FileHandle handle,
                              std::uint64_t offset,
                              std::string data,
                              std::uint32_t flags = 0);
    Result<std::string> read(fuse::NodeId node,
                             fuse::FileHandle handle,
                             std::uint64_t offset,
                             std::size_t size);
    static fuse::LockRequest lock_of(std::uint64_t start,
                                     std::uint64_t end,
                                     std::uint32_t type = F_WRLCK);

    NfsPeer peer;
    NfsOptions options;
    SharedClients clients;
    reactor::CancelSource cancel_source;
    reactor::Reactor& reactor() { return threads_->reactor(0); }
    fuse::Context& context() { return *context_; }
    /// Lines of the log, from the first on.
    [[nodiscard]] int log_line_count() const noexcept { return sink_.count(); }

  private:
    template <class T>
    static Task<void> fulfil(Task<T> work, std::promise<T> promise) {
        if constexpr (std::is_void_v<T>) {
            co_await std::move(work);
            promise.set_value();
        } else {
            promise.set_value(co_await std::move(work));
        }
    }
    static Task<void> fire(reactor::CancelSource& source);

    CountingSink sink_;
    reactor::BlockingPool pool_{{}};
    std::unique_ptr<reactor::ReactorThreads> threads_;
    std::unique_ptr<fuse::Context> context_;
    std::unique_ptr<NfsFs> fs_;
};

}  // namespace dpfs::nfs
