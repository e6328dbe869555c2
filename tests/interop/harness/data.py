"""What the cases write: every data type, aligned and not, with nulls; and how databases are compared."""

import random
import struct

from .process import wait_for
from .rpc import RpcError

TYPES = ["BOOLEAN", "INT32", "INT64", "FLOAT", "DOUBLE", "TEXT", "TIMESTAMP", "DATE", "BLOB", "STRING"]
NAMES = ["a_bool", "b_int", "c_long", "d_float", "e_double", "f_text", "g_time", "h_date", "i_blob", "j_string"]
START = 1_700_000_000_000
STEP = 1000
# A database's first regions are not "available" until a heartbeat has told of them.
NO_AVAILABLE_REGION = 906
REGION_SECONDS = 60


def cell(kind, row, dice):
    """A value of a type; the first rows have the extremes."""
    extremes = {
        "INT32": [-(1 << 31), (1 << 31) - 1, 0], "INT64": [-(1 << 63) + 1, (1 << 63) - 1, 0],
        "FLOAT": [3.4028234663852886e38, -1.401298464324817e-45, -0.0],
        "DOUBLE": [1.7976931348623157e308, -5e-324, -0.0], "TIMESTAMP": [0, START, -1],
        "DATE": [10000101, 99991231, 20240229], "TEXT": ["", "Wasserr\u00e4der \u6c34\u8f66", "'\"`\n;"],
        "STRING": ["", "\u6c34", "x" * 300], "BLOB": [b"", bytes(range(256)), b"\0"]}
    if 0 <= row < 3 and kind in extremes:
        return extremes[kind][row]
    number = dice.getrandbits(31)
    return {
        "BOOLEAN": number & 1 == 1, "INT32": number - (1 << 30), "INT64": number * number - (1 << 60),
        "FLOAT": struct.unpack(">f", struct.pack(">f", number / 997))[0], "DOUBLE": number / 997,
        "TEXT": "text %d" % number, "TIMESTAMP": START + number,
        "DATE": (1990 + number % 60) * 10000 + (number % 12 + 1) * 100 + number % 28 + 1,
        "BLOB": number.to_bytes(4, "big") * (number % 5), "STRING": "s%d" % number}[kind]


def column(kind, rows, sparse, dice):
    return [None if sparse and dice.random() < 0.3 else cell(kind, row, dice) for row in rows]


def write(stock, database, rows=60, flushes=2, seed=1):
    """Fills `database` with one device of each kind; the rows of all flushes together are `rows`."""
    dice = random.Random(seed)
    stock.run("CREATE DATABASE " + database)
    each = rows // flushes
    for turn in range(flushes):
        insert(stock, database, range(turn * each, (turn + 1) * each), dice)
        stock.run("FLUSH " + database)


def insert(stock, database, rows, dice):
    """One tablet for each kind of device."""
    times = [START + row * STEP for row in rows]
    for device, aligned, sparse in (("plain", False, False), ("holes", False, True), ("aligned", True, False),
                                    ("aligned.holes", True, True)):
        columns = [column(kind, rows, sparse, dice) for kind in TYPES]
        insert_tablet(stock, "%s.%s" % (database, device), aligned, NAMES, TYPES, times, columns)
    insert_tablet(
        stock, database + ".lonely", False, ["one"], ["DOUBLE"], times, [[cell("DOUBLE", row, dice) for row in rows]])


def insert_tablet(stock, *tablet):
    """Inserts as soon as the database has a region that can take it."""
    def taken():
        try:
            stock.session().insert_tablet(*tablet)
        except RpcError as error:
            if error.code != NO_AVAILABLE_REGION:
                raise
            return False
        return True
    wait_for("%s has a region for %s" % (stock.name, tablet[0]), REGION_SECONDS, taken, 0.5)


def write_large(stock, database, megabytes, seed=2):
    """About that many MiB of doubles that no compressor shrinks, flushed as one file."""
    dice = random.Random(seed)
    stock.run("CREATE DATABASE " + database)
    rows, width = 12_500, 10
    for turn in range(max(1, megabytes)):
        times = [START + (turn * rows + row) * STEP for row in range(rows)]
        columns = [[dice.random() for _ in range(rows)] for _ in range(width)]
        insert_tablet(stock, database + ".wide", True, ["s%d" % i for i in range(width)],
                      ["DOUBLE"] * width, times, columns)
    stock.run("FLUSH " + database)


def snapshot(stock, database):
    """Everything that a query sees: {device: [(time, ((series, type, cell), ...)), ...]}, cells by their exact text."""
    devices = [row["Device"] for row in stock.query("SHOW DEVICES %s.**" % database).dicts()]
    seen = {}
    for device in sorted(devices):
        table = stock.query("SELECT * FROM " + device)
        order = sorted(range(len(table.columns)), key=table.columns.__getitem__)
        rows = [(time, tuple((table.columns[i], table.types[i], repr(cells[i])) for i in order if cells[i] is not None))
                for time, cells in table.rows]
        if rows:
            seen[device] = rows
    return seen


def points(seen):
    return sum(len(cells) for rows in seen.values() for _, cells in rows)


def doubled(seen):
    """Rows whose time is not later than the one before: what a duplicate would look like."""
    return sum(after[0] <= before[0] for rows in seen.values() for before, after in zip(rows, rows[1:]))


def difference(expected, found):
    """One line on how two snapshots differ, empty if they do not."""
    if expected == found:
        return ""
    for device in sorted(set(expected) | set(found)):
        left, right = dict(expected.get(device, [])), dict(found.get(device, []))
        if left == right:
            continue
        missing, more = sorted(set(left) - set(right)), sorted(set(right) - set(left))
        wrong = [time for time in left if time in right and left[time] != right[time]]
        example = ""
        if wrong:
            example = ", at %d %s instead of %s" % (
                wrong[0], sorted(set(right[wrong[0]]) - set(left[wrong[0]]))[:2],
                sorted(set(left[wrong[0]]) - set(right[wrong[0]]))[:2])
        return "%s: %d rows missing %s, %d too many, %d different%s" % (
            device, len(missing), missing[:1], len(more), len(wrong), example)
    return "row order differs"
