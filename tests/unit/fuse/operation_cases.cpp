// SPDX-License-Identifier: Apache-2.0
#include "operation_cases.hpp"

#include "fake_file_system.hpp"
#include "fuse/wire_file.hpp"
#include "fuse/wire_inode.hpp"

#include <fcntl.h>
#include <sys/stat.h>

namespace dpfs::fuse::test {
namespace {

using wire::Opcode;

constexpr std::size_t header_size = sizeof(wire::OutHeader);

wire::EntryOut entry_out() {
    return {.nodeid = 0x3333,
            .generation = 0x4444,
            .entry_valid = 1,
            .attr_valid = 2,
            .entry_valid_nsec = 500'000'000,
            .attr_valid_nsec = 0,
            .attr = FakeFileSystem::attributes()};
}

wire::AttrOut attr_out() {
    return {.attr_valid = 2,
            .attr_valid_nsec = 0,
            .dummy = 0,
            .attr = FakeFileSystem::attributes()};
}

wire::OpenOut open_out(std::uint32_t flags) {
    return {.fh = 0x55, .open_flags = flags, .backing_id = 0};
}

wire::ReadIn read_in(std::uint64_t offset, std::uint32_t size) {
    return {.fh = 5,
            .offset = offset,
            .size = size,
            .read_flags = 0,
            .lock_owner = 0,
            .flags = O_RDWR,
            .padding = 0};
}

wire::CopyFileRangeIn copy_in() {
    return {.fh_in = 5,
            .off_in = 10,
            .nodeid_out = 3,
            .fh_out = 6,
            .off_out = 20,
            .len = 30,
            .flags = 0};
}

wire::LkIn lk_in(std::uint32_t flags) {
    return {.fh = 5,
            .owner = 77,
            .lk = {.start = 1, .end = 9, .type = F_WRLCK, .pid = 4},
            .lk_flags = flags,
            .padding = 0};
}

wire::Dirent dirent(std::uint64_t index) {
    return {.ino = index, .off = index + 1, .namelen = 5, .type = 8};
}

/// A case whose reply is `payload` and nothing else.
OperationCase one(std::string name,
                  Opcode opcode,
                  const Message& arguments,
                  std::string call,
                  const Message& payload = {}) {
    return {.name = std::move(name),
            .request = make_request(opcode, arguments),
            .call = std::move(call),
            .reply_room = header_size + payload.size(),
            .payload = payload};
}

OperationCase without_reply(OperationCase made) {
    made.has_reply = false;
    made.reply_room = 0;
    return made;
}

OperationCase with_room(OperationCase made, std::size_t size) {
    made.reply_room = header_size + size;
    return made;
}

void add_names(std::vector<OperationCase>& to) {
    const Message entry = Message().add(entry_out());
    const Message created = Message().add(entry_out()).add(open_out(2));
    const wire::CreateIn create{.flags = O_RDWR | O_CREAT | O_EXCL,
                                .mode = S_IFREG | 0664,
                                .umask = 022,
                                .open_flags = wire::open_kill_suidgid};

    to.push_back(one("lookup", Opcode::lookup, Message().add_string("n"), "lookup 1 n", entry));
    to.push_back(without_reply(one(
        "forget", Opcode::forget, Message().add(wire::ForgetIn{.nlookup = 3}), "forget 1 3")));
    to.push_back(without_reply(one("batch_forget",
                                   Opcode::batch_forget,
                                   Message()
                                       .add(wire::BatchForgetIn{.count = 1, .dummy = 0})
                                       .add(wire::ForgetOne{.nodeid = 8, .nlookup = 2}),
                                   "forget 8 2")));
    to.push_back(one("mknod",
                     Opcode::mknod,
                     Message()
                         .add(wire::MknodIn{
                             .mode = S_IFCHR | 0666, .rdev = 0x103, .umask = 022, .padding = 0})
                         .add_string("null"),
                     "mknod 1 null 20666 22 259 -",
                     entry));
    to.push_back(
        one("mkdir",
            Opcode::mkdir,
            Message().add(wire::MkdirIn{.mode = S_IFDIR | 0777, .umask = 027}).add_string("d"),
            "mkdir 1 d 777 27 -",
            entry));
    to.push_back(one("symlink",
                     Opcode::symlink,
                     Message().add_string("link").add_string("../to/there"),
                     "symlink 1 link ../to/there -",
                     entry));
    to.push_back(one("link",
                     Opcode::link,
                     Message().add(wire::LinkIn{.oldnodeid = 12}).add_string("again"),
                     "link 12 1 again",
                     entry));
    to.push_back(one("create",
                     Opcode::create,
                     Message().add(create).add_string("file"),
                     "create 1 file 302 664 22 true -",
                     created));
    to.push_back(one("tmpfile",
                     Opcode::tmpfile,
                     Message().add(create).add_string("/"),
                     "tmpfile 1 302 664",
                     created));
    to.push_back(one("unlink", Opcode::unlink, Message().add_string("gone"), "unlink 1 gone"));
    to.push_back(one("rmdir", Opcode::rmdir, Message().add_string("gone"), "rmdir 1 gone"));
    to.push_back(
        one("rename",
            Opcode::rename,
            Message().add(wire::RenameIn{.newdir = 9}).add_string("from").add_string("to"),
            "rename 1 from 9 to 0"));
    to.push_back(one("rename2",
                     Opcode::rename2,
                     Message()
                         .add(wire::Rename2In{.newdir = 9, .flags = 1, .padding = 0})
                         .add_string("from")
                         .add_string("to"),
                     "rename 1 from 9 to 1"));
}

void add_inodes(std::vector<OperationCase>& to) {
    const Message attributes = Message().add(attr_out());
    to.push_back(one(
        "getattr",
        Opcode::getattr,
        Message().add(wire::GetattrIn{.getattr_flags = wire::getattr_fh, .dummy = 0, .fh = 5}),
        "getattr 1 fh5",
        attributes));
    wire::SetattrIn setattr{};
    setattr.valid = wire::fattr::mode | wire::fattr::uid | wire::fattr::size |
                    wire::fattr::atime | wire::fattr::atime_now | wire::fattr::mtime |
                    wire::fattr::kill_suidgid;
    setattr.mode = S_IFREG | 0640;
    setattr.uid = 33;
    setattr.gid = 44;  // not valid: must not be seen
    setattr.size = 55;
    setattr.mtime = 66;
    setattr.mtimensec = 77;
    to.push_back(one("setattr",
                     Opcode::setattr,
                     Message().add(setattr),
                     "setattr 1 - mode=640 uid=33 gid=0 size=55 atime=now mtime=66.77 ctime=- "
                     "owner=0 kill=true",
                     attributes));

    wire::StatxOut statx{};
    statx.attr_valid = 2;
    statx.stat.mask = 0x7ff;
    statx.stat.size = 0x2222;
    statx.stat.btime = {.tv_sec = 12, .tv_nsec = 34, .reserved = 0};
    to.push_back(
        one("statx",
            Opcode::statx,
            Message().add(wire::StatxIn{
                .getattr_flags = 0, .reserved = 0, .fh = 5, .sx_flags = 2, .sx_mask = 0x7ff}),
            "statx 1 - 2 0x7ff",
            Message().add(statx)));
    to.push_back(with_room(
        one("readlink", Opcode::readlink, {}, "readlink 1", Message().add_text("to/there")),
        4095));
    to.push_back(one("access",
                     Opcode::access,
                     Message().add(wire::AccessIn{.mask = 6, .padding = 0}),
                     "access 1 6"));
    to.push_back(one("statfs",
                     Opcode::statfs,
                     {},
                     "statfs 1",
                     Message().add(wire::StatfsOut{.blocks = 1,
                                                   .bfree = 2,
                                                   .bavail = 3,
                                                   .files = 4,
                                                   .ffree = 5,
                                                   .bsize = 6,
                                                   .namelen = 8,
                                                   .frsize = 7,
                                                   .padding = 0,
                                                   .spare = {}})));
    to.push_back(
        one("syncfs", Opcode::syncfs, Message().add(wire::SyncfsIn{.padding = 0}), "syncfs 1"));
}

void add_files(std::vector<OperationCase>& to) {
    to.push_back(one("open",
                     Opcode::open,
                     Message().add(wire::OpenIn{.flags = O_RDWR | O_TRUNC | O_EXCL,
                                                .open_flags = wire::open_kill_suidgid}),
                     "open 1 1002 true",
                     Message().add(open_out(2))));
    to.push_back(one("read",
                     Opcode::read,
                     Message().add(read_in(100, 9)),
                     "read 1 fh5 100 9 2",
                     Message().fill(9, std::byte{'d'})));
    const wire::WriteIn write{.fh = 5,
                              .offset = 200,
                              .size = 7,
                              .write_flags = wire::write_cache | wire::write_kill_suidgid,
                              .lock_owner = 0,
                              .flags = O_WRONLY,
                              .padding = 0};
    to.push_back(one("write",
                     Opcode::write,
                     Message().add(write).add_text("written"),
                     "write 1 fh5 200 7 1 true true written",
                     Message().add(wire::WriteOut{.size = 7, .padding = 0})));
    to.push_back(
        one("flush",
            Opcode::flush,
            Message().add(wire::FlushIn{.fh = 5, .unused = 0, .padding = 0, .lock_owner = 77}),
            "flush 1 fh5 77"));
    const wire::ReleaseIn release{
        .fh = 5,
        .flags = O_RDWR,
        .release_flags = wire::release_flush | wire::release_flock_unlock,
        .lock_owner = 77};
    to.push_back(
        one("release", Opcode::release, Message().add(release), "release 1 fh5 2 77 true"));
    to.push_back(one("fsync",
                     Opcode::fsync,
                     Message().add(wire::FsyncIn{
                         .fh = 5, .fsync_flags = wire::fsync_fdatasync, .padding = 0}),
                     "fsync 1 fh5 true"));
    to.push_back(one("fallocate",
                     Opcode::fallocate,
                     Message().add(wire::FallocateIn{
                         .fh = 5, .offset = 10, .length = 20, .mode = 3, .padding = 0}),
                     "fallocate 1 fh5 3 10 20"));
    to.push_back(
        one("lseek",
            Opcode::lseek,
            Message().add(wire::LseekIn{.fh = 5, .offset = 10, .whence = 3, .padding = 0}),
            "lseek 1 fh5 10 3",
            Message().add(wire::LseekOut{.offset = 0x6666})));
    to.push_back(one("copy_file_range",
                     Opcode::copy_file_range,
                     Message().add(copy_in()),
                     "copy_file_range 1 fh5 10 3 fh6 20 30",
                     Message().add(wire::WriteOut{.size = 30, .padding = 0})));
    to.push_back(one("copy_file_range_64",
                     Opcode::copy_file_range_64,
                     Message().add(copy_in()),
                     "copy_file_range 1 fh5 10 3 fh6 20 30",
                     Message().add(wire::CopyFileRangeOut{.bytes_copied = 30})));
}

void add_directories(std::vector<OperationCase>& to) {
    to.push_back(one("opendir",
                     Opcode::opendir,
                     Message().add(wire::OpenIn{.flags = O_DIRECTORY, .open_flags = 0}),
                     "opendir 1 200000",
                     Message().add(open_out(0))));
    // Names of 5 bytes: 24 + 5 is padded to 32; plus: 128 + 24 + 5 to 160.
    to.push_back(with_room(one("readdir",
                               Opcode::readdir,
                               Message().add(read_in(1, 4096)),
                               "readdir 1 fh5 1",
                               Message()
                                   .add(dirent(1))
                                   .add_text("name1")
                                   .fill(3)
                                   .add(dirent(2))
                                   .add_text("name2")
                                   .fill(3)),
                           4096));
    to.push_back(
        with_room(one("readdirplus",
                      Opcode::readdirplus,
                      Message().add(read_in(2, 4096)),
                      "readdirplus 1 fh5 2",
                      Message().add(entry_out()).add(dirent(2)).add_text("name2").fill(3)),
                  4096));
    to.push_back(one("releasedir",
                     Opcode::releasedir,
                     Message().add(wire::ReleaseIn{
                         .fh = 5, .flags = 0, .release_flags = 0, .lock_owner = 0}),
                     "releasedir 1 fh5"));
    to.push_back(one("fsyncdir",
                     Opcode::fsyncdir,
                     Message().add(wire::FsyncIn{.fh = 5, .fsync_flags = 0, .padding = 0}),
                     "fsyncdir 1 fh5 false"));
}

void add_rest(std::vector<OperationCase>& to) {
    to.push_back(one("setxattr",
                     Opcode::setxattr,
                     Message()
                         .add(wire::SetxattrIn{.size = 3,
                                               .flags = 1,
                                               .setxattr_flags = wire::setxattr_acl_kill_sgid,
                                               .padding = 0})
                         .add_string("user.a")
                         .add_text("abc"),
                     "setxattr 1 user.a abc 1 true"));
    to.push_back(with_room(
        one("getxattr",
            Opcode::getxattr,
            Message().add(wire::GetxattrIn{.size = 9, .padding = 0}).add_string("user.a"),
            "getxattr 1 user.a 9",
            Message().add_text("value")),
        9));
    to.push_back(
        one("getxattr of size 0",
            Opcode::getxattr,
            Message().add(wire::GetxattrIn{.size = 0, .padding = 0}).add_string("user.a"),
            "getxattr 1 user.a 0",
            Message().add(wire::GetxattrOut{.size = 5, .padding = 0})));
    to.push_back(with_room(one("listxattr",
                               Opcode::listxattr,
                               Message().add(wire::GetxattrIn{.size = 32, .padding = 0}),
                               "listxattr 1 32",
                               Message().add_string("user.a").add_string("user.b")),
                           32));
    to.push_back(one("removexattr",
                     Opcode::removexattr,
                     Message().add_string("user.a"),
                     "removexattr 1 user.a"));
    to.push_back(one("getlk",
                     Opcode::getlk,
                     Message().add(lk_in(0)),
                     "getlk 1 fh5 1",
                     Message().add(wire::LkOut{.lk = lk_in(0).lk})));
    to.push_back(one("setlk",
                     Opcode::setlk,
                     Message().add(lk_in(wire::lk_flock)),
                     "setlk 1 fh5 flock 77 1..9 1 wait=false"));
    to.push_back(one("setlkw",
                     Opcode::setlkw,
                     Message().add(lk_in(0)),
                     "setlk 1 fh5 posix 77 1..9 1 wait=true"));
    to.push_back(one("bmap",
                     Opcode::bmap,
                     Message().add(wire::BmapIn{.block = 4, .blocksize = 512, .padding = 0}),
                     "bmap 1 4 512",
                     Message().add(wire::BmapOut{.block = 0x6666})));
    to.push_back(
        one("ioctl",
            Opcode::ioctl,
            Message()
                .add(wire::IoctlIn{
                    .fh = 5, .flags = 0, .cmd = 11, .arg = 12, .in_size = 2, .out_size = 3})
                .add_text("in"),
            "ioctl 1 fh5 11 12 in",
            Message()
                .add(wire::IoctlOut{.result = 9, .flags = 0, .in_iovs = 0, .out_iovs = 0})
                .add_text("ooo")));
    to.push_back(one("poll",
                     Opcode::poll,
                     Message().add(wire::PollIn{.fh = 5, .kh = 0, .flags = 1, .events = 5}),
                     "poll 1 fh5 5",
                     Message().add(wire::PollOut{.revents = 5, .padding = 0})));
}

}  // namespace

const std::vector<OperationCase>& operation_cases() {
    static const std::vector<OperationCase> cases = [] {
        std::vector<OperationCase> made;
        add_names(made);
        add_inodes(made);
        add_files(made);
        add_directories(made);
        add_rest(made);
        return made;
    }();
    return cases;
}

}  // namespace dpfs::fuse::test
