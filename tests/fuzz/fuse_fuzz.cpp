// SPDX-License-Identifier: Apache-2.0
// Whatever a tenant asks for, in whatever order and descriptors: each request is completed
// once, with a reply that is one for its opcode; what the tenant was told of (references,
// handles, bytes) is what the file system has; with its mount all of it ends, and it can mount
// again. The file system (model_fs.hpp) demands what it was promised: names, sizes, order.
//
// Input, from its front: steps of {opcode or what else, flags, arguments}; flags: bit 0 the
// second reactor, 1 the file system takes its time, 2 the request is left under way, 3 it is
// spoilt, 4 the reply has little room, 5 memory is cut at will. fuse_script.hpp says how
// requests are made of bytes.
#include "fuse/session.hpp"
#include "fuse/wire_file.hpp"
#include "fuse_replies.hpp"
#include "fuse_script.hpp"
#include "model_fs.hpp"
#include "reactor/sim_world.hpp"
#include "require.hpp"
#include "session_fixture.hpp"

#include <algorithm>
#include <cstring>
#include <deque>
#include <memory>
#include <string_view>
#include <vector>

namespace dpfs::fuzz {
namespace {

using fuse::test::Bytes;
using fuse::test::TestRequest;
using fuse::wire::Opcode;

constexpr int step_count_max = 100;
constexpr std::size_t under_way_max = 8;
constexpr std::size_t default_room = 4096;
constexpr Duration patience = seconds(600);  // of virtual time

/// A request under way, and during which mount it was answered.
struct Sent final : TestRequest {
    using TestRequest::TestRequest;
    Bytes bytes;
    std::uint64_t mount = 0;
};

/// Notes the mount of each completion: what a reply tells of ends with it.
class NotingQueue final : public hal::Queue {
  public:
    NotingQueue(reactor::Reactor& reactor, std::uint16_t index, const ModelFileSystem& files)
        : Queue(reactor, index, index == 0), files_(files) {}

  private:
    void complete(hal::Request& request, std::uint32_t written) noexcept override {
        require(reactor().on_own_thread());
        auto& sent = static_cast<Sent&>(request);
        sent.mount = files_.ended_count();
        sent.completed(written);
    }

    const ModelFileSystem& files_;
};

class FuseFuzz {
  public:
    explicit FuseFuzz(ScriptReader& input) : input_(input), script_(input, holding_) {
        for (std::uint16_t i = 0; i < 2; ++i) {
            reactors_.push_back(&world_.add_reactor());
            queues_.push_back(std::make_unique<NotingQueue>(*reactors_[i], i, files_));
        }
        fuse::SessionOptions options;
        options.reactors = reactors_;
        session_ = std::make_unique<fuse::Session>(files_, options, Logger(log_, "test"));
    }

    void run() {
        mount();
        for (int i = 0; i < step_count_max && !input_.at_end(); ++i) step();
        files_.delay = {};
        become_idle();
        unmount();
        mount();
        world_.run(*reactors_[0], reset(*session_));
        require(!files_.mounted());
    }

  private:
    enum Flag : std::uint8_t {
        second = 1,
        slow = 2,
        left = 4,
        spoilt = 8,
        tight = 16,
        cut = 32
    };

    static Task<bool> reset(fuse::Session& session) {
        co_await session.reset();
        co_return true;
    }
    static Task<bool> interrupt(fuse::Session& session) {
        session.interrupt_waits();
        co_return true;
    }
    static Task<bool> deliver(fuse::Session& session, Sent& sent) {
        session.handle(hal::RequestHandle(sent));
        co_return true;
    }
    static Task<bool> completed(reactor::Reactor& reactor, Sent& sent) {
        const Instant end = reactor.now() + patience;
        for (Duration wait = microseconds(50); sent.completions == 0; wait.ns *= 2) {
            require(reactor.now() < end);
            (void)co_await reactor.sleep(wait);
        }
        co_return true;
    }

    void step() {
        constexpr std::uint32_t opcodes = 56;  // two that nobody defines
        const std::uint32_t what = input_.below(opcodes + 4);
        if (what < opcodes) return step_with(what, input_.number());
        switch (what - opcodes) {
            case 0:
                world_.run(*reactors_[input_.below(2)], interrupt(*session_));
                return;
            case 1:
                become_idle();
                world_.run(*reactors_[input_.below(2)], reset(*session_));
                require(!files_.mounted());
                return become_idle();
            case 2:
                return step_with(std::to_underlying(Opcode::init), 0);
            default:
                return become_idle();
        }
    }

