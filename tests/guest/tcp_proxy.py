"""A TCP proxy before an NFS server that cuts connections, or answers DELAY in the server's place."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable

CHUNK_SIZE = 1 << 16
RECORD_SIZE_MAX = 4 << 20

# RFC 5531, 9 and 11; RFC 8881, 16.2 and 18.46.
LAST_FRAGMENT = 1 << 31
NFS_PROGRAM, NFS_VERSION, COMPOUND = 100003, 4, 1
OP_SEQUENCE, STATUS_DELAY = 53, 10008


class Link:
    """One client's connection, and the one to the server that belongs to it."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.to_client = threading.Lock()  # the server's answers, and those in its place
        for side in (client, server):
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def end(self) -> None:
        """Wakes who reads or writes it. A reset: what is on the way is lost too, as with a
        host that vanished."""
        for side in (self.client, self.server):
            try:
                side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class TcpProxy:
    """Passes bytes on between clients of its port and `target` on 127.0.0.1, until stop().

    With `delay_every` = N, one of N compounds does not reach the server: its SEQUENCE is answered
    DELAY, which leaves the slot as it was.
    """

    def __init__(self, target: int, delay_every: int = 0) -> None:
        self.cut_count = 0
        self.delay_count = 0
        self._target = target
        self._delay_every = delay_every
        self._request_count = 0
        self._lock = threading.Lock()
        self._links: list[Link] = []
        self._threads: list[threading.Thread] = []
        self._cut_wanted = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._acceptor = threading.Thread(target=self._accept_all, daemon=True)
        self._acceptor.start()

    def cut(self) -> None:
        """The next bytes that come are passed on by half, and then every connection ends: as a
        rule in the middle of a record."""
        self._cut_wanted = True

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join()
        self._listener.close()
        self._end_all()
        for thread in self._threads:
            thread.join()

    def _accept_all(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return  # stop()
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            link = Link(client, server)
            with self._lock:
                self._links.append(link)
            for work in (self._pump_requests, self._pump_answers):
                thread = threading.Thread(target=self._pump, args=(work, link), daemon=True)
                self._threads.append(thread)
                thread.start()

    def _pump(self, work: Callable[[Link], None], link: Link) -> None:
        """One direction of a link; the first that ends takes the other along."""
        try:
            work(link)
        except OSError:
            pass
        link.end()
        with self._lock:
            is_last = link not in self._links
            if not is_last:
                self._links.remove(link)
        if is_last:
            link.client.close()
            link.server.close()

    def _pump_answers(self, link: Link) -> None:
        held = bytearray()
        while data := link.server.recv(CHUNK_SIZE):
            self._cut_if_wanted(link.client, data)
            if not self._delay_every:
                link.client.sendall(data)
                continue
            held += data
            # Whole records: an answer in the server's place may come between two, not in one.
            while (size := complete_fragment(held)) != 0:
                with link.to_client:
                    link.client.sendall(held[:size])
                del held[:size]

    def _pump_requests(self, link: Link) -> None:
        held = bytearray()  # a record that is not complete yet
        while data := link.client.recv(CHUNK_SIZE):
            self._cut_if_wanted(link.server, data)
            if not self._delay_every:
                link.server.sendall(data)
                continue
            held += data
            while (size := complete_fragment(held)) != 0:
                record = bytes(held[:size])
                del held[:size]
                answer = self._delay_for(record[4:])
                if answer is None:
                    link.server.sendall(record)
                else:
                    with link.to_client:
                        link.client.sendall(answer)

    def _cut_if_wanted(self, target: socket.socket, data: bytes) -> None:
        with self._lock:
            wanted, self._cut_wanted = self._cut_wanted, False
        if not wanted:
            return
        self.cut_count += 1
        target.sendall(data[: len(data) // 2])
        self._end_all()
        raise ConnectionResetError("cut")

    def _end_all(self) -> None:
        with self._lock:
            links = list(self._links)
        for link in links:
            link.end()

    def _delay_for(self, call: bytes) -> bytes | None:
        """The answer DELAY to a compound that begins with SEQUENCE, where it is one's turn."""
        xid, tag, first = parse_compound(call)
        if first != OP_SEQUENCE:
            return None
        with self._lock:
            self._request_count += 1
            if self._request_count % self._delay_every:
                return None
            self.delay_count += 1
        padded = tag + b"\0" * (-len(tag) % 4)
        body = struct.pack(">IIIIII", xid, 1, 0, 0, 0, 0)  # accepted, AUTH_NONE, success
        body += struct.pack(">II", STATUS_DELAY, len(tag)) + padded
        body += struct.pack(">III", 1, OP_SEQUENCE, STATUS_DELAY)
        return struct.pack(">I", LAST_FRAGMENT | len(body)) + body


def complete_fragment(data: bytearray) -> int:
    """The size of the record, of one fragment, that `data` begins with; 0: it is not complete."""
    if len(data) < 4:
        return 0
    (mark,) = struct.unpack_from(">I", data)
    size = 4 + (mark & ~LAST_FRAGMENT)
    if not mark & LAST_FRAGMENT or size > RECORD_SIZE_MAX:
        raise ConnectionResetError("a record that the proxy cannot follow")
    return size if len(data) >= size else 0


def parse_compound(call: bytes) -> tuple[int, bytes, int]:
    """(xid, tag, first operation) of an NFSv4 COMPOUND call; operation 0 for any other message."""
    xid, kind, _, program, version, procedure = struct.unpack_from(">6I", call)
    if (kind, program, version, procedure) != (0, NFS_PROGRAM, NFS_VERSION, COMPOUND):
        return xid, b"", 0
    at = 24
    for _ in ("credential", "verifier"):
        (size,) = struct.unpack_from(">I", call, at + 4)
        at += 8 + size + -size % 4
    (tag_size,) = struct.unpack_from(">I", call, at)
    tag = call[at + 4 : at + 4 + tag_size]
    at += 4 + tag_size + -tag_size % 4
    _, count = struct.unpack_from(">II", call, at)
    first = struct.unpack_from(">I", call, at + 8)[0] if count else 0
    return xid, tag, first
