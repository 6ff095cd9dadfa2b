"""Goal: with nfs_silly_rename = "auto" an open file that was removed outlives its server's crash,
and nothing of it stays when it is closed.

Method: a guest removes, or renames over, a file that it reads after the server was killed.
"""

from __future__ import annotations

import settings
from case import MOUNT
from nfs_case import RECOVERY_TIMEOUT_S, NfsCase, is_about_nfs

# What {remove} does to `gone` must leave the file that descriptor 3 stands for.
HOLDER = """
cd {mount}; cat /tmp/data > gone; exec 3< gone
{remove}
stat -Lc 'links %h' /proc/self/fd/3; echo removed; read go
echo 3 > /proc/sys/vm/drop_caches; cmp /tmp/data - <&3 || exit 1
exec 3<&-
"""


@is_about_nfs
class SillyRename(NfsCase):
    """A server that keeps removed files only as long as it lives."""

    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(
            setattr, settings.current, "serve_options", settings.current.serve_options
        )
        words = ["--nfs-silly-rename", "auto"]
        settings.current.serve_options = [*settings.current.serve_options, *words]

    def outlive_a_crash(self, remove: str, left: list[str]) -> None:
        guest = self.begin()
        holder = guest.start(HOLDER.format(mount=MOUNT, remove=remove))
        holder.wait_for_output(b"links 0\nremoved", RECOVERY_TIMEOUT_S)
        names = sorted(self.run_on_server("ls -A").split())
        self.assertEqual(len(names), len(left) + 1, names)
        self.assertTrue(names[0].startswith(".nfs"), names)
        self.crash()
        holder.write(b"go\n")
        self.expect_success(holder)
        # The close is the tenant's last word, and is answered before the server has heard it.
        guest.check(f"sync -f {MOUNT}", RECOVERY_TIMEOUT_S)
        guest.stop()
        self.assertEqual(self.run_on_server("ls -A").split(), left)

    def test_removed_file_outlives_the_server(self) -> None:
        self.outlive_a_crash("rm gone", [])

    def test_file_that_was_renamed_over_outlives_the_server(self) -> None:
        self.outlive_a_crash("echo new > new; mv new gone", ["gone"])
