// SPDX-License-Identifier: Apache-2.0
#include "fs/nfs/file_mode.hpp"

#include <dirent.h>
#include <sys/stat.h>

namespace dpfs::nfs {

using nfs4::FileType;

std::uint32_t type_bits_of(FileType type) noexcept {
    switch (type) {
        case FileType::regular:
            return S_IFREG;
        case FileType::directory:
            return S_IFDIR;
        case FileType::block:
            return S_IFBLK;
        case FileType::character:
            return S_IFCHR;
        case FileType::link:
            return S_IFLNK;
        case FileType::socket:
            return S_IFSOCK;
        case FileType::fifo:
            return S_IFIFO;
    }
    return S_IFREG;
}

std::uint32_t dirent_type_of(FileType type) noexcept {
    return IFTODT(type_bits_of(type));
}

Result<FileType> made_type_of(std::uint32_t mode) noexcept {
    switch (mode & S_IFMT) {
        case 0:
        case S_IFREG:
            return FileType::regular;
        case S_IFBLK:
            return FileType::block;
        case S_IFCHR:
            return FileType::character;
        case S_IFIFO:
            return FileType::fifo;
        case S_IFSOCK:
            return FileType::socket;
        default:
            return fail(Errno::invalid);
    }
}

std::uint32_t set_id_bits(std::uint32_t mode) noexcept {
    std::uint32_t bits = mode & S_ISUID;
    if ((mode & S_IXGRP) != 0) bits |= mode & S_ISGID;
    return bits;
}

std::uint32_t encode(DeviceNumber device) noexcept {
    return (device.minor & 0xff) | (device.major << 8) |
           ((device.minor & ~std::uint32_t{0xff}) << 12);
}

DeviceNumber decode_device(std::uint32_t rdev) noexcept {
    return {.major = (rdev >> 8) & 0xfff, .minor = (rdev & 0xff) | ((rdev >> 12) & 0xfff00)};
}

}  // namespace dpfs::nfs
