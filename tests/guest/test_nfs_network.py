"""Goal: a network that breaks connections, and a server that puts requests off, cost a tenant
time and nothing else: no byte is wrong, and nothing is done twice.

Method: a proxy between the daemon and a real server, and a guest that checks all that it does.
"""

from __future__ import annotations

import functools
import threading
import time

import vm
from case import MOUNT
from nfs_case import RECOVERY_TIMEOUT_S, NfsCase, is_about_nfs
from tcp_proxy import TcpProxy

CUT_SECONDS = 60
DELAY_EVERY = 5

# Writes, reads back past the cache, and changes names: whatever is lost or done twice ends it.
# `mkdir` of a name that is there, or `mv` of one that is not, fails.
WORK = f"""
cd {MOUNT}; round=0
while [ ! -e /tmp/enough ] || [ $round -lt 2 ]; do
    dd if=/tmp/data of=copy bs=64k conv=fsync 2> /dev/null || exit 1
    echo 3 > /proc/sys/vm/drop_caches
    cmp /tmp/data copy || exit 2
    for i in 0 1 2 3 4 5 6 7 8 9; do
        mkdir a$i && mv a$i b$i && rmdir b$i || exit 3
        echo $round > f$i && ln f$i g$i && mv g$i h$i && rm f$i h$i || exit 4
    done
    round=$((round + 1)); echo round $round
done
"""


@is_about_nfs
class Network(NfsCase):
    """What lies between the daemon and its server."""

    def finish(self, guest: vm.Guest, work) -> None:
        guest.check("touch /tmp/enough", RECOVERY_TIMEOUT_S)
        outcome = work.wait(RECOVERY_TIMEOUT_S)
        self.assertEqual(outcome.code, 0, outcome.text)
        self.expect_noise(guest, "copy")
        self.assertEqual(self.run_on_server("ls").split(), ["copy"])
        guest.stop()

    def test_connection_cut_every_second_for_a_minute(self) -> None:
        guest = self.begin(proxy=TcpProxy)
        proxy = self.daemon.proxy
        work = guest.start(WORK)
        pace = threading.Event()  # never set: it is the clock of the cuts
        end = time.monotonic() + CUT_SECONDS
        while time.monotonic() < end and work.running:
            pace.wait(1)
            proxy.cut()
        self.assertGreater(proxy.cut_count, CUT_SECONDS // 2)
        self.finish(guest, work)

    def test_server_puts_every_fifth_request_off(self) -> None:
        guest = self.begin(proxy=functools.partial(TcpProxy, delay_every=DELAY_EVERY))
        work = guest.start(WORK)
        work.read_line(RECOVERY_TIMEOUT_S)
        self.finish(guest, work)
        self.assertGreater(self.daemon.proxy.delay_count, 20)
