// SPDX-License-Identifier: Apache-2.0
#include "fuse/operations.hpp"
#include "fuse/wire_file.hpp"
#include "fuse/wire_init.hpp"
#include "fuse/wire_inode.hpp"

#include <array>
#include <utility>

namespace dpfs::fuse {
namespace {

using Table = std::array<Operation, wire::opcode_count>;
using Kind = Operation::Kind;

template <class... Structs>
constexpr std::uint16_t size_of =
    (std::uint16_t{0} + ... + static_cast<std::uint16_t>(sizeof(Structs)));

struct Row {
    wire::Opcode opcode;
    Operation operation;
};

constexpr Row normal(wire::Opcode opcode,
                     std::string_view name,
                     std::uint16_t arguments_size_min,
                     std::uint16_t payload_size_min,
                     Answer (*handler)(Session&, Call&)) {
    return {opcode,
            {.name = name,
             .kind = Kind::normal,
             .arguments_size_min = arguments_size_min,
             .payload_size_min = payload_size_min,
             .handler = handler}};
}

constexpr Row of_kind(Row row, Kind kind) {
    row.operation.kind = kind;
    return row;
}

using namespace wire;  // NOLINT: the structs' names, for the table below

constexpr std::uint16_t created_size = size_of<EntryOut, OpenOut>;

// Names of rows are the protocol's; columns: smallest arguments, room for the reply.
// clang-format off
constexpr std::array rows = {
    normal(Opcode::lookup, "LOOKUP", 1, size_of<EntryOut>, op::lookup),
    of_kind(normal(Opcode::forget, "FORGET", size_of<ForgetIn>, 0, op::forget), Kind::no_reply),
    normal(Opcode::getattr, "GETATTR", size_of<GetattrIn>, size_of<AttrOut>, op::getattr),
    normal(Opcode::setattr, "SETATTR", size_of<SetattrIn>, size_of<AttrOut>, op::setattr),
    normal(Opcode::readlink, "READLINK", 0, 1, op::readlink),
    normal(Opcode::symlink, "SYMLINK", 1, size_of<EntryOut>, op::symlink),
    normal(Opcode::mknod, "MKNOD", size_of<MknodIn> + 1, size_of<EntryOut>, op::mknod),
    normal(Opcode::mkdir, "MKDIR", size_of<MkdirIn> + 1, size_of<EntryOut>, op::mkdir),
    normal(Opcode::unlink, "UNLINK", 1, 0, op::unlink),
    normal(Opcode::rmdir, "RMDIR", 1, 0, op::rmdir),
    normal(Opcode::rename, "RENAME", size_of<RenameIn> + 2, 0, op::rename),
    normal(Opcode::link, "LINK", size_of<LinkIn> + 1, size_of<EntryOut>, op::link),
    normal(Opcode::open, "OPEN", size_of<OpenIn>, size_of<OpenOut>, op::open),
    normal(Opcode::read, "READ", size_of<ReadIn>, 0, op::read),
    normal(Opcode::write, "WRITE", size_of<WriteIn>, size_of<WriteOut>, op::write),
    normal(Opcode::statfs, "STATFS", 0, size_of<StatfsOut>, op::statfs),
    normal(Opcode::release, "RELEASE", size_of<ReleaseIn>, 0, op::release),
    normal(Opcode::fsync, "FSYNC", size_of<FsyncIn>, 0, op::fsync),
    normal(Opcode::setxattr, "SETXATTR", compat_setxattr_in_size + 1, 0, op::setxattr),
    normal(Opcode::getxattr, "GETXATTR", size_of<GetxattrIn> + 1, 0, op::getxattr),
    normal(Opcode::listxattr, "LISTXATTR", size_of<GetxattrIn>, 0, op::listxattr),
    normal(Opcode::removexattr, "REMOVEXATTR", 1, 0, op::removexattr),
    normal(Opcode::flush, "FLUSH", size_of<FlushIn>, 0, op::flush),
    of_kind(normal(Opcode::init, "INIT", size_of<InitInCompat>, 0, op::init), Kind::transition),
    normal(Opcode::opendir, "OPENDIR", size_of<OpenIn>, size_of<OpenOut>, op::opendir),
    normal(Opcode::readdir, "READDIR", size_of<ReadIn>, 0, op::readdir),
    normal(Opcode::releasedir, "RELEASEDIR", size_of<ReleaseIn>, 0, op::releasedir),
    normal(Opcode::fsyncdir, "FSYNCDIR", size_of<FsyncIn>, 0, op::fsyncdir),
    normal(Opcode::getlk, "GETLK", size_of<LkIn>, size_of<LkOut>, op::getlk),
    normal(Opcode::setlk, "SETLK", size_of<LkIn>, 0, op::setlk),
    normal(Opcode::setlkw, "SETLKW", size_of<LkIn>, 0, op::setlkw),
    normal(Opcode::access, "ACCESS", size_of<AccessIn>, 0, op::access),
    normal(Opcode::create, "CREATE", size_of<CreateIn> + 1, created_size, op::create),
    of_kind(normal(Opcode::interrupt, "INTERRUPT", size_of<InterruptIn>, 0, op::interrupt), Kind::no_reply),
    normal(Opcode::bmap, "BMAP", size_of<BmapIn>, size_of<BmapOut>, op::bmap),
    of_kind(normal(Opcode::destroy, "DESTROY", 0, 0, op::destroy), Kind::transition),
    normal(Opcode::ioctl, "IOCTL", size_of<IoctlIn>, size_of<IoctlOut>, op::ioctl),
    normal(Opcode::poll, "POLL", size_of<PollIn>, size_of<PollOut>, op::poll),
    of_kind(normal(Opcode::batch_forget, "BATCH_FORGET", size_of<BatchForgetIn>, 0, op::batch_forget), Kind::no_reply),
    normal(Opcode::fallocate, "FALLOCATE", size_of<FallocateIn>, 0, op::fallocate),
    normal(Opcode::readdirplus, "READDIRPLUS", size_of<ReadIn>, 0, op::readdirplus),
    normal(Opcode::rename2, "RENAME2", size_of<Rename2In> + 2, 0, op::rename2),
    normal(Opcode::lseek, "LSEEK", size_of<LseekIn>, size_of<LseekOut>, op::lseek),
    normal(Opcode::copy_file_range, "COPY_FILE_RANGE", size_of<CopyFileRangeIn>, size_of<WriteOut>, op::copy_file_range),
    normal(Opcode::syncfs, "SYNCFS", size_of<SyncfsIn>, 0, op::syncfs),
    normal(Opcode::tmpfile, "TMPFILE", size_of<CreateIn>, created_size, op::tmpfile),
    normal(Opcode::statx, "STATX", size_of<StatxIn>, size_of<StatxOut>, op::statx),
    normal(Opcode::copy_file_range_64, "COPY_FILE_RANGE_64", size_of<CopyFileRangeIn>, size_of<CopyFileRangeOut>, op::copy_file_range_64),
};
// clang-format on

constexpr Table table = [] {
    Table filled{};
    for (const Row& row : rows) filled[std::to_underlying(row.opcode)] = row.operation;
    return filled;
}();

}  // namespace

const Operation* find_operation(std::uint32_t opcode) noexcept {
    if (opcode >= table.size() || table[opcode].handler == nullptr) return nullptr;
    return &table[opcode];
}

}  // namespace dpfs::fuse
