// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "net/nfs4/status.hpp"
#include "net/nfs4/wire.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace dpfs::fake_nfs {

/// A file's bytes. Replies that are on their way share it: it is replaced when it must move.
using Data = std::vector<std::byte>;

struct Node {
    std::uint64_t id = 0;
    nfs4::FileType type = nfs4::FileType::regular;
    std::uint32_t mode = 0644;
    std::uint64_t change = 1;
    Node* parent = nullptr;
    std::shared_ptr<Data> data = std::make_shared<Data>();  // regular files

    // Directories: by name, and in the order of their cookies.
    struct Entry {
        std::uint64_t cookie;
        Node* node;
    };
    std::map<std::string, Entry, std::less<>> entries;
    std::map<std::uint64_t, const std::string*> listing;
    std::uint64_t next_cookie = 3;  // 0 to 2 are no entry's
};

/// Files and directories in memory: /export is a directory, and whatever clients make.
class Tree {
  public:
    Tree();

    [[nodiscard]] Node& root() noexcept { return *nodes_.front(); }
    /// nullptr: there is no such file any more.
    [[nodiscard]] Node* find(std::uint64_t id) noexcept;
    [[nodiscard]] Node* find(const Node& directory, std::string_view name) noexcept;

    /// nullptr: the name is there already.
    Node* make(Node& directory, std::string_view name, nfs4::FileType type);
    nfs4::Status remove(Node& directory, std::string_view name);
    nfs4::Status rename(Node& from, std::string_view name, Node& to, std::string_view new_name);

    void resize(Node& file, std::uint64_t size);

  private:
    static void enter(Node& directory, std::string_view name, Node& node);
    static void take_out(Node& directory, std::string_view name);

    std::vector<std::unique_ptr<Node>> nodes_;  // by id
};

}  // namespace dpfs::fake_nfs
