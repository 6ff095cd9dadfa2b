// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "net/nfs4/file_handle.hpp"
#include "net/nfs4/wire.hpp"
#include "reactor/sim_random.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dpfs::sim {

using Bytes = std::vector<std::byte>;

/// A file of the model server.
struct ModelInode {
    /// A change of the data that was not committed yet; a crash may undo it unless it is
    /// stable.
    struct Change {
        bool stable = false;
        std::optional<std::uint64_t> new_size = {};  // a truncation; else a write
        std::uint64_t offset = 0;
        Bytes data = {};
    };
    struct Entry {
        std::uint64_t id = 0;
        std::uint64_t cookie = 0;
    };

    std::uint64_t id = 0;
    nfs4::FileType type = nfs4::FileType::regular;
    std::uint32_t mode = 0;
    std::uint32_t uid = 0, gid = 0;
    std::uint32_t link_count = 1;
    std::uint64_t change = 1;
    std::string target = {};                                // of a link
    std::optional<nfs4::Verifier> exclusive_verifier = {};  // of the OPEN that made it

    Bytes data = {};
    Bytes durable = {};  // without `pending`
    std::vector<Change> pending = {};

    std::map<std::string, Entry, std::less<>> entries = {};
    std::uint64_t next_cookie = 3;
    std::uint64_t parent = 0;
};

/// What the model server keeps on its disk, and what of it a crash takes away: data of writes
/// that were neither stable nor committed, and files that are open but have no name.
class ModelFiles {
  public:
    ModelFiles();

    [[nodiscard]] ModelInode& root() noexcept { return inodes_.at(root_id); }
    [[nodiscard]] ModelInode* find(std::uint64_t id) noexcept;
    /// nullptr: no such file, or none of ours.
    [[nodiscard]] ModelInode* find(const nfs4::FileHandle& handle) noexcept;
    [[nodiscard]] static nfs4::FileHandle handle_of(const ModelInode& inode);
    /// By a path of names below the root; nullptr.
    [[nodiscard]] ModelInode* find_path(std::string_view name) noexcept;

    ModelInode& make(ModelInode& directory, std::string_view name, nfs4::FileType type);
    void link(ModelInode& directory, std::string_view name, ModelInode& inode);
    /// The file itself stays until collect() is told that nobody has it open.
    void unlink(ModelInode& directory, std::string_view name);
    /// Forgets `id` if it has no name.
    void collect(std::uint64_t id);

    void write(ModelInode& inode,
               std::uint64_t offset,
               std::span<const std::byte> data,
               bool stable);
    void resize(ModelInode& inode, std::uint64_t size);
    void commit(ModelInode& inode);
    [[nodiscard]] const nfs4::Verifier& verifier() const noexcept { return verifier_; }

    /// The server dies: of what is not stable, chance decides what has reached the disk.
    void crash(reactor::SimRandom& random);

  private:
    static constexpr std::uint64_t root_id = 2;
    static void apply(Bytes& data, const ModelInode::Change& change);
    void add(ModelInode& inode, ModelInode::Change change);

    std::map<std::uint64_t, ModelInode> inodes_;
    std::uint64_t next_id_ = root_id + 1;
    nfs4::Verifier verifier_ = {};
};

}  // namespace dpfs::sim
