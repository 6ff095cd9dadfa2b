// SPDX-License-Identifier: Apache-2.0
// What session and dispatcher cost a request, without any transport: requests as Linux lays
// them out, on fs/null, answered in place. The floor of a READ is the copy of its data.
#include "fs/null/null_fs.hpp"
#include "fuse/session.hpp"
#include "fuse/wire_file.hpp"
#include "fuse/wire_inode.hpp"
#include "reactor/sim_world.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <vector>

namespace dpfs {
namespace {

using fuse::wire::Opcode;

class SilentLog final : public LogSink {
  public:
    void write(LogLevel, std::string_view, std::string_view) override {}
    bool enabled(LogLevel) const override { return false; }
};

class Queue final : public hal::Queue {
  public:
    using hal::Queue::Queue;
    std::uint32_t written = 0;

  private:
    void complete(hal::Request&, std::uint32_t size) noexcept override { written = size; }
};

/// One request in memory, used again and again.
struct Prepared {
    std::vector<std::byte> header = std::vector<std::byte>(sizeof(fuse::wire::InHeader));
    std::vector<std::byte> arguments;
    std::vector<std::byte> data;  // in pages, as descriptors are
    std::vector<std::byte> out_header = std::vector<std::byte>(sizeof(fuse::wire::OutHeader));
    std::vector<iovec> readable;
    std::vector<iovec> writable;
    hal::Request request;

    template <class... Structs>
    void set(Opcode opcode, std::size_t more, const Structs&... structs) {
        (append(&structs, sizeof(structs)), ...);
        fuse::wire::InHeader in{};
        in.len = static_cast<std::uint32_t>(sizeof(in) + arguments.size() + more);
        in.opcode = static_cast<std::uint32_t>(opcode);
        in.nodeid = 1;
        std::memcpy(header.data(), &in, sizeof(in));
        readable = {{header.data(), header.size()}};
        if (!arguments.empty()) readable.push_back({arguments.data(), arguments.size()});
        writable = {{out_header.data(), out_header.size()}};
    }
    void append(const void* from, std::size_t size) {
        const auto* bytes = static_cast<const std::byte*>(from);
        arguments.insert(arguments.end(), bytes, bytes + size);
    }
    void add_pages(std::vector<iovec>& to, std::size_t size) {
        data.resize(size);
        for (std::size_t at = 0; at < size; at += 4096) {
            to.push_back({data.data() + at, std::min<std::size_t>(4096, size - at)});
        }
    }
};

class Mounted {
  public:
    Mounted() : reactor_(world_.add_reactor()), queue(reactor_, 1, false) {
        fuse::SessionOptions options;
        options.reactors = {&reactor_};
        session = std::make_unique<fuse::Session>(files_, options, Logger(log_, ""));
        Prepared init;
        fuse::wire::InitIn in{};
        in.major = 7;
        in.minor = 41;
        in.flags = static_cast<std::uint32_t>(fuse::wire::init::max_pages);
        init.set(Opcode::init, 0, in);
        init.add_pages(init.writable, 64);
        world_.run(reactor_, start(init));
    }
    ~Mounted() { world_.run(reactor_, stop()); }

    void handle(Prepared& prepared) {
        prepared.request.readable = prepared.readable;
        prepared.request.writable = prepared.writable;
        prepared.request.queue = &queue;
        session->handle(hal::RequestHandle(prepared.request));
    }

  private:
    Task<bool> start(Prepared& init) {
        handle(init);
        co_return true;
    }
    Task<bool> stop() {
        co_await session->reset();
        co_return true;
    }

    reactor::SimWorld world_{1};
    reactor::Reactor& reactor_;
    fs::NullFs files_;
    SilentLog log_;

  public:
    Queue queue;
    std::unique_ptr<fuse::Session> session;
};

void run(benchmark::State& state, Prepared& prepared, std::uint32_t reply_size) {
    Mounted mounted;
    for (auto _ : state) mounted.handle(prepared);
    if (mounted.queue.written != reply_size) state.SkipWithError("not answered as expected");
}

void read(benchmark::State& state) {
    const auto size = static_cast<std::uint32_t>(state.range(0));
    fuse::wire::ReadIn in{};
    in.size = size;
    Prepared prepared;
    prepared.set(Opcode::read, 0, in);
    prepared.add_pages(prepared.writable, size);
    run(state, prepared, 16 + size);
}
BENCHMARK(read)->Arg(0)->Arg(4096)->Arg(131072)->Arg(1 << 20);

void write(benchmark::State& state) {
    const auto size = static_cast<std::uint32_t>(state.range(0));
    fuse::wire::WriteIn in{};
    in.size = size;
    Prepared prepared;
    prepared.set(Opcode::write, size, in);
    prepared.add_pages(prepared.readable, size);
    std::vector<std::byte> out(8);
    prepared.writable.push_back({out.data(), out.size()});
    run(state, prepared, 24);
}
BENCHMARK(write)->Arg(4096)->Arg(1 << 20);

void getattr(benchmark::State& state) {
    Prepared prepared;
    prepared.set(Opcode::getattr, 0, fuse::wire::GetattrIn{});
    prepared.add_pages(prepared.writable, sizeof(fuse::wire::AttrOut));
    run(state, prepared, 120);
}
BENCHMARK(getattr);

void lookup(benchmark::State& state) {
    Prepared prepared;
    prepared.set(Opcode::lookup, 0, std::array<char, 16>{"some-file-name"});
    prepared.readable[1].iov_len = 15;
    fuse::wire::InHeader in;
    std::memcpy(&in, prepared.header.data(), sizeof(in));
    in.len = sizeof(in) + 15;
    std::memcpy(prepared.header.data(), &in, sizeof(in));
    prepared.add_pages(prepared.writable, sizeof(fuse::wire::EntryOut));
    run(state, prepared, 144);
}
BENCHMARK(lookup);

/// The floor of a 4 KiB READ.
void copy_page(benchmark::State& state) {
    const std::vector<std::byte> from(65536);
    std::vector<std::byte> to(4096);
    for (auto _ : state) {
        std::memcpy(to.data(), from.data(), to.size());
        benchmark::DoNotOptimize(to.data());
        benchmark::ClobberMemory();
    }
}
BENCHMARK(copy_page);

}  // namespace
}  // namespace dpfs
