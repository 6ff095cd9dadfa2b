// SPDX-License-Identifier: Apache-2.0
// Whatever a server sends, in answer or by itself, wherever it stops: each request ends, no
// byte is put outside of the room that it has, and the client can be stopped.
//
// Method: the real client, with its connection, on a simulated reactor; a server that makes a
// session and then does what the script says (hostile_nfs_server.hpp). A wait that would never
// end is found at once, because time is virtual.
//
// Input, from its front: 4 bytes of what is wrong while the session is made, then requests,
// each with what the server answers.
#include "hostile_nfs_server.hpp"
#include "net/nfs4/client.hpp"
#include "net/nfs4/copy.hpp"
#include "net/nfs4/locations.hpp"
#include "net/nfs4/read_plus.hpp"
#include "net/nfs4/xattr.hpp"
#include "require.hpp"

#include <algorithm>
#include <array>
#include <memory>

namespace dpfs::fuzz {
namespace {

using nfs4::Attribute;
using nfs4::Op;
using nfs4::Request;

constexpr int request_count_max = 40;
constexpr std::size_t room_size = 1 << 16;
constexpr nfs4::AttributeSet some_attributes = {Attribute::type,
                                                Attribute::change,
                                                Attribute::size,
                                                Attribute::fsid,
                                                Attribute::fileid,
                                                Attribute::mode,
                                                Attribute::link_count,
                                                Attribute::owner,
                                                Attribute::rawdev,
                                                Attribute::time_modify};

class SilentSink final : public LogSink {
  public:
    void write(LogLevel, std::string_view, std::string_view) override {}
    [[nodiscard]] bool enabled(LogLevel) const override { return true; }
};

/// Holds nothing, and reads all that it is told.
class Holder final : public nfs4::StateHolder {
  public:
    Task<Result<void>> reclaim(nfs4::Lane&) override { return Task<Result<void>>::ready({}); }
    void states_revoked() override {}
    void file_systems_moved() override {}
    void lock_may_be_free(const nfs4::FileHandle& handle) override { read(handle); }
    nfs4::Status recall(const nfs4::FileHandle& handle, const nfs4::StateId&) override {
        read(handle);
        return nfs4::Status::bad_stateid;
    }
    void recall_any(std::uint64_t) override {}
    void copy_ended(const nfs4::CopyOutcome& outcome) override { read(outcome.handle); }

  private:
    static void read(const nfs4::FileHandle& handle) {
        require(handle.bytes().size() <= nfs4::file_handle_size_max);
    }
};

/// Where data go, with a mark behind each piece that nothing may write over.
class Room {
  public:
    Room() : bytes_(room_size + 2, mark) {
        const std::size_t first = room_size / 3;
        pieces_ = {{{.iov_base = bytes_.data(), .iov_len = first},
                    {.iov_base = bytes_.data() + first + 1, .iov_len = room_size - first}}};
    }
    [[nodiscard]] std::span<const iovec> pieces() const { return pieces_; }
    void check(std::size_t taken) const {
        require(taken <= room_size);
        require(bytes_[room_size / 3] == mark);
        require(bytes_.back() == mark);
    }

