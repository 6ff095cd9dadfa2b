"""Goal: a full disk and an exhausted quota reach the program that hit them, as what they are.

Method: the served directory is a small file system in memory, or a small ext4 with quotas in a
loop device. Needs root and loop devices; where the host cannot do that, the test says so.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import unittest
from pathlib import Path

from case import SharedGuestCase, for_each_backend, new_folder, remove_folder

TMPFS_SIZE = 8 << 20
QUOTA_USER = 1001
QUOTA_KIB = 1024

AS_QUOTA_USER = f"setpriv --reuid {QUOTA_USER} --regid {QUOTA_USER} --clear-groups"


def mount(case: type[SharedGuestCase], *arguments: str | Path) -> Path:
    """Mounts a file system on a new folder for as long as the class runs."""
    folder = new_folder(case.__name__)
    case.addClassCleanup(remove_folder, folder)
    done = subprocess.run(["mount", *arguments, folder], capture_output=True, text=True)
    if done.returncode != 0:
        raise unittest.SkipTest(f"this host cannot mount that: {done.stderr.strip()}")
    case.addClassCleanup(subprocess.run, ["umount", "-l", folder], check=True)
    return folder


def mount_image(
    case: type[SharedGuestCase], make: list[str], options: str, size: str = "64M"
) -> Path:
    """Makes a file system in a file and mounts it through a loop device."""
    images = new_folder("image")
    case.addClassCleanup(remove_folder, images)
    image = images / "disk"
    subprocess.run(["truncate", "-s", size, image], check=True)
    subprocess.run([*make, image], check=True, stdout=subprocess.DEVNULL)
    return mount(case, "-o", options, image)


class NoSpace(SharedGuestCase):
    """ENOSPC, for blocks and for inodes."""

    @classmethod
    def make_directory(cls) -> Path:
        options = f"size={TMPFS_SIZE},nr_inodes=300,mode=755"
        return mount(cls, "-t", "tmpfs", "-o", options, "tmpfs")

    def test_write_reports_a_full_disk(self) -> None:
        filled = self.guest.run(f"dd if=/dev/zero of={self.at}/big bs=64k conv=fsync", 120)
        self.assertEqual(filled.code, 1)
        self.assertIn("No space left on device", filled.text)
        size = (self.host / "big").stat().st_size
        self.assertGreater(size, TMPFS_SIZE // 2)
        self.guest.check(f"rm {self.at}/big && echo fits > {self.at}/small")
        self.assertEqual((self.host / "small").read_text(), "fits\n")

    def test_fallocate_reports_a_full_disk(self) -> None:
        asked = self.guest.run(f"fallocate -l {2 * TMPFS_SIZE} {self.at}/big")
        self.assertEqual(asked.code, 1)
        self.assertIn("No space left on device", asked.text)

    def test_create_reports_that_inodes_are_used_up(self) -> None:
        filled = self.guest.run(f"cd {self.at} && mkdir $(seq 1 400)")
        self.assertEqual(filled.code, 1)
        self.assertIn("No space left on device", filled.text)
        self.guest.check(f"cd {self.at} && rmdir [0-9]* && mkdir again")


class DiskQuotaBlock(ctypes.Structure):
    """struct dqblk of quotactl(2); sizes in KiB."""

    _fields_ = [
        ("hard_kib", ctypes.c_uint64),
        ("soft_kib", ctypes.c_uint64),
        ("used_size", ctypes.c_uint64),
        ("inodes_hard", ctypes.c_uint64),
        ("inodes_soft", ctypes.c_uint64),
        ("inodes_used", ctypes.c_uint64),
        ("blocks_time", ctypes.c_uint64),
        ("inodes_time", ctypes.c_uint64),
        ("valid", ctypes.c_uint32),
    ]


def set_user_quota(device: str, user: int, hard_kib: int) -> None:
    q_setquota, user_quota, block_limits = 0x800008, 0, 1  # <sys/quota.h>
    library = ctypes.CDLL(None, use_errno=True)
    limits = DiskQuotaBlock(hard_kib=hard_kib, soft_kib=hard_kib, valid=block_limits)
    command = ctypes.c_int(q_setquota << 8 | user_quota)
    if library.quotactl(command, device.encode(), user, ctypes.byref(limits)) != 0:
        code = ctypes.get_errno()
        raise unittest.SkipTest(f"this kernel sets no ext4 quotas: {os.strerror(code)}")


def ext4_with_quota(case: type[SharedGuestCase]) -> Path:
    folder = mount_image(case, ["mkfs.ext4", "-q", "-O", "quota"], "loop,usrquota")
    source = subprocess.run(
        ["findmnt", "-n", "-o", "SOURCE", folder], capture_output=True, text=True, check=True
    )
    set_user_quota(source.stdout.strip(), QUOTA_USER, QUOTA_KIB)
    return folder


def btrfs_with_quota(case: type[SharedGuestCase]) -> Path:
    """For kernels that are built without ext4's quotas: a limited subvolume says EDQUOT too."""
    if shutil.which("mkfs.btrfs") is None:
        raise unittest.SkipTest("no quotas in this kernel's ext4, and no mkfs.btrfs (btrfs-progs)")
    folder = mount_image(case, ["mkfs.btrfs", "-q"], "loop", size="160M")
    for command in (
        ["quota", "enable", folder],
        ["subvolume", "create", folder / "limited"],
        ["qgroup", "limit", f"{QUOTA_KIB}K", folder / "limited"],
    ):
        subprocess.run(["btrfs", *command], check=True, stdout=subprocess.DEVNULL)
    return folder / "limited"


class Quota(SharedGuestCase):
    """EDQUOT, where the disk has room but the user, or the folder, may not have more of it."""

    @classmethod
    def make_directory(cls) -> Path:
        try:
            return ext4_with_quota(cls)
        except unittest.SkipTest:
            return btrfs_with_quota(cls)

    def test_write_reports_an_exhausted_quota(self) -> None:
        self.host.chmod(0o777)
        fill = f"dd if=/dev/zero of={self.at}/big bs=64k count=64 conv=fsync"
        filled = self.guest.run(f"{AS_QUOTA_USER} {fill}", 120)
        self.assertEqual(filled.code, 1, filled.text)
        self.assertIn("Disk quota exceeded", filled.text)
        self.assertEqual((self.host / "big").stat().st_uid, QUOTA_USER)
        self.assertLessEqual((self.host / "big").stat().st_blocks * 512, QUOTA_KIB * 1024)


class Reserve(SharedGuestCase):
    """ext4 keeps blocks for root. A daemon that is root must not give them to users."""

    @classmethod
    def make_directory(cls) -> Path:
        return mount_image(cls, ["mkfs.ext4", "-q", "-m", "50"], "loop")

    def test_a_user_stops_at_the_reserve_and_root_does_not(self) -> None:
        self.require_dpfs("writes as root, whoever asked")
        self.host.chmod(0o777)
        size = os.statvfs(self.host)
        free_size = size.f_bavail * size.f_bsize
        fill = f"dd if=/dev/zero of={self.at}/user bs=64k conv=fsync"
        filled = self.guest.run(f"{AS_QUOTA_USER} {fill}", 120)
        self.assertIn("No space left on device", filled.text)
        self.assertLessEqual((self.host / "user").stat().st_size, free_size)
        self.guest.check(f"dd if=/dev/zero of={self.at}/root bs=64k count=64 conv=fsync")


for_each_backend(NoSpace)
for_each_backend(Quota)
for_each_backend(Reserve)
del NoSpace, Quota, Reserve  # only their variants are tests
