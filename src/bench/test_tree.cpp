// SPDX-License-Identifier: Apache-2.0
#include "bench/test_tree.hpp"

#include "base/assert.hpp"
#include "bench/failure.hpp"
#include "bench/random.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fcntl.h>

namespace dpfs::bench {

using fuse::wire::Opcode;

namespace {

constexpr std::uint64_t root = 1;
constexpr std::uint32_t write_size_wanted = 1U << 20;

/// What has room in a ring, beside the descriptors of headers and arguments.
std::uint32_t data_size_max(const Target& target, std::uint32_t ring_size) {
    constexpr std::uint32_t other_descriptors = 4;
    if (target.is_indirect()) return write_size_wanted;
    return (ring_size - other_descriptors) * Slot::page_size;
}

std::string entry_name(std::uint32_t number) {
    return fmt::format("entry-{:06}", number);
}

}  // namespace

TestTree::TestTree(Target& target,
                   Client& client,
                   ForgetQueue& forgets,
                   const Options& options,
                   std::string prefix)
    : target_(target),
      client_(client),
      forgets_(forgets),
      load_(options.load),
      write_size_max_(data_size_max(target, options.driver.ring_size)),
      prefix_(std::move(prefix)),
      files_(target.lanes().size()) {}

std::unexpected<std::string> TestTree::refused(const std::string& what, Errno error) const {
    return failed(fmt::format("'{}': {}: {}", target_.name(), what, explain(error)));
}

Outcome<TestFile*> TestTree::file(std::size_t lane_index) {
    auto& file = files_[lane_index];
    if (file) return &*file;
    if (!load_.file.empty()) return shared_file(lane_index);
    TestFile made;
    made.name = fmt::format("{}-file-{}", prefix_, lane_index);
    made.pattern = {.file = mixed_bits(load_.seed) + lane_index};
    const auto done = make_file(target_.lanes()[lane_index], made);
    // What has been created is to be removed, even if it could not be filled.
    if (made.file.nodeid != 0) file = std::move(made);
    if (!done) return failed(done.error());
    DPFS_ASSERT(file.has_value());  // what has been made has a number
    return &*file;
}

Outcome<TestFile*> TestTree::shared_file(std::size_t lane_index) {
    Lane& lane = target_.lanes()[lane_index];
    TestFile found;
    found.name = load_.file;
    found.block_count = load_.file_size.bytes / load_.block_size.bytes;
    const auto nodeid = client_.lookup(root, found.name);
    if (!nodeid) return refused(fmt::format("finding '{}'", found.name), nodeid.error());
    const std::uint32_t flags = O_RDWR | (load_.direct ? O_DIRECT : 0);
    const auto opened = client_.open(lane, *nodeid, flags);
    if (!opened) return refused(fmt::format("opening '{}'", found.name), opened.error());
    found.file = {.nodeid = *nodeid, .handle = *opened};
    found.run_handle = *opened;
    return &files_[lane_index].emplace(std::move(found));
}

Outcome<void> TestTree::make_file(Lane& lane, TestFile& file) {
    const auto created = client_.create(lane, root, file.name);
    if (!created) return refused(fmt::format("creating '{}'", file.name), created.error());
    file.file = *created;
    file.run_handle = created->handle;
    file.block_count = load_.file_size.bytes / load_.block_size.bytes;
    if (const auto done = fill_file(lane, file); !done) {
        return refused(fmt::format("writing '{}'", file.name), done.error());
    }
    if (load_.verify) {
        file.versions.assign(file.block_count, 0);
        file.busy.assign(file.block_count, false);
    }
    if (load_.direct) {
        const auto opened = client_.open(lane, file.file.nodeid, O_RDWR | O_DIRECT);
        if (!opened) return refused("opening a file with O_DIRECT", opened.error());
        file.run_handle = *opened;
    }
    return {};
}

/// In pieces as large as device and ring take them.
Result<void> TestTree::fill_file(Lane& lane, TestFile& file) {
    Slot& slot = lane.slots().front();
    const std::uint64_t size = file.block_count * load_.block_size.bytes;
    const std::uint64_t piece_max =
        std::min({client_.write_size_max(), write_size_wanted, write_size_max_});
    for (std::uint64_t offset = 0; offset < size; offset += piece_max) {
        const auto piece =
            static_cast<std::uint32_t>(std::min<std::uint64_t>(piece_max, size - offset));
        for (std::uint32_t at = 0; at < piece; at += Slot::page_size) {
            file.pattern.fill(slot.page(at / Slot::page_size), offset + at);
        }
        const auto done = client_.write(lane, file.file, offset, piece);
        if (!done) return done;
    }
    return {};
}

Outcome<TestDirectory*> TestTree::directory() {
    if (!directory_) {
        if (const auto done = make_directory(); !done) return failed(done.error());
    }
    DPFS_ASSERT(directory_.has_value());
    return &*directory_;
}

Outcome<void> TestTree::make_directory() {
    TestDirectory made;
    made.name = fmt::format("{}-directory", prefix_);
    const auto nodeid = client_.make_directory(root, made.name);
    if (!nodeid) return refused(fmt::format("making '{}'", made.name), nodeid.error());
    made.nodeid = *nodeid;
    directory_ = made;
    Lane& lane = target_.lanes().front();
    for (std::uint32_t i = 0; i < load_.entry_count; ++i) {
        const auto file = client_.create(lane, made.nodeid, entry_name(i));
        if (!file) return refused(fmt::format("filling '{}'", made.name), file.error());
        directory_->entry_count = i + 1;
        auto done = client_.release(lane, *file);
        if (done) done = forgets_.add(file->nodeid, 1);
        if (!done) return refused(fmt::format("filling '{}'", made.name), done.error());
    }
    return {};
}

/// A kernel looks a name up before it removes it, and QEMU's virtiofsd depends on that: it
/// answers EIO for an inode that it does not know.
Result<void> TestTree::remove_entry(const std::string& name) {
    DPFS_ASSERT(directory_.has_value());  // there is an entry
    const auto nodeid = client_.lookup(directory_->nodeid, name);
    if (!nodeid) return fail(nodeid.error());
    auto done = client_.remove(directory_->nodeid, name, Opcode::unlink);
    if (done) done = forgets_.add(*nodeid, 1);
    if (done) done = forgets_.flush();
    return done;
}

Outcome<void> TestTree::remove() {
    Result<void> first;
    const auto note = [&first](const Result<void>& done) {
        if (first && !done) first = done;
    };
    for (std::size_t i = 0; i < files_.size(); ++i) {
        const std::optional<TestFile>& made = files_[i];
        if (!made) continue;
        const TestFile& file = *made;
        Lane& lane = target_.lanes()[i];
        if (file.run_handle != file.file.handle) {
            note(client_.release(lane, {file.file.nodeid, file.run_handle}));
        }
        note(client_.release(lane, file.file));
        if (load_.file.empty()) note(client_.remove(root, file.name, Opcode::unlink));
        note(forgets_.add(file.file.nodeid, file.lookup_count));
    }
    files_.clear();
    if (directory_) {
        for (std::uint32_t i = 0; i < directory_->entry_count; ++i) {
            note(remove_entry(entry_name(i)));
            if (!first) break;
        }
        note(client_.remove(root, directory_->name, Opcode::rmdir));
        note(forgets_.add(directory_->nodeid, 1));
        directory_.reset();
    }
    note(forgets_.flush());
    if (!first) return refused("removing the test files", first.error());
    return {};
}

}  // namespace dpfs::bench
