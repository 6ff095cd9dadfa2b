// SPDX-License-Identifier: Apache-2.0
// nfs_client HOST PORT DIRECTORY [KEY=VALUE…]: what the back end does without a device in front
// of it, so with a CPU to itself (bench/nfs). Prints one JSON object.
#include "bench/clock.hpp"
#include "bench/histogram.hpp"
#include "bench/random.hpp"
#include "fs/nfs/nfs_fs.hpp"
#include "reactor/blocking_pool.hpp"
#include "reactor/make_reactor.hpp"
#include "reactor/run_to_completion.hpp"

#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <string_view>
#include <sys/resource.h>
#include <vector>

namespace dpfs::nfs {
namespace {

struct Options {
    std::string host, port, directory;
    std::string work = "randread";
    std::uint32_t depth = 1;
    std::uint32_t block_size = 4096;
    std::int64_t time_ms = 600;
    bool spins = false;
    std::string ca_file = {};  // of the server's certificate; empty: without TLS
    std::string server_name = {};
};

[[noreturn]] void give_up(std::string_view what) {
    std::fprintf(stderr, "nfs_client: %.*s\n", static_cast<int>(what.size()), what.data());
    std::exit(1);
}

/// `depth` chains of operations on one file, through the FileSystem interface.
class Load {
  public:
    Load(NfsFs& fs, reactor::Reactor& reactor, Options options)
        : fs_(fs),
          options_(std::move(options)),
          context_{.reactor = reactor, .cancel = cancel_, .caller = {}} {}

    Task<void> run() {
        const auto started = co_await fs_.start(context_.reactor);
        if (!started) give_up("no session");
        const auto name = *fuse::Name::check("data");
        const auto found = co_await fs_.lookup(context_, fuse::root_node, name);
        if (!found) give_up("there is no file");
        node_ = found->node;
        file_size_ = found->attributes.size;
        const fuse::OpenRequest open{.flags = O_RDWR};
        const auto opened = co_await fs_.open(context_, node_, open);
        if (!opened) give_up("the file cannot be opened");
        handle_ = opened->handle;
        co_await measure();
        const fuse::ReleaseRequest release{
            .flags = 0, .posix_owner = std::nullopt, .flock_unlock = false};
        const auto released = co_await fs_.release(context_, node_, handle_, release);
        static_cast<void>(released);
        co_await fs_.stop(context_.reactor);
    }

    void print() const {
        const auto count = static_cast<double>(done_count_);
        const auto us = [](auto ns) { return static_cast<double>(ns) / 1000; };
        std::printf(
            "{\"operations_per_s\": %.1f, \"p50_us\": %.2f, \"p99_us\": %.2f, "
            "\"user_us\": %.3f, \"system_us\": %.3f}\n",
            count * 1e9 / static_cast<double>(wall_ns_),
            us(latencies_.percentile(0.5)),
            us(latencies_.percentile(0.99)),
            us(user_ns_) / count,
            us(system_ns_) / count);
    }

  private:
    Task<void> measure() {
        rusage before = {};
        ::getrusage(RUSAGE_SELF, &before);
        const std::int64_t begin_ns = bench::now_ns();
        end_ns_ = begin_ns + options_.time_ms * 1'000'000;
        Gate chains;
        for (std::uint32_t i = 0; i < options_.depth; ++i) chains.spawn(chain());
        co_await chains.close();
        rusage after = {};
        ::getrusage(RUSAGE_SELF, &after);
        const auto ns_of = [](const timeval& time) {
            return (time.tv_sec * 1'000'000 + time.tv_usec) * 1000;
        };
        wall_ns_ = bench::now_ns() - begin_ns;
        user_ns_ = ns_of(after.ru_utime) - ns_of(before.ru_utime);
        system_ns_ = ns_of(after.ru_stime) - ns_of(before.ru_stime);
    }

    Task<void> chain() {
        std::vector<std::byte> data(options_.block_size, std::byte{'c'});
        for (std::int64_t now_ns = bench::now_ns(); now_ns < end_ns_;) {
            const bool good = co_await operation(data);
            if (!good) give_up("an operation failed");
            const std::int64_t then_ns = bench::now_ns();
            latencies_.add(static_cast<std::uint64_t>(then_ns - now_ns));
            ++done_count_;
            now_ns = then_ns;
        }
    }

