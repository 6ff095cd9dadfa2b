// SPDX-License-Identifier: Apache-2.0
// Listings by fs/mirror, beside the system calls that they cannot do without, and what a
// million listed inodes take: bytes and descriptors of this process.
#include "fuse/directory_writer.hpp"
#include "mirror_share.hpp"

#include <cstdio>
#include <cstring>
#include <span>
#include <sys/syscall.h>
#include <unistd.h>

namespace dpfs::mirror {
namespace {

using fuse::root_node;

constexpr std::size_t reply_size = 32 << 10;
constexpr std::size_t kernel_buffer_size = 64 << 10;  // as DirectoryStream's

/// struct fuse_dirent (linux/fuse.h), and fuse_entry_out before it with READDIRPLUS.
struct Listed {
    std::uint64_t node = 0;
    std::uint64_t offset = 0;
    std::size_t size = 0;
};

Listed listed_at(const std::byte* record, bool plus) {
    const std::size_t dirent = plus ? 128 : 0;
    Listed listed;
    std::uint32_t name_size = 0;
    if (plus) std::memcpy(&listed.node, record, 8);
    std::memcpy(&listed.offset, record + dirent + 8, 8);
    std::memcpy(&name_size, record + dirent + 16, 4);
    listed.size = (dirent + 24 + name_size + 7) & ~std::size_t{7};
    return listed;
}

/// Lists all of `node`; tells `each` what it met. Returns the number of entries.
template <class Each>
std::size_t list(Share& on, fuse::NodeId node, bool plus, Each each) {
    const auto handle = on.answer(on.fs->opendir(*on.context, node, {.flags = 0}))->handle;
    std::vector<std::byte> reply(reply_size);
    const std::array buffers = {iovec{reply.data(), reply.size()}};
    std::size_t count = 0;
    for (std::uint64_t offset = 0;;) {
        fuse::DirectoryWriter out(IovecCursor(buffers), reply.size(), plus);
        auto listing = plus ? on.fs->readdirplus(*on.context, node, handle, offset, out)
                            : on.fs->readdir(*on.context, node, handle, offset, out);
        const auto done = on.answer(std::move(listing));
        if (!done || out.size() == 0) break;
        for (std::size_t at = 0; at < out.size(); ++count) {
            const Listed listed = listed_at(reply.data() + at, plus);
            offset = listed.offset;
            at += listed.size;
            each(listed);
        }
    }
    static_cast<void>(on.answer(on.fs->releasedir(*on.context, node, handle)));
    return count;
}

void forget(Share& on, std::uint64_t node) {
    if (node == 0) return;
    const std::array all = {fuse::Forget{.node = fuse::NodeId{node}, .count = 1}};
    auto forgotten = on.fs->forget(*on.context, all);
    static_cast<void>(forgotten.start());
}

void readdir_10k(benchmark::State& state) {
    Share& on = share(state);
    const auto node = on.lookup("dir").node;
    std::size_t count = 0;
    for (auto _ : state) count += list(on, node, false, [](const Listed&) {});
    state.SetItemsProcessed(static_cast<std::int64_t>(count));
}

void readdirplus_10k(benchmark::State& state) {
    Share& on = share(state);
    const auto node = on.lookup("dir").node;
    std::size_t count = 0;
    for (auto _ : state) {
        count += list(on, node, true, [&](const Listed& one) { forget(on, one.node); });
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(count));
}

/// getdents64(2), and if `asks` a statx(2) of each entry.
void floor_of_listing(benchmark::State& state, bool asks) {
    const Share& on = share(state);
    const UniqueFd dir(::open((on.path + "/dir").c_str(), O_RDONLY | O_DIRECTORY));
    std::vector<char> buffer(kernel_buffer_size);
    struct statx found = {};
    std::int64_t count = 0;
    for (auto _ : state) {
        ::lseek(dir.get(), 0, SEEK_SET);
        while (true) {
            const long size =
                ::syscall(SYS_getdents64, dir.get(), buffer.data(), buffer.size());
            if (size <= 0) break;
            for (long at = 0; at < size; ++count) {
                const char* const record = buffer.data() + at;
                std::uint16_t record_size = 0;
                std::memcpy(&record_size, record + 16, 2);
                at += record_size;
                if (asks) {
                    ::statx(dir.get(), record + 19, AT_SYMLINK_NOFOLLOW, statx_mask, &found);
                }
            }
        }
    }
    state.SetItemsProcessed(count);
}

void readdir_10k_floor(benchmark::State& state) {
    floor_of_listing(state, false);
}

void readdirplus_10k_floor(benchmark::State& state) {
    floor_of_listing(state, true);
}

double resident_bytes() {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> statm(
        std::fopen("/proc/self/statm", "r"), &std::fclose);
    long total = 0;
    long resident = 0;
    if (!statm || std::fscanf(statm.get(), "%ld %ld", &total, &resident) != 2) std::abort();
    return static_cast<double>(resident * ::sysconf(_SC_PAGESIZE));
}

double open_descriptors() {
    using Entries = std::filesystem::directory_iterator;
    return static_cast<double>(std::distance(Entries("/proc/self/fd"), Entries()));
}

/// Knows a million inodes at once, by READDIRPLUS; then uses each of them.
void a_million_inodes(benchmark::State& state) {
    constexpr int count = 1'000'000;
    Share on(false, count);
    const auto node = on.lookup("dir").node;
    std::vector<fuse::NodeId> nodes;
    nodes.reserve(count);
    for (auto _ : state) {
        const double before = resident_bytes();
        list(on, node, true, [&](const Listed& one) {
            if (one.node != 0) nodes.push_back(fuse::NodeId{one.node});
        });
        const double own = static_cast<double>(nodes.size() * sizeof(fuse::NodeId));
        state.counters["bytes_each"] = (resident_bytes() - before - own) / count;
        for (const fuse::NodeId one : nodes) {
            if (!on.answer(on.fs->getattr(*on.context, one, std::nullopt))) std::abort();
        }
        state.counters["bytes_each_used"] = (resident_bytes() - before - own) / count;
        state.counters["descriptors"] = open_descriptors();
    }
}

BENCHMARK(readdir_10k)->Arg(0);
BENCHMARK(readdir_10k_floor)->Arg(0);
BENCHMARK(readdirplus_10k)->Arg(0);
BENCHMARK(readdirplus_10k_floor)->Arg(0);
BENCHMARK(a_million_inodes)->Iterations(1)->Unit(benchmark::kSecond);

}  // namespace
}  // namespace dpfs::mirror
