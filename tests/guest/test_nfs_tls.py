"""Goal: RPC-with-TLS carries a tenant's file system to a real NFS server, and nothing is carried
to a server that is not the right one: the reason is said at once, in one line.

Method: a proxy with TLS before a real server, certificates made for the test, and a guest that
checks all that it does; the refusals need no guest.
"""

from __future__ import annotations

import functools
import threading
import time
from pathlib import Path

import daemon
import settings
from case import MOUNT
from certificates import Authority, Certificate
from nfs_case import RECOVERY_TIMEOUT_S, NfsCase, is_about_nfs
from tcp_proxy import TcpProxy
from test_nfs_network import WORK
from tls_proxy import TlsProxy

NAME = "nas.test"
REFUSAL_TIME_MAX_S = 10  # nfs_start_time_s is 30: it must not be waited for
CUT_COUNT = 20


class TlsCase(NfsCase):
    """Certificates, and the words that make the daemon use them."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = self.new_socket_folder()
        self.authority = Authority(self.folder)
        self.good = self.authority.sign("server", f"DNS:{NAME}")

    def words(self, authority: Path, own: Certificate | None = None) -> list[str]:
        words = ["--nfs-tls", "on", "--nfs-tls-server-name", NAME]
        words += ["--nfs-tls-ca-file", str(authority)]
        if own is not None:
            words += ["--nfs-tls-certificate-file", str(own.certificate)]
            words += ["--nfs-tls-key-file", str(own.key)]
        return words


@is_about_nfs
class Tls(TlsCase):
    """What works."""

    def begin_with_tls(self, clients: Path | None = None, own: Certificate | None = None):
        words = self.words(self.authority.certificate, own)
        settings_before = settings.current.serve_options
        self.addCleanup(setattr, settings.current, "serve_options", settings_before)
        settings.current.serve_options = [*settings_before, *words]
        proxy = functools.partial(TlsProxy, certificate=self.good, clients=clients)
        return self.begin(proxy=proxy)

    def test_every_byte_arrives_with_certificates_on_both_sides(self) -> None:
        own = self.authority.sign("client", "DNS:client.test")
        guest = self.begin_with_tls(clients=self.authority.certificate, own=own)
        guest.check(f"dd if=/tmp/data of={MOUNT}/copy bs=1M conv=fsync 2> /dev/null")
        self.expect_noise(guest, "copy")
        guest.check(
            f"cd {MOUNT}; dd if=/tmp/data of=small bs=4k conv=fsync 2> /dev/null; "
            "mkdir a && mv a b && rmdir b && ln small linked && rm linked",
            RECOVERY_TIMEOUT_S,
        )
        self.expect_noise(guest, "small")
        proxy = self.daemon.proxy
        # Two threads, two connections; 32 MiB twice there and twice back.
        self.assertEqual(proxy.session_count, 2)
        self.assertGreater(proxy.bytes_count, 128 << 20)
        self.assertIn(f"verified as '{NAME}'", self.daemon.log.read_text())
        guest.stop()

    def test_sessions_cut_under_work(self) -> None:
        guest = self.begin_with_tls()
        proxy = self.daemon.proxy
        work = guest.start(WORK)
        pace = threading.Event()  # never set: it is the clock of the cuts
        for _ in range(CUT_COUNT):
            if not work.running:
                break
            pace.wait(1)
            proxy.cut()
        guest.check("touch /tmp/enough", RECOVERY_TIMEOUT_S)
        outcome = work.wait(RECOVERY_TIMEOUT_S)
        self.assertEqual(outcome.code, 0, outcome.text)
        self.expect_noise(guest, "copy")
        self.assertGreater(proxy.session_count, CUT_COUNT // 2)
        guest.stop()


@is_about_nfs
class TlsRefusals(TlsCase):
    """What must not work, and what is said then."""

    def expect_refusal(self, reason: str, words: list[str], proxy=None) -> None:
        """The daemon ends by itself, soon, and the log says why, once."""
        served = daemon.DpfsOnNfs(
            settings.current.dpfs, self.backend, self.new_folder("nfs"),
            self.new_socket_folder(), options=words, proxy=proxy or TcpProxy,
        )  # fmt: skip
        began = time.monotonic()
        with self.assertRaises(daemon.DaemonError):
            served.start()
        log = served.log.read_text()
        self.assertLess(time.monotonic() - began, REFUSAL_TIME_MAX_S, log)
        self.assertEqual(log.count(reason), 1, log)

    def refuse_certificate(self, reason: str, certificate: Certificate) -> None:
        proxy = functools.partial(TlsProxy, certificate=certificate)
        self.expect_refusal(reason, self.words(self.authority.certificate), proxy)

    def test_a_certificate_of_another_authority(self) -> None:
        other = Authority(self.folder, "other")
        self.refuse_certificate(
            "name the certificate of the CA that signed it as the CA file",
            other.sign("stranger", f"DNS:{NAME}"),
        )

    def test_a_certificate_that_has_expired(self) -> None:
        dates = ("20200101000000Z", "20210101000000Z")
        self.refuse_certificate(
            "expired); renew it", self.authority.sign("old", f"DNS:{NAME}", dates)
        )

    def test_a_certificate_that_is_not_valid_yet(self) -> None:
        dates = ("20900101000000Z", "20910101000000Z")
        self.refuse_certificate(
            "not yet valid); set this machine's clock",
            self.authority.sign("young", f"DNS:{NAME}", dates),
        )

    def test_a_certificate_of_another_host(self) -> None:
        self.refuse_certificate(
            f"its certificate is for evil.test, not for '{NAME}'",
            self.authority.sign("evil", "DNS:evil.test"),
        )

    def test_a_server_without_tls(self) -> None:
        self.expect_refusal("it does not offer TLS", self.words(self.authority.certificate))

    def test_a_client_without_a_certificate(self) -> None:
        proxy = functools.partial(
            TlsProxy, certificate=self.good, clients=self.authority.certificate
        )
        self.expect_refusal(
            "it asks for a certificate of this client",
            self.words(self.authority.certificate),
            proxy,
        )

    def test_a_client_with_a_certificate_of_another_authority(self) -> None:
        own = Authority(self.folder, "other").sign("client", "DNS:client.test")
        proxy = functools.partial(
            TlsProxy, certificate=self.good, clients=self.authority.certificate
        )
        self.expect_refusal(
            "it does not accept this client's certificate",
            self.words(self.authority.certificate, own),
            proxy,
        )
