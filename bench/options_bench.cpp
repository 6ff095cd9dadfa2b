// SPDX-License-Identifier: Apache-2.0
// What the options of the local back ends are worth: the same operations through MirrorFs with
// one option changed at a time. CPU time is what to compare: it is the reactor thread's, which
// sleeps while it waits. For ratios that hold, let the variants take turns:
//
//   options_bench --benchmark_enable_random_interleaving --benchmark_repetitions=9
//
// DPFS_BENCH_DIR is the directory to work in (/tmp).
#include "base/gate.hpp"
#include "fs/mirror/mirror_fs.hpp"
#include "reactor/make_reactor.hpp"
#include "reactor/pinned_memory.hpp"
#include "reactor/run_to_completion.hpp"

#include <benchmark/benchmark.h>

#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <sys/mman.h>
#include <vector>

namespace dpfs::mirror {
namespace {

using fuse::root_node;

constexpr std::size_t file_size = 256 << 20;
constexpr std::size_t memory_size = 64 << 20;
constexpr std::size_t page_size = 4096;

struct Variant {
    const char* name;
    bool fixed_files = false;
    bool fixed_buffers = false;
    bool submission_thread = false;
    DataPath data_path = DataPath::automatic;
    bool async_getattr = false;
    bool async_fsync = true;
};

constexpr Variant base = {.name = "base"};
constexpr Variant files = {.name = "fixed_files", .fixed_files = true};
constexpr Variant buffers = {.name = "fixed_buffers", .fixed_buffers = true};
constexpr Variant both = {.name = "both", .fixed_files = true, .fixed_buffers = true};
constexpr Variant sqpoll = {.name = "sqpoll", .submission_thread = true};
constexpr Variant async_path = {.name = "async", .data_path = DataPath::async};
constexpr Variant in_place = {.name = "in_place", .data_path = DataPath::in_place};
constexpr Variant async_getattr = {.name = "async_getattr", .async_getattr = true};
constexpr Variant sync_fsync = {.name = "fsync_in_place", .async_fsync = false};

class SilentLog final : public LogSink {
  public:
    void write(LogLevel, std::string_view, std::string_view) override {}
    bool enabled(LogLevel) const override { return false; }
};

std::string share_path() {
    const char* const chosen = std::getenv("DPFS_BENCH_DIR");
    return std::string(chosen != nullptr ? chosen : "/tmp") + "/dpfs-options-bench";
}

/// The directory with its one file, for all variants.
class Directory {
  public:
    Directory() {
        std::filesystem::create_directory(share_path());
        const UniqueFd fd(::open((share_path() + "/file").c_str(), O_CREAT | O_WRONLY, 0644));
        std::vector<char> some(1 << 20, 'x');
        for (std::size_t at = 0; at < file_size; at += some.size()) {
            some[at % 4096] = static_cast<char>(at >> 20);
            if (::write(fd.get(), some.data(), some.size()) < 0) std::abort();
        }
        ::fsync(fd.get());
    }
    ~Directory() { std::filesystem::remove_all(share_path()); }
};

std::shared_ptr<std::byte> map_memory() {
    void* const at = ::mmap(nullptr,
                            memory_size,
                            PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE,
                            -1,
                            0);
    if (at == MAP_FAILED) std::abort();
    return {static_cast<std::byte*>(at),
            [](std::byte* bytes) { ::munmap(bytes, memory_size); }};
}

/// One variant: a reactor, the file system, and memory as a guest's.
class Server {
  public:
    Server(const Variant& variant, std::uint32_t open_flags) : memory_(map_memory()) {
        static const Directory directory;
        static_cast<void>(reactor::prepare_thread_credentials());
        reactor::ReactorOptions options;
        options.kind = reactor::ReactorKind::uring;
        options.uring.loop.policy.mode = reactor::PollMode::interrupt;
        options.uring.submission_thread = variant.submission_thread;
        options.uring.file_count_max = variant.fixed_files ? 64 : 0;
        reactor_ = std::move(*reactor::make_reactor(options, pool_, Logger(log_, "")));
        MirrorOptions mirror;
        mirror.directory = share_path();
        mirror.data_path = variant.data_path;
        mirror.async_getattr = variant.async_getattr;
        mirror.async_fsync = variant.async_fsync;
        fs_ = std::move(*MirrorFs::make(mirror, Logger(log_, "")));
        context_ = std::make_unique<fuse::Context>(
            fuse::Context{.reactor = *reactor_, .cancel = cancel_, .caller = {}});
        if (variant.fixed_buffers) {
            auto pinned = reactor::PinnedMemory::make(memory_, memory_size);
            if (!pinned || !reactor_->use_buffers(*pinned)) std::abort();
        }
        node = run(fs_->lookup(*context_, root_node, *fuse::Name::check("file")))->node;
        handle = run(fs_->open(*context_, node, {.flags = open_flags}))->handle;
    }
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server() {
        run(fs_->destroy(*reactor_));
        static_cast<void>(reactor::act_as(nullptr));
    }

