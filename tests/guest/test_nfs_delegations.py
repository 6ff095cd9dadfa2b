"""Goal: while the server promises that nobody else changes a file (a read delegation), asking about
it and opening it again costs no request; what somebody else then does is seen as soon as it
is done, and holds nobody up.

Method: one process with two devices, each a client of its own, both mounted in one guest, and
the server's own shell as a third user. What was answered without a request is counted by the
daemon's statistics.
"""

from __future__ import annotations

import unittest

import settings
import vm
from case import MOUNT
from nfs_case import OTHER, RECOVERY_TIMEOUT_S, NfsCase, is_about_nfs

FILE_COUNT = 20
ROUNDS = 20

# Opens, reads and asks about the file again and again; each time it sees one version in whole,
# and never an older one than before.
READER = f"""
last=0
while [ ! -e /tmp/enough ]; do
    text=$(cat {MOUNT}/versions) || exit 1
    version=${{text%% *}}
    [ "$text" = "$version of {ROUNDS}" ] || {{ echo "torn: $text"; exit 1; }}
    [ $version -ge $last ] || {{ echo "$version after $last"; exit 1; }}
    [ $(stat -c %s {MOUNT}/versions) -ge 6 ] || exit 1
    [ $version = $last ] || echo saw
    last=$version
done
"""


