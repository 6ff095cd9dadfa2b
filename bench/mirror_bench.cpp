// SPDX-License-Identifier: Apache-2.0
// What fs/mirror costs on top of the system calls it makes: operations through the FileSystem
// interface that are answered in place, warm, on a memory file system (argument 0) and on the
// disk's (1). Beside each, the system call that it cannot do without.
#include "fs/mirror/mirror_fs.hpp"
#include "fuse/directory_writer.hpp"
#include "reactor/make_reactor.hpp"
#include "reactor/run_to_completion.hpp"

#include <benchmark/benchmark.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <sys/stat.h>
#include <vector>

namespace dpfs::mirror {
namespace {

using fuse::root_node;

constexpr int entry_count = 10'000;
constexpr std::size_t file_size = 64 << 20;

class SilentLog final : public LogSink {
  public:
    void write(LogLevel, std::string_view, std::string_view) override {}
    bool enabled(LogLevel) const override { return false; }
};

class Share {
  public:
    explicit Share(bool on_disk) {
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
        return answer(fs->lookup(*context, root_node, *fuse::Name::check(name))).value();
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

Share& share(const benchmark::State& state) {
    static std::array<std::unique_ptr<Share>, 2> shares;
    const bool on_disk = state.range(0) != 0;
    auto& wanted = shares[on_disk ? 1 : 0];
    if (!wanted) wanted = std::make_unique<Share>(on_disk);
    return *wanted;
}

void lookup(benchmark::State& state) {
    Share& on = share(state);
    const auto name = *fuse::Name::check("file");
    on.lookup("file");
    for (auto _ : state) {
        benchmark::DoNotOptimize(on.answer(on.fs->lookup(*on.context, root_node, name)));
    }
}

void lookup_floor(benchmark::State& state) {
    const Share& on = share(state);
    const UniqueFd dir(::open(on.path.c_str(), O_PATH));
    struct statx found = {};
    for (auto _ : state) {
        ::statx(dir.get(), "file", AT_SYMLINK_NOFOLLOW, statx_mask, &found);
    }
}

void getattr(benchmark::State& state) {
    Share& on = share(state);
    const auto node = on.lookup("file").node;
    for (auto _ : state) {
        auto found = on.answer(on.fs->getattr(*on.context, node, std::nullopt));
        benchmark::DoNotOptimize(found);
    }
}

void getattr_floor(benchmark::State& state) {
    const Share& on = share(state);
    struct statx found = {};
    for (auto _ : state) {
        ::statx(on.data.get(), "", AT_EMPTY_PATH, statx_mask, &found);
    }
}

void read_4k(benchmark::State& state) {
    Share& on = share(state);
    const auto node = on.lookup("file").node;
    const auto handle = on.answer(on.fs->open(*on.context, node, {.flags = O_RDWR}))->handle;
    std::vector<char> data(4096);
    const std::array to = {iovec{data.data(), data.size()}};
    std::uint64_t offset = 0;
    for (auto _ : state) {
        offset = (offset + 1'234'567 * 4096ULL) % file_size;
        auto done = on.answer(on.fs->read(
            *on.context, node, handle, {.offset = offset, .size = 4096, .flags = 0}, to));
        benchmark::DoNotOptimize(done);
    }
}

void read_4k_floor(benchmark::State& state) {
    const Share& on = share(state);
    std::vector<char> data(4096);
    const iovec to = {data.data(), data.size()};
    std::uint64_t offset = 0;
    for (auto _ : state) {
        offset = (offset + 1'234'567 * 4096ULL) % file_size;
        benchmark::DoNotOptimize(::preadv(on.data.get(), &to, 1, static_cast<off_t>(offset)));
    }
}

void write_4k(benchmark::State& state) {
    Share& on = share(state);
    const auto node = on.lookup("file").node;
    const auto handle = on.answer(on.fs->open(*on.context, node, {.flags = O_RDWR}))->handle;
    std::vector<char> data(4096);
    const std::array from = {iovec{data.data(), data.size()}};
    std::uint64_t offset = 0;
    for (auto _ : state) {
        offset = (offset + 1'234'567 * 4096ULL) % file_size;
        auto done = on.answer(on.fs->write(*on.context,
                                           node,
                                           handle,
                                           {.offset = offset,
                                            .size = 4096,
                                            .flags = 0,
                                            .from_page_cache = false,
                                            .kill_suid_gid = true},
                                           from));
        benchmark::DoNotOptimize(done);
    }
}

void write_4k_floor(benchmark::State& state) {
    const Share& on = share(state);
    std::vector<char> data(4096);
    const iovec from = {data.data(), data.size()};
    std::uint64_t offset = 0;
    for (auto _ : state) {
        offset = (offset + 1'234'567 * 4096ULL) % file_size;
        benchmark::DoNotOptimize(
            ::pwritev(on.data.get(), &from, 1, static_cast<off_t>(offset)));
    }
}

void open_release(benchmark::State& state) {
    Share& on = share(state);
    const auto node = on.lookup("file").node;
    for (auto _ : state) {
        const auto opened = on.answer(on.fs->open(*on.context, node, {.flags = O_RDONLY}));
        const fuse::ReleaseRequest release = {
            .flags = 0, .posix_owner = std::nullopt, .flock_unlock = false};
        auto released = on.answer(on.fs->release(*on.context, node, opened->handle, release));
        benchmark::DoNotOptimize(released);
    }
}

void create_unlink(benchmark::State& state) {
    Share& on = share(state);
    const auto name = *fuse::Name::check("new");
    for (auto _ : state) {
        const fuse::CreateRequest request = {
            .flags = O_RDWR, .mode = 0644, .umask = 022, .security = {}};
        const auto made =
            on.answer(on.fs->create(*on.context, root_node, name, request)).value();
        const fuse::ReleaseRequest release = {
            .flags = 0, .posix_owner = std::nullopt, .flock_unlock = false};
        auto done =
            on.answer(on.fs->release(*on.context, made.entry.node, made.open.handle, release));
        done = on.answer(on.fs->unlink(*on.context, root_node, name));
        const std::array all = {fuse::Forget{.node = made.entry.node, .count = 1}};
        auto forgotten = on.fs->forget(*on.context, all);
        static_cast<void>(forgotten.start());
        benchmark::DoNotOptimize(done);
    }
}

/// Entries of the reply, which are to be forgotten again: fuse_entry_out starts each.
std::size_t forget_listed(Share& on, std::span<const std::byte> reply, std::uint64_t& offset) {
    std::size_t count = 0;
    for (std::size_t at = 0; at < reply.size();) {
        std::uint64_t node = 0;
        std::uint32_t name_size = 0;
        std::memcpy(&node, reply.data() + at, 8);
        std::memcpy(&offset, reply.data() + at + 128 + 8, 8);
        std::memcpy(&name_size, reply.data() + at + 128 + 16, 4);
        if (node != 0) {
            const std::array all = {fuse::Forget{.node = fuse::NodeId{node}, .count = 1}};
            auto forgotten = on.fs->forget(*on.context, all);
            static_cast<void>(forgotten.start());
        }
        at += (128 + 24 + name_size + 7) & ~std::size_t{7};
        ++count;
    }
    return count;
}

void readdirplus_10k(benchmark::State& state) {
    Share& on = share(state);
    const auto node = on.lookup("dir").node;
    const auto handle = on.answer(on.fs->opendir(*on.context, node, {.flags = 0}))->handle;
    std::vector<std::byte> reply(32 << 10);
    const std::array buffers = {iovec{reply.data(), reply.size()}};
    std::size_t count = 0;
    for (auto _ : state) {
        for (std::uint64_t offset = 0;;) {
            fuse::DirectoryWriter out(IovecCursor(buffers), reply.size(), true);
            auto done = on.answer(on.fs->readdirplus(*on.context, node, handle, offset, out));
            if (!done || out.size() == 0) break;
            count += forget_listed(on, std::span(reply).first(out.size()), offset);
        }
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(count));
}

void readdir_10k(benchmark::State& state) {
    Share& on = share(state);
    const auto node = on.lookup("dir").node;
    const auto handle = on.answer(on.fs->opendir(*on.context, node, {.flags = 0}))->handle;
    std::vector<std::byte> reply(32 << 10);
    const std::array buffers = {iovec{reply.data(), reply.size()}};
    for (auto _ : state) {
        for (std::uint64_t offset = 0;;) {
            fuse::DirectoryWriter out(IovecCursor(buffers), reply.size(), false);
            auto done = on.answer(on.fs->readdir(*on.context, node, handle, offset, out));
            if (!done || out.size() == 0) break;
            for (std::size_t at = 0; at < out.size();) {
                std::uint32_t name_size = 0;
                std::memcpy(&offset, reply.data() + at + 8, 8);
                std::memcpy(&name_size, reply.data() + at + 16, 4);
                at += (24 + name_size + 7) & ~std::size_t{7};
            }
        }
    }
    state.SetItemsProcessed(state.iterations() * entry_count);
}

BENCHMARK(lookup)->Arg(0)->Arg(1);
BENCHMARK(lookup_floor)->Arg(0)->Arg(1);
BENCHMARK(getattr)->Arg(0)->Arg(1);
BENCHMARK(getattr_floor)->Arg(0)->Arg(1);
BENCHMARK(read_4k)->Arg(0)->Arg(1);
BENCHMARK(read_4k_floor)->Arg(0)->Arg(1);
BENCHMARK(write_4k)->Arg(0)->Arg(1);
BENCHMARK(write_4k_floor)->Arg(0)->Arg(1);
BENCHMARK(open_release)->Arg(0);
BENCHMARK(create_unlink)->Arg(0);
BENCHMARK(readdirplus_10k)->Arg(0);
BENCHMARK(readdir_10k)->Arg(0);

}  // namespace
}  // namespace dpfs::mirror
