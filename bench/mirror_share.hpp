// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fs/mirror/mirror_fs.hpp"
#include "reactor/make_reactor.hpp"
#include "reactor/run_to_completion.hpp"

#include <benchmark/benchmark.h>

#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <string>
#include <sys/stat.h>
#include <vector>

namespace dpfs::mirror {

class SilentLog final : public LogSink {
  public:
    void write(LogLevel, std::string_view, std::string_view) override {}
    bool enabled(LogLevel) const override { return false; }
};

/// A directory with a file and a large directory in it, and a MirrorFs that serves it.
class Share {
  public:
    static constexpr std::size_t file_size = 64 << 20;

    explicit Share(bool on_disk, int entry_count = 10'000) {
        std::string name = std::string(on_disk ? "/tmp" : "/dev/shm") + "/dpfs-bench-XXXXXX";
        if (::mkdtemp(name.data()) == nullptr) std::abort();
        path = name;
        std::filesystem::create_directory(path + "/dir");
        for (int i = 0; i < entry_count; ++i) {
            const std::string entry = path + "/dir/entry-" + std::to_string(i);
            const UniqueFd fd(::open(entry.c_str(), O_CREAT | O_WRONLY, 0644));
        }
        data.reset(::open((path + "/file").c_str(), O_CREAT | O_RDWR, 0644));
        std::vector<char> zeroes(1 << 20);
        for (std::size_t at = 0; at < file_size; at += zeroes.size()) {
            if (::write(data.get(), zeroes.data(), zeroes.size()) < 0) std::abort();
        }
        static_cast<void>(reactor::prepare_thread_credentials());
        reactor = std::move(*reactor::make_reactor({}, pool, Logger(log, "")));
        MirrorOptions options;
        options.directory = path;
        options.posix_acl = false;
        fs = std::move(*MirrorFs::make(options, Logger(log, "")));
        context = std::make_unique<fuse::Context>(
            fuse::Context{.reactor = *reactor, .cancel = cancel, .caller = {}});
    }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;
    ~Share() { std::filesystem::remove_all(path); }

    fuse::Entry lookup(const char* name) {
        return answer(fs->lookup(*context, fuse::root_node, *fuse::Name::check(name))).value();
    }

    /// The value of an operation; nearly all end in place.
    template <class T>
    T answer(Task<T> task) {
        if (task.start()) return task.take();
        return reactor::run_to_completion(*reactor, finish(task));
    }
    template <class T>
    static Task<T> finish(Task<T>& task) {
        co_return co_await task.join();
    }

    SilentLog log;
    std::string path;
    UniqueFd data;
    reactor::BlockingPool pool;
    std::unique_ptr<reactor::EventLoop> reactor;
    std::unique_ptr<MirrorFs> fs;
    reactor::CancelSource cancel;
    std::unique_ptr<fuse::Context> context;
};

/// The share of this benchmark's argument: 0 on a memory file system, 1 on the disk's.
inline Share& share(const benchmark::State& state) {
    static std::array<std::unique_ptr<Share>, 2> shares;
    const bool on_disk = state.range(0) != 0;
    auto& wanted = shares[on_disk ? 1 : 0];
    if (!wanted) wanted = std::make_unique<Share>(on_disk);
    return *wanted;
}

}  // namespace dpfs::mirror
