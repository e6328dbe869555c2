"""A client of IoTDB's session service (thrift, framed, strict binary), standard library only.

    with Session(port) as session:
        session.run("INSERT INTO root.a.d(time, s) VALUES (1, 2)")
        table = session.query("SELECT * FROM root.a.**")

Cells are exact: a FLOAT or DOUBLE is its value, a BLOB `bytes`, a null `None`.
"""

import socket
import struct

STOP, BOOL, I8, DOUBLE, I16, I32, I64, STRING, STRUCT, MAP, SET, LIST = 0, 2, 3, 4, 6, 8, 10, 11, 12, 13, 14, 15
FIXED = {BOOL: ">?", I8: ">b", DOUBLE: ">d", I16: ">h", I32: ">i", I64: ">q"}
FRAME_BYTES_MAX = 512 << 20
SUCCESS = (200, 400)
TYPES = ["BOOLEAN", "INT32", "INT64", "FLOAT", "DOUBLE", "TEXT", None, None, "TIMESTAMP", "DATE", "BLOB", "STRING"]


class RpcError(Exception):
    """The server's refusal of a statement: its status code, where it gave one, and message."""

    def __init__(self, message, code=None):
        super().__init__(message)
        self.code = code


def pack(kind, value):
    """One thrift value; a struct is a list of (id, kind, value), a list (kind, values), a map text to text."""
    if kind in FIXED:
        return struct.pack(FIXED[kind], value)
    if kind == STRING:
        raw = value.encode() if isinstance(value, str) else value
        return struct.pack(">i", len(raw)) + raw
    if kind == STRUCT:
        fields = (struct.pack(">bh", k, i) + pack(k, v) for i, k, v in value if v is not None)
        return b"".join(fields) + b"\0"
    if kind == LIST:
        return struct.pack(">bi", value[0], len(value[1])) + b"".join(pack(value[0], v) for v in value[1])
    body = b"".join(pack(STRING, text) for pair in value.items() for text in pair)
    return struct.pack(">bbi", STRING, STRING, len(value)) + body


class Reader:
    """Cuts values off a reply."""

    def __init__(self, raw):
        self.raw, self.at = raw, 0

    def take(self, count):
        if count < 0 or self.at + count > len(self.raw):
            raise RpcError("reply ends at %d, wanted %d at %d" % (len(self.raw), count, self.at))
        self.at += count
        return self.raw[self.at - count:self.at]

    def number(self, shape):
        return struct.unpack(shape, self.take(struct.calcsize(shape)))[0]

    def value(self, kind):
        if kind in FIXED:
            return self.number(FIXED[kind])
        if kind == STRING:
            return self.take(self.number(">i"))
        if kind == STRUCT:
            return self.struct()
        if kind == MAP:
            keys, values, count = self.number(">b"), self.number(">b"), self.number(">i")
            return {self.value(keys): self.value(values) for _ in range(count)}
        inner, count = self.number(">b"), self.number(">i")
        return [self.value(inner) for _ in range(count)]

    def struct(self):
        fields = {}
        while (kind := self.number(">b")) != STOP:
            index = self.number(">h")
            fields[index] = self.value(kind)
        return fields


class Table:
    """The answer to a query: `columns` (without Time), `types`, and `rows` of (time, cells)."""

    def __init__(self, columns, types, rows):
        self.columns, self.types, self.rows = columns, types, rows

    def dicts(self):
        return [dict(zip(self.columns, cells)) for _, cells in self.rows]

    def points(self):
        """{(series, time): cell} without nulls: what two databases are compared by."""
        pairs = ((time, pair) for time, cells in self.rows for pair in zip(self.columns, cells))
        return {(name, time): cell for time, (name, cell) in pairs if cell is not None}


