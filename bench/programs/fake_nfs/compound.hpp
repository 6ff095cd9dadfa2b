// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fake_nfs/tree.hpp"
#include "net/nfs4/attributes.hpp"
#include "net/rpc/xdr.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace dpfs::fake_nfs {

/// What is to be sent: bytes of our own, and between them pieces of files, which are sent from
/// where they are.
struct Output {
    struct Piece {
        std::size_t position;  ///< in `bytes`: it is sent before the byte there
        std::shared_ptr<Data> data;
        std::span<const std::byte> part;
    };
    std::vector<std::byte> bytes;
    std::vector<Piece> pieces;

    [[nodiscard]] bool empty() const noexcept { return bytes.empty(); }
    void clear() noexcept {
        bytes.clear();
        pieces.clear();
    }
};

/// What a server knows beside its files: sessions are given out, and never checked.
struct Limits {
    std::uint32_t slot_count = 256;
    std::uint32_t message_size_max = (1 << 20) + 8192;
    std::uint32_t data_size_max = 1 << 20;
};

/// Answers one call after the other, at once: NFSv4.1 and 4.2 as far as a client needs it that
/// reads, writes, lists and makes files. No replay cache, no leases, no permissions: its
/// connections do not break, and what is measured is its client.
///
/// Source    RFC 8881, 18; RFC 7862, 15.
class Compound {
  public:
    Compound(Tree& tree, Limits limits) noexcept : tree_(tree), limits_(limits) {}

    /// Answers the call in `record` (from its xid on) by a record at the end of `out`. False:
    /// it is no call that can be answered, and the connection should end.
    bool answer(std::span<const std::byte> record, Output& out);

  private:
    nfs4::Status run(nfs4::Op op);

    nfs4::Status exchange_id();
    nfs4::Status create_session();
    nfs4::Status bind_connection();
    nfs4::Status sequence();

    nfs4::Status put_file();
    nfs4::Status get_file_handle();
    nfs4::Status lookup();
    nfs4::Status lookup_parent();
    nfs4::Status access();
    nfs4::Status getattr();
    nfs4::Status setattr();
    nfs4::Status make_directory();
    nfs4::Status remove();
    nfs4::Status rename();
    nfs4::Status readdir();

    nfs4::Status open();
    nfs4::Status close();
    nfs4::Status read();
    nfs4::Status write();
    nfs4::Status commit();

    /// The rest of OPEN's arguments, behind the owner: opens or makes a file.
    nfs4::Status open_claim();
    struct NewAttributes {
        bool has_size = false, has_mode = false;
        std::uint64_t size = 0;
        std::uint32_t mode = 0;
    };
    NewAttributes take_attributes();
    void apply(const NewAttributes& attributes, Node& node);
    void put_attributes(nfs4::AttributeSet wanted, const Node& node);
    /// Where a status goes: after the operation's number.
    void put_change(const Node& directory);
    void put_state_id(std::uint64_t number);
    /// Whether the entry fitted.
    bool put_entry(std::uint64_t cookie,
                   std::string_view name,
                   const Node& node,
                   nfs4::AttributeSet wanted);

    Tree& tree_;
    const Limits limits_;
    std::uint64_t state_count_ = 0;
    std::uint64_t client_count_ = 0;

    // Of the compound that is being answered.
    rpc::XdrReader in_;
    Output* output_ = nullptr;
    rpc::XdrWriter out_{scratch_};
    std::vector<std::byte> scratch_;
    std::size_t size_left_ = 0;  // of a READDIR's answer
    Node* current_ = nullptr;
    Node* saved_ = nullptr;
};

}  // namespace dpfs::fake_nfs