    template <class T>
    T run(Task<T> task) {
        return reactor::run_to_completion(*reactor_, std::move(task));
    }
    [[nodiscard]] MirrorFs& fs() { return *fs_; }
    [[nodiscard]] fuse::Context& context() { return *context_; }
    /// `count` pages from place `index` on, none beside its neighbour in the list.
    [[nodiscard]] std::vector<iovec> pages(std::size_t index, std::size_t count) const {
        std::vector<iovec> all;
        for (std::size_t i = count; i-- > 0;) {
            const std::size_t page = (index * count + i) % (memory_size / page_size);
            all.push_back({memory_.get() + page * page_size, page_size});
        }
        return all;
    }

    fuse::NodeId node = {};
    fuse::FileHandle handle = {};

  private:
    SilentLog log_;
    std::shared_ptr<std::byte> memory_;
    reactor::BlockingPool pool_;
    std::unique_ptr<reactor::EventLoop> reactor_;
    std::unique_ptr<MirrorFs> fs_;
    reactor::CancelSource cancel_;
    std::unique_ptr<fuse::Context> context_;
};

struct Load {
    std::size_t depth = 32;
    std::size_t size = page_size;
    bool writes = false;
};

Task<void> transfer(Server& server, Load load, std::uint64_t offset, std::vector<iovec> data) {
    const auto size = static_cast<std::uint32_t>(load.size);
    Result<std::size_t> done;
    if (load.writes) {
        const fuse::WriteRequest request = {.offset = offset,
                                            .size = size,
                                            .flags = 0,
                                            .from_page_cache = false,
                                            .kill_suid_gid = true};
        done = co_await server.fs().write(
            server.context(), server.node, server.handle, request, data);
    } else {
        const fuse::ReadRequest request = {.offset = offset, .size = size, .flags = 0};
        done = co_await server.fs().read(
            server.context(), server.node, server.handle, request, data);
    }
    if (!done || *done != load.size) std::abort();
}

Task<void> transfers(Server& server, Load load, benchmark::State& state) {
    std::uint64_t block = 1;
    Gate gate;
    for (auto _ : state) {
        for (std::size_t i = 0; i < load.depth; ++i) {
            block = (block * 2'654'435'761 + 12'345) % (file_size / load.size);
            auto data = server.pages(i, load.size / page_size);
            gate.spawn(transfer(server, load, block * load.size, std::move(data)));
        }
        co_await gate.close();
        gate.reopen();
    }
    state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(load.depth));
}

void transfer_bench(benchmark::State& state, Variant variant, std::uint32_t flags, Load load) {
    Server server(variant, O_RDWR | flags);
    server.run(transfers(server, load, state));
}

Task<void> getattrs(Server& server, benchmark::State& state) {
    for (auto _ : state) {
        const auto found =
            co_await server.fs().getattr(server.context(), server.node, std::nullopt);
        benchmark::DoNotOptimize(found);
    }
}

void getattr_bench(benchmark::State& state, Variant variant) {
    Server server(variant, O_RDONLY);
    server.run(getattrs(server, state));
}

/// Of a file in which a page was written before.
Task<void> fsyncs(Server& server, benchmark::State& state) {
    for (auto _ : state) {
        auto data = server.pages(0, 1);
        co_await transfer(server, {.writes = true}, 0, std::move(data));
        const auto done =
            co_await server.fs().fsync(server.context(), server.node, server.handle, false);
        benchmark::DoNotOptimize(done);
    }
}

void fsync_bench(benchmark::State& state, Variant variant) {
    Server server(variant, O_RDWR);
    server.run(fsyncs(server, state));
}

void add(const std::string& name, std::span<const Variant> variants, auto bench, auto... more) {
    for (const Variant& variant : variants) {
        benchmark::RegisterBenchmark(
            (name + "/" + variant.name).c_str(), bench, variant, more...);
    }
}

void add_all() {
    constexpr std::array registrations = {base, files, buffers, both, sqpoll};
    constexpr std::array paths = {base, async_path, in_place};
    constexpr std::array attributes = {base, async_getattr};
    constexpr std::array syncs = {base, sync_fsync};
    constexpr Load small = {};
    constexpr Load small_write = {.writes = true};
    constexpr Load large = {.depth = 4, .size = 1 << 20};
    add("read_4k_direct", registrations, transfer_bench, O_DIRECT, small);
    add("read_1m_direct", registrations, transfer_bench, O_DIRECT, large);
    add("read_4k_cached", paths, transfer_bench, 0, small);
    add("write_4k_cached", paths, transfer_bench, 0, small_write);
    add("read_1m_cached", paths, transfer_bench, 0, large);
    add("getattr", attributes, getattr_bench);
    add("fsync", syncs, fsync_bench);
}

const bool added = (add_all(), true);

}  // namespace
}  // namespace dpfs::mirror