    void step_with(std::uint32_t opcode, std::uint8_t flags) {
        const bool forgets =
            Opcode{opcode} == Opcode::forget || Opcode{opcode} == Opcode::batch_forget;
        // What else is under way may bring references before or after.
        if (forgets) become_idle();
        const bool alone = under_way_.empty() && (flags & left) == 0;
        files_.delay = (flags & slow) != 0 ? microseconds(300) : Duration{};
        Bytes bytes = script_.request(opcode, ++last_unique_);
        if ((flags & spoilt) != 0) script_.spoil(bytes);
        send(std::move(bytes), flags);
        if (forgets || (flags & left) == 0 || under_way_.size() == under_way_max) {
            const std::unique_ptr<Sent> last = std::move(under_way_.back());
            under_way_.pop_back();
            settle(*last);
            if (forgets && files_.mounted()) take_note_of_forget(last->bytes, holding_);
            if (alone) check_data({last->bytes, *last});
            if (under_way_.empty()) compare();
        }
    }

    void send(Bytes bytes, std::uint8_t flags) {
        const std::size_t room = (flags & tight) != 0 ? input_.number() : default_room;
        std::vector<std::size_t> readable = {bytes.size()};
        std::vector<std::size_t> writable = {room};
        if ((flags & cut) != 0) {
            readable = script_.parts(bytes.size(), sizeof(fuse::wire::InHeader));
            writable = script_.parts(room, sizeof(fuse::wire::OutHeader));
        }
        const std::size_t queue = (flags & second) != 0 ? 1 : 0;
        under_way_.push_back(
            std::make_unique<Sent>(*queues_[queue], bytes, readable, writable));
        Sent& sent = *under_way_.back();
        sent.bytes = std::move(bytes);
        world_.run(*reactors_[queue], deliver(*session_, sent));
    }

    /// Waits for a request, and learns from its reply.
    void settle(Sent& sent) {
        world_.run(*reactors_[0], completed(*reactors_[0], sent));
        const Exchange exchange = {sent.bytes, sent};
        check_reply(exchange);
        keep_current_mount();
        if (sent.mount == mount_) take_note(exchange, holding_);
    }

    void keep_current_mount() {
        if (mount_ == files_.ended_count()) return;
        mount_ = files_.ended_count();
        holding_ = {};
    }

    void become_idle() {
        while (!under_way_.empty()) {
            const std::unique_ptr<Sent> first = std::move(under_way_.front());
            under_way_.pop_front();
            settle(*first);
        }
        compare();
    }

    /// No request is under way: both sides have the same.
    void compare() {
        keep_current_mount();
        require(holding_.references == files_.references());
        require(holding_.handles == files_.handles());
    }

    /// What was read is what is there; what was written, too.
    void check_data(const Exchange& exchange) const {
        if (!exchange.succeeded() || !files_.mounted()) return;
        const auto header = exchange.header();
        const std::string_view content = files_.content(header.nodeid);
        const auto arguments = std::span(exchange.sent).subspan(sizeof(header));
        const auto in = fuse::test::as<fuse::wire::ReadIn>(arguments);  // or write_in
        const std::size_t offset = std::min<std::size_t>(in.offset, content.size());
        const auto piece = std::as_bytes(std::span(content.substr(offset, in.size)));
        if (exchange.opcode() == Opcode::read) {
            require(std::ranges::equal(piece, exchange.request.payload()));
        }
        if (exchange.opcode() == Opcode::write) {
            const auto out = fuse::test::as<fuse::wire::WriteOut>(exchange.request.payload());
            require(out.size == in.size && piece.size() == in.size);
            require(std::ranges::equal(piece, arguments.subspan(sizeof(in), in.size)));
        }
    }

    void transition(Opcode opcode, const fuse::test::Message& arguments) {
        send(fuse::test::make_request(opcode, arguments), 0);
        const bool mounted = files_.mounted();
        const std::unique_ptr<Sent> sent = std::move(under_way_.back());
        under_way_.pop_back();
        settle(*sent);
        require(Exchange{sent->bytes, *sent}.succeeded() ||
                (opcode == Opcode::destroy && !mounted));
    }
    void mount() {
        transition(Opcode::init, fuse::test::Message().add(fuse::test::linux_init()));
        require(files_.mounted());
    }
    void unmount() {
        transition(Opcode::destroy, {});
        require(!files_.mounted());
        compare();
    }

    ScriptReader& input_;
    Holding holding_;
    std::uint64_t mount_ = 0;
    FuseScript script_;
    reactor::SimWorld world_{1};
    std::vector<reactor::Reactor*> reactors_;
    ModelFileSystem files_;
    fuse::test::SilentLog log_;
    std::unique_ptr<fuse::Session> session_;
    std::vector<std::unique_ptr<NotingQueue>> queues_;
    std::deque<std::unique_ptr<Sent>> under_way_;
    std::uint64_t last_unique_ = 0;
};

}  // namespace
}  // namespace dpfs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace dpfs::fuzz;
    ScriptReader input({data, size});
    FuseFuzz(input).run();
    return 0;
}
