"""Goal: tenants that share a server's export see each other as NFS promises: close to open, locks
that exclude, and nothing that one of them holds back from the other.

Method: one process with two devices, each a client of its own, both mounted in one guest; and
the server's own shell as a third user.
"""

from __future__ import annotations

import knfsd
from case import MOUNT
from nfs_case import OTHER, RECOVERY_TIMEOUT_S, NfsCase, is_about_nfs

ROUNDS = 20


@is_about_nfs
class Tenants(NfsCase):
    """Two devices on one server."""

    def test_what_one_closes_the_other_opens(self) -> None:
        guest = self.begin_two()
        guest.check(
            f"for i in $(seq {ROUNDS}); do"
            f" echo one $i > {MOUNT}/f; [ \"$(cat {OTHER}/f)\" = \"one $i\" ] || exit 1;"
            f" echo other $i > {OTHER}/f; [ \"$(cat {MOUNT}/f)\" = \"other $i\" ] || exit 2;"
            " done",
            RECOVERY_TIMEOUT_S,
        )  # fmt: skip
        guest.check(f"dd if=/tmp/data of={MOUNT}/big bs=1M && cmp /tmp/data {OTHER}/big", 120)
        self.expect_noise(guest, "big")
        guest.stop()

    def test_reader_that_keeps_a_file_open_gives_way_to_a_writer(self) -> None:
        guest = self.begin_two()
        guest.check(f"echo first > {MOUNT}/f")
        # Opened and read again and again: where there are delegations, it is granted one.
        guest.check(f"for i in 1 2 3 4 5; do cat {MOUNT}/f > /dev/null; done")
        reader = guest.start(f"exec 3< {MOUNT}/f; echo open; read go; cat {MOUNT}/f")
        reader.wait_for_output(b"open")
        guest.check(f"echo second > {OTHER}/f", RECOVERY_TIMEOUT_S)
        reader.write(b"go\n")
        self.assertEqual(reader.wait(RECOVERY_TIMEOUT_S).text, "open\nsecond\n")
        # nfs-ganesha keeps attributes of its own, and would not see what the host did.
        if isinstance(self.server, knfsd.Knfsd):
            self.run_on_server("echo third > f")
            self.assertEqual(guest.check(f"cat {MOUNT}/f {OTHER}/f"), "third\nthird\n")
        guest.stop()

    def test_locks_of_one_exclude_the_other(self) -> None:
        guest = self.begin_two()
        holder = guest.start(f"flock {MOUNT}/locked sh -c 'echo held; cat'")
        holder.wait_for_output(b"held")
        guest.check(f"! flock -n {OTHER}/locked true")
        waiter = guest.start(f"flock {OTHER}/locked echo mine")
        guest.check(f"! flock -n {MOUNT}/locked true")
        self.assertTrue(waiter.running)
        holder.end_input()
        self.assertEqual(holder.wait().code, 0)
        self.assertEqual(waiter.wait().text, "mine\n")
        guest.stop()

    def test_each_has_a_client_of_its_own(self) -> None:
        guest = self.begin_two()
        writers = [
            guest.start(f"dd if=/tmp/data of={where}/copy{number} bs=64k conv=fsync")
            for number, where in enumerate((MOUNT, OTHER))
        ]
        self.wait_until_grows("copy0")
        self.wait_until_grows("copy1")
        self.crash()
        for writer in writers:
            self.expect_success(writer)
        self.expect_noise(guest, "copy0", "copy1")
        if isinstance(self.server, knfsd.Knfsd):
            clients = self.server.run("ls /proc/fs/nfsd/clients").split()
            self.assertEqual(len(clients), 2)
        guest.stop()
