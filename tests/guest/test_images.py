"""Goal: scripts/debian_packages.py finds Debian's mirror in whatever form a machine's apt has it.

Method: its parser is given sources in both formats, with third parties beside Debian.
"""

from __future__ import annotations

import sys
import unittest

import images

sys.path.insert(0, str(images.REPOSITORY / "scripts"))
import debian_packages  # noqa: E402

ONE_LINE = """
# deb http://commented.example/debian bookworm main
deb cdrom:[Debian 12]/ bookworm main
deb [arch=amd64 signed-by=/keys/tool.gpg] https://tool.example/linux bookworm main
deb-src http://mirror.example/debian bookworm main
deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.example/pub/debian/ bookworm main contrib # ours
"""

DEB822 = """\
# A third party whose suite has Debian's name.
Types: deb
URIs: https://tool.example/linux
Suites: bookworm
Components: main

Enabled: no
Types: deb
URIs: http://disabled.example/debian
Suites: bookworm
Components: main

Types: deb deb-src
# http://snapshot.example/
URIs: http://mirror.example/debian
Suites: bookworm
 bookworm-updates
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 -----END PGP PUBLIC KEY BLOCK-----
"""


class MachineSources(unittest.TestCase):
    """Which entry becomes the source of the private apt."""

    def test_one_line_format(self) -> None:
        sources = list(debian_packages.sources_of_one_line_file(ONE_LINE))
        chosen = debian_packages.choose_debian(sources)
        self.assertEqual(chosen.uri, "http://mirror.example/pub/debian/")
        self.assertEqual(chosen.components, ["main", "contrib"])
        key = "/usr/share/keyrings/debian-archive-keyring.gpg"
        self.assertEqual(chosen.options, {"Signed-By": key})

    def test_deb822_format(self) -> None:
        sources = list(debian_packages.sources_of_deb822_file(DEB822))
        self.assertNotIn("http://disabled.example/debian", [s.uri for s in sources])
        chosen = debian_packages.choose_debian(sources)
        self.assertEqual(chosen.uri, "http://mirror.example/debian")
        self.assertEqual(chosen.suites, ["bookworm", "bookworm-updates"])
        self.assertIn("\n .\n", chosen.options["Signed-By"])

    def test_no_debian_is_an_error(self) -> None:
        with self.assertRaises(debian_packages.Failure):
            debian_packages.choose_debian([])