    Task<bool> operation(std::span<std::byte> data) {
        if (options_.work == "getattr") {
            const auto found = co_await fs_.getattr(context_, node_, std::nullopt);
            co_return found.has_value();
        }
        const std::array buffers = {iovec{.iov_base = data.data(), .iov_len = data.size()}};
        const auto size = static_cast<std::uint32_t>(data.size());
        if (options_.work.ends_with("read")) {
            const fuse::ReadRequest request{.offset = next_offset(), .size = size, .flags = 0};
            const auto read = co_await fs_.read(context_, node_, handle_, request, buffers);
            co_return read == size;
        }
        const fuse::WriteRequest request{.offset = next_offset(),
                                         .size = size,
                                         .flags = 0,
                                         .from_page_cache = false,
                                         .kill_suid_gid = false};
        const auto written = co_await fs_.write(context_, node_, handle_, request, buffers);
        co_return written == size;
    }

    std::uint64_t next_offset() {
        const std::uint64_t count = file_size_ / options_.block_size;
        const bool is_sequential = options_.work.starts_with("seq");
        return (is_sequential ? position_++ % count : random_.below(count)) *
               options_.block_size;
    }

    NfsFs& fs_;
    const Options options_;
    reactor::CancelSource cancel_;
    fuse::Context context_;
    fuse::NodeId node_ = {};
    fuse::FileHandle handle_ = {};
    std::uint64_t file_size_ = 0, position_ = 0;
    bench::Random random_{1};
    std::int64_t end_ns_ = 0, wall_ns_ = 0, user_ns_ = 0, system_ns_ = 0;
    std::uint64_t done_count_ = 0;
    bench::Histogram latencies_;
};

void set(std::string_view argument, Options& options) {
    const std::size_t equals = std::min(argument.find('='), argument.size() - 1);
    const std::string_view key = argument.substr(0, equals);
    const std::string value(argument.substr(equals + 1));
    const auto number = static_cast<std::uint32_t>(std::atoll(value.c_str()));
    if (key == "work") {
        options.work = value;
    } else if (key == "depth") {
        options.depth = number;
    } else if (key == "block_size") {
        options.block_size = number;
    } else if (key == "ms") {
        options.time_ms = number;
    } else if (key == "spin") {
        options.spins = number != 0;
    } else if (key == "ca") {
        options.ca_file = value;
    } else if (key == "name") {
        options.server_name = value;
    } else {
        give_up("what is '" + std::string(argument) + "'?");
    }
}

void run(const Options& options) {
    const auto sink = make_stderr_sink(LogLevel::error);
    const Logger log(*sink, "nfs_client");
    reactor::BlockingPool pool{{}};
    reactor::ReactorOptions reactor_options;
    reactor_options.uring.loop.policy.mode =
        options.spins ? reactor::PollMode::busy : reactor::PollMode::interrupt;
    const auto reactor = reactor::make_reactor(reactor_options, pool, log);
    if (!reactor) give_up("no reactor");
    NfsOptions nfs;
    nfs.client.servers = {options.host + ":" + options.port};
    nfs.export_path = options.directory;
    if (!options.ca_file.empty()) {
        nfs.client.tls = {.mode = rpc::TlsMode::on,
                          .ca_file = options.ca_file,
                          .server_name = options.server_name};
    }
    const auto fs = NfsFs::make(nfs, {reactor->get()}, log);
    if (!fs) give_up(fs.error());
    Load load(**fs, **reactor, options);
    reactor::run_to_completion(**reactor, load.run());
    load.print();
}

}  // namespace
}  // namespace dpfs::nfs

int main(int count, char** arguments) {
    using namespace dpfs::nfs;
    if (count < 4) give_up("nfs_client HOST PORT DIRECTORY [KEY=VALUE…]");
    Options options{.host = arguments[1], .port = arguments[2], .directory = arguments[3]};
    for (int i = 4; i < count; ++i) set(arguments[i], options);
    run(options);
}