  private:
    static constexpr std::byte mark{0x5a};
    std::vector<std::byte> bytes_;
    std::array<iovec, 2> pieces_ = {};
};

/// One kind of request: what is asked, and how its results are read.
struct Kind {
    std::vector<Op> operations;
    void (*put)(Request& request, const Room& room);
    void (*take)(Request& request, const Room& room);
};

void take_listing(Request& request, const Room&) {
    if (!request.take(Op::readdir)) return;
    rpc::XdrReader& in = request.reader();
    static_cast<void>(nfs4::take_verifier(in));
    while (in.ok() && in.boolean()) {
        in.u64();
        in.string(nfs4::opaque_max);
        static_cast<void>(nfs4::parse_owner(nfs4::take_attributes(in, some_attributes).owner));
    }
}

const std::array<Kind, 9> kinds = {
    Kind{{Op::getattr},
         [](Request& request, const Room&) { request.put_getattr(some_attributes); },
         [](Request& request, const Room&) {
             static_cast<void>(request.take_attributes(some_attributes));
         }},
    Kind{{Op::getattr},
         [](Request& request, const Room&) {
             request.put_getattr({Attribute::file_system_locations});
         },
         [](Request& request, const Room&) {
             if (!request.take(Op::getattr)) return;
             static_cast<void>(nfs4::describe(nfs4::take_locations(request.reader())));
         }},
    Kind{{Op::open, Op::getattr},
         [](Request& request, const Room&) {
             request.must_be_cached();
             request.put_open({.access = nfs4::share::access_read, .owner = {}});
             request.put_getattr(some_attributes);
         },
         [](Request& request, const Room&) {
             if (!request.take(Op::open)) return;
             static_cast<void>(nfs4::take_opened(request.reader()));
             static_cast<void>(request.take_attributes(some_attributes));
         }},
    Kind{{Op::lookup, Op::getfh},
         [](Request& request, const Room&) {
             request.put_name(Op::lookup, "name");
             request.put(Op::getfh);
         },
         [](Request& request, const Room&) {
             if (request.take(Op::lookup)) static_cast<void>(request.take_file_handle());
         }},
    Kind{{Op::read},
         [](Request& request, const Room& room) { request.put_read({}, 0, room.pieces()); },
         [](Request& request, const Room& room) {
             if (!request.take(Op::read)) return;
             request.reader().boolean();
             room.check(request.data_size());
         }},
    Kind{
        {Op::read_plus},
        [](Request& request, const Room& room) { request.put_read_plus({}, 4, room.pieces()); },
        [](Request& request, const Room& room) {
            if (!request.take(Op::read_plus)) return;
            const auto read =
                nfs4::take_read_plus(request.reader(), 4, room.pieces(), request.call.taken);
            room.check(read ? read->size : 0);
        }},
    Kind{{Op::readdir},
         [](Request& request, const Room&) {
             request.put_readdir(0, {}, 4096, some_attributes);
         },
         take_listing},
    Kind{{Op::listxattrs},
         [](Request& request, const Room&) { nfs4::put_listxattrs(request, 0, 4096); },
         [](Request& request, const Room&) {
             if (!request.take(Op::listxattrs)) return;
             static_cast<void>(nfs4::take_listxattrs(request.reader()));
         }},
    Kind{{Op::copy},
         [](Request& request, const Room&) {
             request.must_be_cached();
             nfs4::put_copy(request, {}, false);
         },
         [](Request& request, const Room&) {
             if (!request.take(Op::copy)) return;
             static_cast<void>(nfs4::take_copied(request.reader()));
         }},
};

Task<void> ask(nfs4::Lane& lane, HostileNfsServer& server, std::uint32_t choice) {
    const Kind& kind = kinds[choice];
    const Room room;
    const auto request = lane.request({});
    request->put_file(nfs4::FileHandle(std::as_bytes(std::span("handle"))));
    kind.put(*request, room);
    server.expect(kind.operations);
    const auto outcome = co_await lane.run(*request);
    room.check(request->data_size());
    if (outcome && request->take(Op::putfh)) kind.take(*request, room);
}

Task<bool> drive(nfs4::Client& client,
                 HostileNfsServer& server,
                 ScriptReader& script,
                 reactor::Reactor& reactor) {
    Holder holder;
    const auto started = co_await client.start(holder, reactor);
    for (int i = 0; started && i < request_count_max && !script.at_end(); ++i) {
        co_await ask(
            client.home(), server, script.below(static_cast<std::uint32_t>(kinds.size())));
    }
    co_await client.stop(holder, reactor);
    co_await server.stop();
    co_return true;
}

void run(std::span<const std::uint8_t> input) {
    static SilentSink sink;
    ScriptReader script(input);
    reactor::SimWorld world(1);
    reactor::Reactor& reactor = world.add_reactor();
    HostileNfsServer server(world, reactor, script);
    nfs4::ClientOptions options;
    options.servers = {"127.0.0.1"};
    options.data_size_max = room_size;
    options.slot_count = 4;
    options.answer_time_max = seconds(2);
    options.request_time_max = seconds(5);
    options.start_time_max = seconds(10);
    const auto client =
        std::move(nfs4::Client::make(options, {&reactor}, Logger(sink, "")).value());
    require(world.run(reactor, drive(*client, server, script, reactor)));
}

}  // namespace
}  // namespace dpfs::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    dpfs::fuzz::run({data, size});
    return 0;
}
