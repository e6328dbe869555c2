#!/usr/bin/env python3
"""A plug-in for Penstock: appends "series,time,value" of tablets to DIRECTORY/<device>.csv, durably before it answers.
CREATE PIPEPLUGIN csv AS 'to_csv.py DIRECTORY' USING URI 'file:to_csv.py'
A pipe to a plug-in sends tablets as they are unless it names a mode. TsFiles, such as those of the inbox or of the modes
batch and hybrid, and deletions are refused, so that none is lost unseen: the pipe waits there until SKIP PIPE.
"""
import csv, io, os, struct, sys
FORMS = {0: "?", 1: "i", 9: "i", 2: "q", 8: "q", 3: "f", 4: "d"}  # data types; the others are texts
def take(form): return struct.unpack(">" + form, body.read(struct.calcsize(">" + form)))
def text(): return take(f"{take('i')[0]}s")[0].decode(errors="replace")

def points():  # the layout: src/wire/tablet.rs, form Node
    count, has_schemas = take("ib")
    names = [(text(), [text() for _ in range(has_schemas and 2 * take("bbbi")[3])])[0] for _ in range(count)]
    types, rows = take(f"{count}b"), take("i")[0]
    times, has_nulls = take(f"{rows}q"), take("?")[0]
    nulls = [take(f"{rows // 8 + 1}B") if has_nulls and take("?")[0] else bytes(rows // 8 + 1) for _ in names]
    for name, form, null in zip(names, map(FORMS.get, types), nulls):
        values = take(f"{rows}{form}") if form else [text() for _ in times]
        yield from ((name, times[row], values[row]) for row in range(rows) if not null[row // 8] >> row % 8 & 1)

while header := sys.stdin.buffer.read(16):  # length, length again, checksum
    body = io.BytesIO(sys.stdin.buffer.read(int.from_bytes(header[:4], "big") - 8))
    kind = take("bh")[1]
    if is_tablet := kind == 2 and take("h")[0] == 13:  # an InsertTabletNode
        with open(os.path.join(sys.argv[1], text().replace("/", "_") + ".csv"), "a") as file:
            csv.writer(file).writerows(points())
            file.flush()
            os.fsync(file.fileno())
    os.write(1, b"\0" if is_tablet or kind in (50, 51) else b"\xff")  # 50 and 51: handshakes, any node is welcome