class Session:
    """One logged-in connection. Not for use by two threads at a time."""

    def __init__(self, port, timeout=60, user="root", password="root"):
        self.sequence = 0
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened = self.call("openSession", [
            (1, I32, 2), (2, STRING, "UTC"), (3, STRING, user), (4, STRING, password),
            (5, MAP, {"version": "V_1_0", "sql_dialect": "tree"})])
        self.check(opened[1], "openSession")
        self.id = opened[3]
        self.statement_id = self.invoke("requestStatementId", [(1, I64, self.id)])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def call(self, method, request):
        return self.invoke(method, [(1, STRUCT, request)])

    def invoke(self, method, arguments):
        self.sequence += 1
        message = (b"\x80\x01\0\1" + pack(STRING, method) + struct.pack(">i", self.sequence) + pack(STRUCT, arguments))
        self.socket.sendall(struct.pack(">i", len(message)) + message)
        length = struct.unpack(">i", self.exactly(4))[0]
        if not 0 < length <= FRAME_BYTES_MAX:
            raise RpcError("%s: frame of %d bytes" % (method, length))
        reply = Reader(self.exactly(length))
        kind = reply.number(">i") & 0xFF
        reply.value(STRING)
        reply.number(">i")
        fields = reply.struct()
        if kind != 2 or 0 not in fields:
            raise RpcError("%s: %r" % (method, fields))
        return fields[0]

    def exactly(self, count):
        parts = []
        while count:
            part = self.socket.recv(min(count, 1 << 20))
            if not part:
                raise ConnectionError("session closed by the server")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    @staticmethod
    def check(status, what):
        if status[1] in SUCCESS:
            return
        texts = [status.get(2, b"")] + [s.get(2, b"") for s in status.get(3, []) if s[1] not in SUCCESS]
        text = b" ".join(texts).decode(errors="replace")[:600]
        raise RpcError("%d %s: %s" % (status[1], what[:200], text), status[1])

    def execute(self, statement):
        reply = self.call("executeStatement", [
            (1, I64, self.id), (2, STRING, statement), (3, I64, self.statement_id), (4, I32, 10000), (5, I64, 0)])
        self.check(reply[1], statement)
        return reply

    def run(self, *statements):
        """Statements without a result."""
        for statement in statements:
            self.execute(statement)

    def query(self, statement):
        """A statement with a result, read to its end."""
        reply = self.execute(statement)
        columns = [c.decode() for c in reply.get(3, [])]
        types = [t.decode() for t in reply.get(6, [])]
        index = {k.decode(): v for k, v in (reply.get(9) or {}).items()}
        places = [index.get(c, i) for i, c in enumerate(columns)]
        stored = {place: kind for place, kind in zip(places, types)}
        rows = []
        data_set, more = reply.get(7), reply.get(14)
        while data_set is not None:
            rows += self.rows(data_set, places, stored)
            data_set = None
            if more:
                page = self.call("fetchResults", [
                    (1, I64, self.id), (2, STRING, statement), (3, I32, 10000), (4, I64, reply[2]), (5, BOOL, True),
                    (7, I64, self.statement_id)])
                self.check(page[1], statement)
                data_set, more = (page.get(4) if page.get(2) else None), page.get(7)
        self.call("closeOperation", [(1, I64, self.id), (2, I64, reply[2]), (3, I64, self.statement_id)])
        return Table(columns, types, rows)

    @staticmethod
    def rows(data_set, places, stored):
        times = [t for (t,) in struct.iter_unpack(">q", data_set[1])]
        columns = {place: column(stored[place], data_set[2][place], data_set[3][place], len(times)) for place in stored}
        return [(time, [columns[place][row] for place in places]) for row, time in enumerate(times)]

    def insert_tablet(self, device, aligned, names, types, times, columns):
        """One tablet: `columns` parallel to `names`, None for a null cell."""
        raw, marks, nulls = [], [], False
        for kind, cells in zip(types, columns):
            raw.append(b"".join(cell_bytes(kind, cell) for cell in cells))
            bits = bytearray(len(times) // 8 + 1)
            for row, cell in enumerate(cells):
                if cell is None:
                    bits[row >> 3] |= 1 << (row & 7)
                    nulls = True
            marks.append(b"\1" + bytes(bits))
        body = b"".join(raw) + (b"".join(marks) if nulls else b"")
        status = self.call("insertTablet", [
            (1, I64, self.id), (2, STRING, device), (3, LIST, (STRING, names)), (4, STRING, body),
            (5, STRING, struct.pack(">%dq" % len(times), *times)),
            (6, LIST, (I32, [TYPES.index(t) for t in types])), (7, I32, len(times)), (8, BOOL, aligned)])
        self.check(status, "insertTablet")


SHAPES = {"BOOLEAN": "?", "INT32": "i", "DATE": "i", "INT64": "q", "TIMESTAMP": "q", "FLOAT": "f", "DOUBLE": "d"}


def cell_bytes(kind, cell):
    """A cell as a tablet holds it; a null has a placeholder."""
    if kind in SHAPES:
        null = 10000101 if kind == "DATE" else 0
        return struct.pack(">" + SHAPES[kind], null if cell is None else cell)
    raw = b"" if cell is None else cell.encode() if isinstance(cell, str) else cell
    return struct.pack(">i", len(raw)) + raw


def column(kind, raw, bitmap, count):
    """The cells of one column of a data set: non-null values one after the other, bit 7 first, 1 for present."""
    reader = Reader(raw)
    cells = []
    for row in range(count):
        if not bitmap[row >> 3] >> (7 - (row & 7)) & 1:
            cells.append(None)
        elif kind in SHAPES:
            cells.append(reader.number(">" + SHAPES[kind]))
        else:
            text = reader.value(STRING)
            cells.append(text if kind == "BLOB" else text.decode())
    return cells
