// SPDX-License-Identifier: Apache-2.0
#include "fake_nfs/tree.hpp"

#include <algorithm>

namespace dpfs::fake_nfs {

using nfs4::FileType;
using nfs4::Status;

Tree::Tree() {
    nodes_.push_back(std::make_unique<Node>());
    root().type = FileType::directory;
    root().mode = 0755;
    root().parent = &root();
    make(root(), "export", FileType::directory);
}

Node* Tree::find(std::uint64_t id) noexcept {
    return id < nodes_.size() ? nodes_[id].get() : nullptr;
}

Node* Tree::find(const Node& directory, std::string_view name) noexcept {
    const auto found = directory.entries.find(name);
    return found == directory.entries.end() ? nullptr : found->second.node;
}

Node* Tree::make(Node& directory, std::string_view name, FileType type) {
    if (find(directory, name) != nullptr) return nullptr;
    nodes_.push_back(std::make_unique<Node>());
    Node& made = *nodes_.back();
    made.id = nodes_.size() - 1;
    made.type = type;
    made.parent = &directory;
    if (type == FileType::directory) made.mode = 0755;
    enter(directory, name, made);
    return &made;
}

void Tree::enter(Node& directory, std::string_view name, Node& node) {
    const std::uint64_t cookie = directory.next_cookie++;
    const auto [entered, is_new] =
        directory.entries.try_emplace(std::string(name), Node::Entry{cookie, &node});
    directory.listing.emplace(cookie, &entered->first);
    ++directory.change;
}

void Tree::take_out(Node& directory, std::string_view name) {
    const auto found = directory.entries.find(name);
    directory.listing.erase(found->second.cookie);
    directory.entries.erase(found);
    ++directory.change;
}

Status Tree::remove(Node& directory, std::string_view name) {
    Node* const node = find(directory, name);
    if (node == nullptr) return Status::noent;
    if (!node->entries.empty()) return Status::notempty;
    take_out(directory, name);
    nodes_[node->id].reset();
    return Status::ok;
}

Status Tree::rename(Node& from, std::string_view name, Node& to, std::string_view new_name) {
    Node* const node = find(from, name);
    if (node == nullptr) return Status::noent;
    if (find(to, new_name) == node) return Status::ok;
    if (find(to, new_name) != nullptr) {
        if (const Status removed = remove(to, new_name); removed != Status::ok) return removed;
    }
    take_out(from, name);
    enter(to, new_name, *node);
    node->parent = &to;
    return Status::ok;
}

void Tree::resize(Node& file, std::uint64_t size) {
    ++file.change;
    if (size > file.data->capacity()) {
        // Replies may still be sent from the old one.
        auto larger = std::make_shared<Data>();
        larger->reserve(std::max<std::size_t>(size, 2 * file.data->capacity()));
        *larger = *file.data;
        file.data = std::move(larger);
    }
    file.data->resize(size);
}

}  // namespace dpfs::fake_nfs