@is_about_nfs
@unittest.skipUnless(settings.current.nfs_server == "knfsd", "this server gives no delegations")
class Delegations(NfsCase):
    """A server that gives read delegations."""

    def begin_with_files(self) -> vm.Guest:
        guest = self.begin_two()
        guest.check(f"for i in $(seq {FILE_COUNT}); do echo $i > {OTHER}/f$i; done; sync")
        return guest

    def counts(self) -> dict[str, int]:
        """`held`, `used` and `recalled` of the first device."""
        return self.daemon.statistics("dpfs", "delegations")

    def read_all(self, guest: vm.Guest) -> None:
        guest.check(f"for i in $(seq {FILE_COUNT}); do cat {MOUNT}/f$i > /dev/null; done")

    def hold_all(self, guest: vm.Guest) -> None:
        """Until every file is delegated: opening it is what asks for that."""
        self.read_all(guest)
        self.assertEqual(self.counts()["held"], FILE_COUNT)

    def delegations_at_server(self) -> int:
        states = self.server.run("cat /proc/fs/nfsd/clients/*/states")
        return states.count("type: deleg")

    def test_answers_without_a_request(self) -> None:
        guest = self.begin_with_files()
        self.hold_all(guest)
        self.assertEqual(self.delegations_at_server(), FILE_COUNT)
        before = self.counts()["used"]
        self.read_all(guest)
        guest.check(f"cd {MOUNT}; stat f1 > /dev/null; cmp f1 {OTHER}/f1")
        self.assertGreaterEqual(self.counts()["used"], before + FILE_COUNT)
        guest.stop()

    def test_cached_data_outlive_a_close(self) -> None:
        guest = self.begin_two()
        guest.check(f"cp /tmp/data {OTHER}/f")
        # The first one gets the delegation; under it the second one's name and data stay known.
        guest.check(f"cmp /tmp/data {MOUNT}/f; cmp /tmp/data {MOUNT}/f", RECOVERY_TIMEOUT_S)
        before = self.daemon.statistics("dpfs", "operation=READ")["count"]
        guest.check(f"cmp /tmp/data {MOUNT}/f", RECOVERY_TIMEOUT_S)
        self.assertEqual(self.daemon.statistics("dpfs", "operation=READ")["count"], before)
        guest.check(f"echo new > {OTHER}/f; [ $(cat {MOUNT}/f) = new ]", RECOVERY_TIMEOUT_S)
        guest.stop()

    def test_second_client_is_seen_at_once(self) -> None:
        guest = self.begin_with_files()
        self.hold_all(guest)
        guest.check(
            f"for i in $(seq {FILE_COUNT}); do"
            f" echo more $i >> {OTHER}/f$i || exit 1;"
            f" [ $(stat -c %s {MOUNT}/f$i) = $(stat -c %s {OTHER}/f$i) ] || exit 2;"
            f' [ "$(tail -n 1 {MOUNT}/f$i)" = "more $i" ] || exit 3;'
            " done",
            RECOVERY_TIMEOUT_S,
        )
        self.assertEqual(self.counts()["recalled"], FILE_COUNT)
        guest.stop()

    def test_every_kind_of_change_is_seen(self) -> None:
        guest = self.begin_with_files()
        self.hold_all(guest)
        guest.check(f"chmod 600 {OTHER}/f1; [ $(stat -c %a {MOUNT}/f1) = 600 ]")
        guest.check(f"truncate -s 1000 {OTHER}/f2; [ $(stat -c %s {MOUNT}/f2) = 1000 ]")
        guest.check(f"ln {OTHER}/f3 {OTHER}/link; [ $(stat -c %h {MOUNT}/f3) = 2 ]")
        guest.check(f"mv {OTHER}/f4 {OTHER}/f5; [ $(cat {MOUNT}/f5) = 4 ]; [ ! -e {MOUNT}/f4 ]")
        guest.check(f"rm {OTHER}/f6; [ ! -e {MOUNT}/f6 ]")
        guest.check(f"touch -d @1 {OTHER}/f7; [ $(stat -c %Y {MOUNT}/f7) = 1 ]")
        # Our own changes end it too.
        guest.check(f"echo new > {MOUNT}/f8; [ $(cat {OTHER}/f8) = new ] && cmp {OTHER}/f8 {MOUNT}/f8")
        guest.stop()

    def test_server_itself_is_seen_at_once(self) -> None:
        guest = self.begin_with_files()
        self.hold_all(guest)
        self.run_on_server("echo third > f1; chmod 640 f2; rm f3")
        self.assertEqual(guest.check(f"cd {MOUNT}; cat f1; stat -c %a f2"), "third\n640\n")
        guest.check(f"[ ! -e {MOUNT}/f3 ]")
        guest.stop()

    def test_reader_sees_each_version_in_whole(self) -> None:
        guest = self.begin_with_files()
        guest.check(f"echo 0 of {ROUNDS} > {OTHER}/versions")
        reader = guest.start(READER)
        for number in range(1, ROUNDS + 1):
            new = f"echo {number} of {ROUNDS} > {OTHER}/.new && mv {OTHER}/.new {OTHER}/versions"
            guest.check(new, RECOVERY_TIMEOUT_S)
            self.assertEqual(reader.read_line(RECOVERY_TIMEOUT_S), "saw")
        guest.check("touch /tmp/enough")
        outcome = reader.wait(RECOVERY_TIMEOUT_S)
        self.assertEqual(outcome.code, 0, outcome.text)
        guest.stop()

    def test_open_file_gives_way_and_stays_open(self) -> None:
        guest = self.begin_with_files()
        guest.check(f"cp /tmp/data {OTHER}/f1; sync")
        reader = guest.start(f"exec 3< {MOUNT}/f1; echo open; read go; sha256sum <&3")
        reader.wait_for_output(b"open")
        self.assertEqual(self.counts()["held"], 1)
        # Not through the second client's cache: the server has it when this is done.
        guest.check(f"dd if=/dev/zero of={OTHER}/f1 bs=1M count=32 conv=notrunc,fsync 2>/dev/null")
        self.assertEqual(self.counts()["recalled"], 1)
        reader.write(b"go\n")
        outcome = reader.wait(RECOVERY_TIMEOUT_S)
        self.assertEqual(outcome.code, 0)
        self.assertIn(self.digest_on_server("f1"), outcome.text)
        guest.stop()

    def test_outlives_a_crash_of_the_server(self) -> None:
        guest = self.begin_with_files()
        self.hold_all(guest)
        self.crash()
        guest.check(f"cat {MOUNT}/f1 {OTHER}/f1 > /dev/null", RECOVERY_TIMEOUT_S)
        self.assertIn("open files reclaimed", self.daemon.log.read_text())
        self.assertEqual(self.counts()["held"], FILE_COUNT)
        before = self.counts()["used"]
        self.read_all(guest)
        self.assertGreaterEqual(self.counts()["used"], before + FILE_COUNT)
        guest.check(
            f"for i in $(seq {FILE_COUNT}); do"
            f" echo again $i > {OTHER}/f$i; [ \"$(cat {MOUNT}/f$i)\" = \"again $i\" ] || exit 1;"
            " done",
            RECOVERY_TIMEOUT_S,
        )  # fmt: skip
        guest.stop()

    def test_none_is_left_when_the_tenant_forgets_or_leaves(self) -> None:
        guest = self.begin_with_files()
        self.hold_all(guest)
        guest.check("echo 3 > /proc/sys/vm/drop_caches; stat -f /mnt/fs")
        guest.check(f"umount {MOUNT}")
        self.assertEqual(self.counts()["held"], 0)
        self.assertEqual(self.delegations_at_server(), 0)
        guest.stop()
