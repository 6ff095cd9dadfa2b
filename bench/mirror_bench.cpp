// SPDX-License-Identifier: Apache-2.0
// What fs/mirror costs on top of the system calls it makes: operations through the FileSystem
// interface that are answered in place, warm, on a memory file system (argument 0) and on the
// disk's (1). Beside each, the system call that it cannot do without.
#include "mirror_share.hpp"

#include <vector>

namespace dpfs::mirror {
namespace {

using fuse::root_node;

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
        offset = (offset + 1'234'567 * 4096ULL) % Share::file_size;
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
        offset = (offset + 1'234'567 * 4096ULL) % Share::file_size;
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
        offset = (offset + 1'234'567 * 4096ULL) % Share::file_size;
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
        offset = (offset + 1'234'567 * 4096ULL) % Share::file_size;
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

}  // namespace
}  // namespace dpfs::mirror
