"""Listens on the wire between two ends of the air-gap protocol, and tells which requests passed and what was answered.

    tap = Tap(target_port); ...; tap.types  -> {51: 5, 4: 2, 9: 2}; tap.answers -> {0: 9}

Without a target it is a receiver itself: it answers 0x00 to every frame and keeps nothing.
"""

import collections
import contextlib
import socket
import struct
import threading
import zlib

PREFIX = b"<!System=IoTDB Version=1.0 Code=UTF-8 Data=1.0!>\n<block:=Free>\n"
SUFFIX = b"\n</block:=Free>"
HEADER_BYTES = 16
ACCEPTED, REFUSED = b"\x00", b"\xff"
RESET = struct.pack("ii", 1, 0)

Frame = collections.namedtuple("Frame", "raw payload wrapped")


def frame_of(payload, wrapped=False):
    """A whole frame around a payload."""
    length = struct.pack(">i", len(payload) + 8)
    raw = length + length + struct.pack(">q", zlib.crc32(payload)) + payload
    return PREFIX + raw + SUFFIX if wrapped else raw


def request_type(payload):
    return struct.unpack(">h", payload[1:3])[0]


def read_payload(raw):
    """The payload of a whole frame."""
    start = len(PREFIX) if raw[:8] == PREFIX[:8] else 0
    length = struct.unpack(">i", raw[start:start + 4])[0]
    return raw[start + HEADER_BYTES:start + 8 + length]


def exactly(connection, count):
    parts = []
    while count:
        part = connection.recv(min(count, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def read_frame(connection):
    """The next frame; EOFError at the end of the stream."""
    head = exactly(connection, 8)
    wrapped = head == PREFIX[:8]
    before = b""
    if wrapped:
        before = head + exactly(connection, len(PREFIX) - 8)
        head = exactly(connection, 8)
    length = struct.unpack(">i", head[:4])[0]
    if head[:4] != head[4:] or length < 11:
        raise ValueError("length words %s" % head.hex())
    body = exactly(connection, length)
    if zlib.crc32(body[8:]) != struct.unpack(">q", body[:8])[0]:
        raise ValueError("checksum of a frame of %d bytes" % length)
    after = exactly(connection, len(SUFFIX)) if wrapped else b""
    return Frame(before + head + body + after, body[8:], wrapped)


def reset(connection):
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    connection.close()


class Tap:
    def __init__(self, target=None, keep=()):
        """`keep`: request types whose payloads are kept in `payloads`."""
        self.target, self.keep = target, frozenset(keep)
        self.lock = threading.Lock()
        self.types, self.answers = collections.Counter(), collections.Counter()
        self.connections = self.frames = self.wrapped = self.bytes = 0
        self.payloads, self.faults = [], []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def clear(self):
        with self.lock:
            self.types.clear(), self.answers.clear(), self.payloads.clear(), self.faults.clear()
            self.connections = self.frames = self.wrapped = self.bytes = 0

    def accept(self):
        while True:
            try:
                inner, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(inner,), daemon=True).start()

    def serve(self, inner):
        outer = None
        try:
            if self.target is not None:
                outer = socket.create_connection(("127.0.0.1", self.target), timeout=10)
                outer.settimeout(None)
                threading.Thread(target=self.answer_back, args=(outer, inner), daemon=True).start()
            while True:
                frame = read_frame(inner)
                self.count(frame)
                if outer:
                    outer.sendall(frame.raw)
                else:
                    answer = self.answer_to(frame)
                    inner.sendall(answer)
                    self.answers.update(answer)
        except EOFError:
            with contextlib.suppress(OSError):
                (outer or inner).shutdown(socket.SHUT_WR)
        except ValueError as fault:
            self.faults.append(str(fault))
            reset(inner)
        except OSError:
            for one in filter(None, (inner, outer)):
                reset(one)

    def answer_to(self, frame):
        """Without a target: the byte for a frame."""
        return ACCEPTED

    def count(self, frame):
        kind = request_type(frame.payload)
        with self.lock:
            self.types[kind] += 1
            self.frames += 1
            self.wrapped += frame.wrapped
            self.bytes += len(frame.payload)
            if kind in self.keep:
                self.payloads.append(frame.payload)

    def answer_back(self, outer, inner):
        try:
            while answer := outer.recv(4096):
                with self.lock:
                    self.answers.update(answer)
                inner.sendall(answer)
            inner.shutdown(socket.SHUT_WR)
        except OSError:
            reset(inner)
            reset(outer)

    def refused(self):
        """Answers other than 0x00."""
        return sum(count for byte, count in self.answers.items() if byte)
