"""A proxy that puts RPC-with-TLS (RFC 9289) before an NFS server that has none."""

from __future__ import annotations

import select
import socket
import ssl
import struct
import threading
from pathlib import Path

from certificates import Certificate

CHUNK_SIZE = 1 << 18
PROBE_SIZE_MAX = 1024
LAST_FRAGMENT = 1 << 31
AUTH_NONE, AUTH_TLS = 0, 7  # RFC 5531, 8.2; RFC 9289, 4.1


class TlsProxy:
    """Answers the question for TLS, shakes hands, and passes bytes on between clients of its
    port and `target` on 127.0.0.1, until stop().

    `clients`: the CA of the certificates that clients must have; None: they need none.
    """

    def __init__(
        self, target: int, certificate: Certificate, clients: Path | None = None
    ) -> None:
        self.session_count = 0
        self.bytes_count = 0  # of RPC, both ways
        self._target = target
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._context.load_cert_chain(certificate.certificate, certificate.key)
        self._context.set_alpn_protocols(["sunrpc"])
        if clients is not None:
            self._context.verify_mode = ssl.CERT_REQUIRED
            self._context.load_verify_locations(clients)
        self._lock = threading.Lock()
        self._clients: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._acceptor = threading.Thread(target=self._accept_all, daemon=True)
        self._acceptor.start()

    def cut(self) -> None:
        """Ends all sessions without a goodbye, wherever they are."""
        with self._lock:
            for client in self._clients:
                try:
                    socket.socket.shutdown(client, socket.SHUT_RDWR)
                except OSError:
                    pass  # it has ended by itself

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join()

    def _accept_all(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # stop()
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._clients.add(client)
        try:
            answer_probe(client)
            session = self._context.wrap_socket(
                client, server_side=True, do_handshake_on_connect=False
            )
            with self._lock:
                self._clients.discard(client)  # its descriptor is the session's now
                self._clients.add(client := session)
            session.do_handshake()
            with self._lock:
                self.session_count += 1
            with socket.create_connection(("127.0.0.1", self._target)) as server:
                self._join(session, server)
        except (OSError, ssl.SSLError):
            pass  # the client did not like us, or we did not like it, or the link was cut
        finally:
            with self._lock:
                self._clients.discard(client)
            client.close()

    def _join(self, session: ssl.SSLSocket, server: socket.socket) -> None:
        """Both directions in one thread: a session may be used by one at a time."""
        session.setblocking(False)
        server.setblocking(False)
        to_server, to_client = bytearray(), bytearray()
        while True:
            readers: list[socket.socket] = []
            if len(to_server) < CHUNK_SIZE:
                readers.append(session)
            if len(to_client) < CHUNK_SIZE:
                readers.append(server)
            writers = [s for s, held in ((server, to_server), (session, to_client)) if held]
            has_more = session in readers and session.pending() > 0
            readable, _, _ = select.select(readers, writers, [], 0 if has_more else None)
            if session in readable or has_more:
                if not self._take(session, to_server):
                    return
            if server in readable and not self._take(server, to_client):
                return
            give(server, to_server)
            give(session, to_client)

    def _take(self, source: socket.socket, held: bytearray) -> bool:
        """What there is; False at the end."""
        try:
            data = source.recv(CHUNK_SIZE)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        with self._lock:
            self.bytes_count += len(data)
        held += data
        return bool(data)


def give(sink: socket.socket, held: bytearray) -> None:
    """As much as it takes now."""
    if not held:
        return
    try:
        del held[: sink.send(held)]
    except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
        pass


def answer_probe(client: socket.socket) -> None:
    """Says that TLS comes next to who asks for it, as everybody must here."""
    (mark,) = struct.unpack(">I", receive_exactly(client, 4))
    size = mark & ~LAST_FRAGMENT
    if not mark & LAST_FRAGMENT or size > PROBE_SIZE_MAX:
        raise ConnectionAbortedError("no probe")
    xid, _, _, _, _, procedure, flavor = struct.unpack_from(">7I", receive_exactly(client, size))
    if procedure != 0 or flavor != AUTH_TLS:
        raise ConnectionAbortedError("not a word without TLS")
    token = b"STARTTLS"
    # Accepted, with the token as the verifier, and success.
    body = struct.pack(">5I", xid, 1, 0, AUTH_NONE, len(token)) + token + bytes(4)
    client.sendall(struct.pack(">I", LAST_FRAGMENT | len(body)) + body)


def receive_exactly(source: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = source.recv(size - len(data))
        if not more:
            raise ConnectionResetError("the client has left")
        data += more
    return data
