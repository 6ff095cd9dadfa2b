// SPDX-License-Identifier: Apache-2.0
#include "nfs_data_program.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fcntl.h>

namespace dpfs::sim {
namespace {

constexpr std::size_t file_count_max = 3;
constexpr std::size_t file_size_max = 96 << 10;
constexpr std::size_t transfer_size_max = 40 << 10;
constexpr Duration given_up_time_max = seconds(5);  // more than the model's longest delays

}  // namespace

NfsDataProgram::NfsDataProgram(NfsMount& mount,
                               reactor::Reactor& reactor,
                               NfsRules& rules,
                               std::string prefix)
    : caller_(mount, reactor), rules_(rules), prefix_(std::move(prefix)) {}

bool NfsDataProgram::allow(const char* what, Errno error) {
    EXPECT_TRUE(rules_.allows(error)) << prefix_ << ": " << what << ": " << errno_name(error);
    return rules_.allows(error);
}

Task<void> NfsDataProgram::run(int steps) {
    co_await reactor::Reactor::switch_to(caller_.reactor());
    for (int i = 0; i < steps && !rules_.stopping; ++i) {
        const auto thought = co_await caller_.reactor().sleep(rules_.thought());
        static_cast<void>(thought);
        if (const auto time = rules_.interruption()) caller_.interrupt_after(*time);
        co_await step();
    }
}

Task<void> NfsDataProgram::step() {
    auto& random = rules_.random;
    if (files_.empty() || (files_.size() < file_count_max && random.chance(150))) {
        co_return co_await create();
    }
    const auto found =
        std::next(files_.begin(), static_cast<std::ptrdiff_t>(random.below(files_.size())));
    const std::string name = found->first;
    File& file = found->second;
    if (!is_settled(file) && random.chance(300)) {
        const auto slept = co_await caller_.reactor().sleep_until(file.settled);
        static_cast<void>(slept);
        co_return;
    }
    switch (random.below(14)) {
        case 0:
            co_return co_await truncate(file);
        case 1:
            co_return co_await rename(name);
        case 2:
            co_return co_await unlink(name);
        case 3:
            co_return co_await reopen(file);
        case 4:
        case 5:
            co_return co_await sync(file);
        case 6:
            co_return co_await read_all(caller_, file);
        case 7:
        case 8:
        case 9:
            co_return co_await read(caller_, file);
        default:
            co_return co_await write(file);
    }
}

Task<void> NfsDataProgram::create() {
    const std::string name = prefix_ + "-" + std::to_string(made_count_++);
    const bool exclusive = rules_.random.chance(500);
    const std::uint32_t flags = O_RDWR | O_CREAT | (exclusive ? O_EXCL : 0);
    const auto asked = rules_.history.ask("make " + name, caller_.now());
    const auto made = co_await caller_.create(fuse::root_node, name, flags);
    rules_.log.debug("{}: create {}: node {}",
                     prefix_,
                     name,
                     made ? static_cast<std::uint64_t>(made->node) : 0);
    if (!made) {
        allow("create", made.error());
        rules_.history.tell_nothing(asked);
        co_return;
    }
    rules_.history.tell_done(asked, caller_.now());
    File& file = files_[name];
    file.id = *made;
    file.open = true;
}

void NfsDataProgram::forget_range(File& file, std::size_t begin, std::size_t end, Errno why) {
    if (NfsRules::is_given_up(why)) file.settled = caller_.now() + given_up_time_max;
    if (end > file.contents.size()) file.size_known = false;
    for (std::size_t i = begin; i < std::min(end, file.known.size()); ++i)
        file.known[i] = false;
}

Task<void> NfsDataProgram::write(File& file) {
    auto& random = rules_.random;
    const std::size_t offset = random.below(file_size_max - transfer_size_max);
    std::vector<std::byte> data(1 + random.below(transfer_size_max - 1));
    for (std::byte& byte : data) byte = static_cast<std::byte>(random.next());
    const auto written = co_await caller_.write(file.id, offset, data);
    if (!written) allow("write", written.error());
    const std::size_t done = written.value_or(0);
    rules_.log.debug("{}: write of {} at {} to node {}: {}",
                     prefix_,
                     data.size(),
                     offset,
                     static_cast<std::uint64_t>(file.id.node),
                     done);
    EXPECT_LE(done, data.size());
    if (done < data.size()) {
        const bool may_be_short = rules_.allows(Errno::canceled) || rules_.has_time_limit;
        EXPECT_TRUE(!written || may_be_short) << prefix_ << ": a short write";
        const Errno why = written ? Errno::canceled : written.error();
        co_return forget_range(file, offset, offset + data.size(), why);
    }
    if (file.contents.size() < offset + done) {
        file.contents.resize(offset + done);
        file.known.resize(offset + done, file.size_known);
    }
    std::ranges::copy(data, file.contents.begin() + static_cast<std::ptrdiff_t>(offset));
    const bool certain = is_settled(file);
    for (std::size_t i = offset; i < offset + done; ++i) file.known[i] = certain;
}

Task<void> NfsDataProgram::read(NfsCaller& caller, File& file) {
    const std::size_t offset = rules_.random.below(file_size_max);
    const std::size_t size = 1 + rules_.random.below(transfer_size_max - 1);
    co_await compare(caller, file, offset, size);
}

Task<void> NfsDataProgram::read_all(NfsCaller& caller, File& file) {
    for (std::size_t at = 0; at < file.contents.size(); at += transfer_size_max) {
        co_await compare(caller, file, at, transfer_size_max);
    }
}

Task<void> NfsDataProgram::compare(NfsCaller& caller,
                                   File& file,
                                   std::size_t offset,
                                   std::size_t size) {
    const auto data = co_await caller.read(file.id, offset, size);
    rules_.log.debug("{}: read of {} at {} from node {}: {}",
                     prefix_,
                     size,
                     offset,
                     static_cast<std::uint64_t>(file.id.node),
                     data ? data->size() : 0);
    if (!data) {
        allow("read", data.error());
        co_return;
    }
    if (file.size_known && is_settled(file)) {
        const std::size_t expected =
            offset >= file.contents.size() ? 0 : std::min(size, file.contents.size() - offset);
        EXPECT_EQ(data->size(), expected) << prefix_ << ": read at " << offset;
    }
    for (std::size_t i = 0; i < data->size() && offset + i < file.contents.size(); ++i) {
        if (!file.known[offset + i] || (*data)[i] == file.contents[offset + i]) continue;
        ADD_FAILURE() << prefix_ << ": a wrong byte at " << offset + i;
        co_return;
    }
}

Task<void> NfsDataProgram::truncate(File& file) {
    const std::size_t size = rules_.random.below(file_size_max);
    const auto done = co_await caller_.truncate(file.id, size);
    rules_.log.debug("{}: truncate node {} to {}: {}",
                     prefix_,
                     static_cast<std::uint64_t>(file.id.node),
                     size,
                     done ? "done" : errno_name(done.error()));
    if (!done) {
        allow("truncate", done.error());
        file.size_known = false;
        co_return forget_range(file, 0, file_size_max, done.error());
    }
    if (!is_settled(file)) {
        file.size_known = false;
        co_return forget_range(file, 0, file_size_max, Errno::io_error);
    }
    // Cut-off bytes that were uncertain are gone, and come back as zeroes.
    if (!file.size_known) file.known.assign(file.contents.size(), false);
    file.contents.resize(size);
    file.known.resize(size, file.size_known);
    file.size_known = true;
    const auto found = co_await caller_.size_of(file.id.node);
    if (!found) {
        allow("getattr", found.error());
    } else if (!rules_.hostile) {
        EXPECT_EQ(*found, size) << prefix_;
    }
}

Task<void> NfsDataProgram::sync(File& file) {
    const auto done = co_await caller_.sync(file.id);
    if (!done) allow("fsync", done.error());
}

Task<void> NfsDataProgram::reopen(File& file) {
    const auto closed = co_await caller_.close(file.id);
    if (!closed) allow("close", closed.error());
    if (!closed && !NfsRules::is_given_up(closed.error())) {
        // What could not be brought to the disk is lost, as close(2) has said. What was given
        // up goes on without the program.
        forget_range(file, 0, file_size_max, closed.error());
        file.size_known = false;
    }
    file.open = false;
    // It must be open, whatever it takes: the program has nothing else to work with.
    for (int attempt = 0; !file.open && !rules_.stopping; ++attempt) {
        EXPECT_LT(attempt, 1000) << prefix_ << ": cannot be opened again";
        const auto opened = co_await caller_.open(file.id.node, O_RDWR);
        if (opened) {
            file.id.handle = *opened;
            file.open = true;
        } else if (!allow("open", opened.error())) {
            co_return;
        }
    }
}

Task<void> NfsDataProgram::rename(std::string from) {
    const std::string to = prefix_ + "-" + std::to_string(made_count_++);
    const auto asked = rules_.history.ask("rename " + from + " " + to, caller_.now());
    const auto done = co_await caller_.rename(fuse::root_node, from, to);
    if (!done && rules_.allows(done.error())) {
        // Done or not, nobody will ever say.
        rules_.history.tell_nothing(asked);
        const NfsCaller::File id = files_.extract(from).mapped().id;
        const auto closed = co_await caller_.close(id);
        static_cast<void>(closed);  // its data are not looked at any more
        co_await caller_.forget(id.node);
        co_return;
    }
    auto moved = files_.extract(from);
    if (done) {
        rules_.history.tell_done(asked, caller_.now());
    } else {
        // The one thing it may be is done, and asked for twice: the history says whether.
        EXPECT_EQ(done.error(), Errno::no_entry) << prefix_ << ": " << errno_name(done.error());
        rules_.history.tell_error(asked, done.error(), caller_.now());
    }
    moved.key() = to;
    files_.insert(std::move(moved));
}

Task<void> NfsDataProgram::unlink(std::string name) {
    const std::uint32_t boot = rules_.server.core().state.boot();
    const auto asked = rules_.history.ask("remove " + name, caller_.now());
    const auto done = co_await caller_.remove(fuse::root_node, name);
    File file = std::move(files_.extract(name).mapped());
    if (done) {
        rules_.history.tell_done(asked, caller_.now());
    } else if (rules_.allows(done.error())) {
        rules_.history.tell_nothing(asked);
    } else {
        EXPECT_EQ(done.error(), Errno::no_entry) << prefix_ << ": " << errno_name(done.error());
        rules_.history.tell_error(asked, done.error(), caller_.now());
    }
    // An open file outlives its name, but not the server (docs/back-ends/nfs.md).
    const auto data = co_await caller_.read(file.id, 0, 1000);
    if (!data && !rules_.allows(data.error())) {
        const bool was_lost = rules_.server.core().state.boot() != boot ||
                              rules_.server.core().state.loss_count() > 0;
        EXPECT_TRUE(was_lost && data.error() == Errno::stale)
            << prefix_ << ": read of a removed file: " << errno_name(data.error());
    }
    const auto closed = co_await caller_.close(file.id);
    static_cast<void>(closed);  // its state may be gone with the server's
    co_await caller_.forget(file.id.node);
}

Task<void> NfsDataProgram::finish() {
    co_await reactor::Reactor::switch_to(caller_.reactor());
    for (auto& [name, file] : files_) {
        if (!file.open || rules_.stopping) continue;
        co_await read_all(caller_, file);
        co_await sync(file);
        const auto closed = co_await caller_.close(file.id);
        if (!closed) allow("close", closed.error());
        co_await caller_.forget(file.id.node);
        file.open = false;
    }
}

Task<void> NfsDataProgram::check_all(NfsMount& mount) {
    // Who goes away without an fsync has been promised nothing.
    if (rules_.stopping) co_return;
    NfsCaller caller(mount, mount.home());
    for (auto& [name, file] : files_) {
        const auto found = co_await caller.look_up(fuse::root_node, name);
        EXPECT_TRUE(found.has_value()) << name << " is lost: " << errno_name(found.error());
        if (!found) continue;
        file.id.node = found->node;
        const auto opened = co_await caller.open(found->node, O_RDWR);
        EXPECT_TRUE(opened.has_value()) << name << ": " << errno_name(opened.error());
        if (!opened) continue;
        file.id.handle = *opened;
        co_await read_all(caller, file);
        const auto closed = co_await caller.close(file.id);
        EXPECT_TRUE(closed.has_value()) << name << ": " << errno_name(closed.error());
        co_await caller.forget(found->node);
    }
}

}  // namespace dpfs::sim
