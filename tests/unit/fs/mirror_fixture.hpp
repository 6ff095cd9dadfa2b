// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fs/mirror/mirror_fs.hpp"
#include "fuse/directory_writer.hpp"
#include "reactor/make_reactor.hpp"
#include "reactor/run_to_completion.hpp"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <utility>
#include <vector>

namespace dpfs::mirror {

/// A directory that is gone with everything in it when the test is.
class ScratchDirectory {
  public:
    /// `parent` decides the file system.
    explicit ScratchDirectory(const std::string& parent);
    ScratchDirectory(const ScratchDirectory&) = delete;
    ScratchDirectory& operator=(const ScratchDirectory&) = delete;
    ~ScratchDirectory();
    [[nodiscard]] std::string path(std::string_view name = "") const;

  private:
    std::string path_;
};

/// Where and how a test runs: the same on each kind of reactor, on a disk's file system and on
/// a memory file system, and with every call made asynchronously.
struct Setting {
    reactor::ReactorKind reactor;
    const char* parent;
    bool always_async;
    const char* name;
};
extern const std::vector<Setting> all_settings;
std::string setting_name(const testing::TestParamInfo<Setting>& info);

/// What a listing gave: names with their nodes (0: none), in order.
struct Listed {
    std::string name;
    fuse::NodeId node;
    std::uint64_t ino;
    std::uint64_t next_offset;
    std::uint32_t type;
};

/// A tenant's kernel, one request at a time: makes the calls of fuse::FileSystem and runs the
/// reactor until they are answered. Afterwards the thread acts as the daemon again.
class Guest {
  public:
    Guest(MirrorFs& fs, reactor::Reactor& reactor)
        : context{.reactor = reactor, .cancel = cancel, .caller = {}},
          fs_(fs),
          reactor_(reactor) {}

    template <class T>
    T run(Task<T> work) {
        struct Restore {
            ~Restore() { static_cast<void>(reactor::act_as(nullptr)); }
        } restore;
        return reactor::run_to_completion(reactor_, std::move(work));
    }
    void be(std::uint32_t uid,
            std::uint32_t gid,
            const std::vector<std::uint32_t>& groups = {});
    Result<fuse::Capabilities> init(std::uint64_t flags);

    static fuse::Name name(const std::string& text) { return *fuse::Name::check(text); }

    Result<fuse::Entry> lookup(fuse::NodeId parent, const std::string& text);
    /// Each component of a path below the root, without keeping references to those between.
    Result<fuse::Entry> walk(const std::string& path);
    void forget(fuse::NodeId node, std::uint64_t count = 1);
    Result<fuse::Attributes> getattr(fuse::NodeId node,
                                     std::optional<fuse::FileHandle> handle = {});
    Result<fuse::Attributes> setattr(fuse::NodeId node, fuse::SetAttributes change);
    Result<fuse::Entry> mkdir(fuse::NodeId parent,
                              const std::string& text,
                              std::uint32_t mode = 0755,
                              std::uint32_t umask = 0);
    Result<fuse::Entry> mknod(fuse::NodeId parent,
                              const std::string& text,
                              std::uint32_t mode,
                              std::uint32_t rdev = 0);
    Result<fuse::Entry> symlink(fuse::NodeId parent,
                                const std::string& text,
                                const std::string& target);
    Result<std::string> readlink(fuse::NodeId node);
    Result<fuse::Entry> link(fuse::NodeId node, fuse::NodeId parent, const std::string& text);
    Result<void> unlink(fuse::NodeId parent, const std::string& text);
    Result<void> rmdir(fuse::NodeId parent, const std::string& text);
    Result<void> rename(fuse::NodeId parent,
                        const std::string& text,
                        fuse::NodeId new_parent,
                        const std::string& new_text,
                        std::uint32_t flags = 0);
    Result<fuse::FileHandle> open(fuse::NodeId node, std::uint32_t flags);
    Result<fuse::Created> create(fuse::NodeId parent,
                                 const std::string& text,
                                 std::uint32_t flags = O_RDWR,
                                 std::uint32_t mode = 0644,
                                 std::uint32_t umask = 0);
    Result<std::string> read(fuse::NodeId node,
                             fuse::FileHandle handle,
                             std::uint64_t offset,
                             std::uint32_t size);
    Result<std::size_t> write(fuse::NodeId node,
                              fuse::FileHandle handle,
                              std::uint64_t offset,
                              const std::string& data,
                              std::uint32_t flags = 0,
                              bool kill_suid_gid = false);
    Result<void> release(fuse::NodeId node, fuse::FileHandle handle);
    Result<fuse::FileHandle> opendir(fuse::NodeId node);
    Result<void> releasedir(fuse::NodeId node, fuse::FileHandle handle);
    /// One request's entries from `offset`.
    Result<std::vector<Listed>> list(fuse::NodeId node,
                                     fuse::FileHandle handle,
                                     std::uint64_t offset,
                                     bool plus,
                                     std::size_t size = 4096);
    /// All of them but "." and "..".
    Result<std::vector<Listed>> list_all(fuse::NodeId node, bool plus);
    Result<void> setxattr(fuse::NodeId node, const std::string& key, const std::string& value);
    Result<std::string> getxattr(fuse::NodeId node, const std::string& key);
    Result<std::vector<std::string>> listxattr(fuse::NodeId node);
    Result<void> setlk(fuse::NodeId node, fuse::FileHandle handle, fuse::LockRequest request);

    reactor::CancelSource cancel;
    fuse::Context context;

  private:
    MirrorFs& fs_;
    reactor::Reactor& reactor_;
};

/// One share, served to one guest.
class MirrorTest : public testing::TestWithParam<Setting> {
  protected:
    MirrorTest();
    ~MirrorTest() override;

    /// Serves the directory (again) with these options; a setting may add to them.
    void serve(MirrorOptions options = {});
    [[nodiscard]] std::unique_ptr<MirrorFs> make(MirrorOptions options);
    [[nodiscard]] MirrorFs& fs() { return *fs_; }
    [[nodiscard]] reactor::EventLoop& reactor() { return *reactor_; }
    [[nodiscard]] reactor::BlockingPool& pool() { return pool_; }

    /// The shared directory, as the host sees it; beside it lies what no guest may see.
    [[nodiscard]] std::string host(std::string_view name = "") const;
    [[nodiscard]] std::string outside(std::string_view name) const;
    void host_write(const std::string& name, std::string_view text, mode_t mode = 0644) const;
    [[nodiscard]] std::string host_read(const std::string& name) const;
    [[nodiscard]] struct stat host_stat(const std::string& name) const;

    [[nodiscard]] bool on_tmpfs() const {
        return std::string_view(GetParam().parent) == "/dev/shm";
    }

  private:
    ScratchDirectory scratch_;
    reactor::BlockingPool pool_;
    std::unique_ptr<reactor::EventLoop> reactor_;
    std::unique_ptr<MirrorFs> fs_;

  protected:
    std::unique_ptr<Guest> guest_;
};

#define DPFS_ON_ALL_SETTINGS(suite) \
    INSTANTIATE_TEST_SUITE_P(, suite, testing::ValuesIn(all_settings), setting_name)

[[nodiscard]] std::size_t open_descriptor_count();
[[nodiscard]] Logger test_log();

}  // namespace dpfs::mirror
