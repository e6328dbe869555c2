#!/usr/bin/env python3
"""A plug-in for Penstock: appends "series,time,value" to DIRECTORY/<device>.csv, durably before it answers.

CREATE PIPEPLUGIN csv AS 'to_csv.py DIRECTORY' USING URI 'file:to_csv.py'
"""
import csv, os, struct, sys

FORMS = {0: "?", 1: "i", 9: "i", 2: "q", 8: "q", 3: "f", 4: "d"}  # data types; the others are texts
TABLET, INSERT_TABLET, HANDSHAKES = 2, 13, (50, 51)

class Fields:
    def __init__(self, payload): self.rest = payload
    def take(self, form):
        size = struct.calcsize(">" + form)
        values, self.rest = struct.unpack(">" + form, self.rest[:size]), self.rest[size:]
        return values
    def text(self): return self.take(f"{self.take('i')[0]}s")[0].decode(errors="replace")
    def schema(self): return [self.text() for _ in range(2 * self.take("bbbi")[3])]

def points(tablet):  # the layout: src/wire/tablet.rs, form Node
    count, has_schemas = tablet.take("ib")
    names = [(tablet.text(), has_schemas and tablet.schema())[0] for _ in range(count)]
    types, rows = tablet.take(f"{count}b"), tablet.take("i")[0]
    times, has_nulls = tablet.take(f"{rows}q"), tablet.take("?")[0]
    nulls = [tablet.take(f"{rows // 8 + 1}B") if has_nulls and tablet.take("?")[0] else None for _ in names]
    for name, form, null in zip(names, map(FORMS.get, types), nulls):
        values = tablet.take(f"{rows}{form}") if form else [tablet.text() for _ in times]
        for row, (time, value) in enumerate(zip(times, values)):
            if not (null and null[row // 8] >> row % 8 & 1): yield name, time, value

while header := sys.stdin.buffer.read(16):  # length, length again, checksum
    payload = Fields(sys.stdin.buffer.read(int.from_bytes(header[:4], "big") - 8))
    _, kind = payload.take("bh")
    is_tablet = kind == TABLET and payload.take("h")[0] == INSERT_TABLET
    if is_tablet:
        device = payload.text()
        with open(os.path.join(sys.argv[1], device.replace("/", "_") + ".csv"), "a") as file:
            csv.writer(file).writerows(points(payload))
            file.flush()
            os.fsync(file.fileno())
    sys.stdout.buffer.write(b"\x00" if is_tablet or kind in HANDSHAKES else b"\xff")
    sys.stdout.buffer.flush()
