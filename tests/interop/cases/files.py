"""TsFiles: ours loaded by a stock node, those of a stock node read by us, and Apache's own libraries beside ours."""

import collections
import glob
import json
import os
import random
import re
import struct
import subprocess
import sys

from harness import data
from harness.penstock import ROOT, debug_program, program
from harness.process import Failure, wait_for

from . import case

# Every type with every encoding that our writer has for it; compressors take turns.
WHOLE = ["PLAIN", "RLE", "TS_2DIFF", "GORILLA", "ZIGZAG", "CHIMP"]
ENCODINGS = {
    "BOOLEAN": ["PLAIN", "RLE"], "INT32": WHOLE, "DATE": WHOLE, "INT64": WHOLE, "TIMESTAMP": WHOLE,
    "FLOAT": ["PLAIN", "GORILLA", "CHIMP"], "DOUBLE": ["PLAIN", "GORILLA", "CHIMP"],
    "TEXT": ["PLAIN", "DICTIONARY"], "STRING": ["PLAIN", "DICTIONARY"], "BLOB": ["PLAIN"]}
COMPRESSORS = ["LZ4", "UNCOMPRESSED", "SNAPPY", "GZIP", "ZSTD", "LZMA2"]
EXTREMES = {
    "INT32": [-(1 << 31), (1 << 31) - 1], "INT64": [-(1 << 63), (1 << 63) - 1], "TIMESTAMP": [-(1 << 63), (1 << 63) - 1],
    "FLOAT": [float("nan"), float("inf"), float("-inf"), -0.0], "DOUBLE": [float("nan"), float("inf"), float("-inf"), -0.0],
    "TEXT": ["x" * 70_000], "STRING": ["y" * 70_000], "BLOB": [bytes(70_000)]}
TEXTS = ("TEXT", "STRING", "BLOB")
ROWS = 300
# Rows of one week, and of seven: the second file is taken apart and written anew by the node that loads it.
STEPS = {"week": 1000, "weeks": 7_000_000}
# Files of equal level that are merged, and the level from which they are merged with those in order: now, and usual.
COMPACTION = {"inner_compaction_candidate_file_num": (2, 30), "min_cross_compaction_unseq_file_level": (0, 1)}


@case(seconds=500)
def ours(world, figures):
    """files of our writer, versions 3 and 4, loaded by stock 2.0.10: every type and encoding queried equal"""
    world.programs()
    target, folder = world.target(), world.place("ours")
    for version in (3, 4):
        for name, step in STEPS.items():
            database = "root.ours%d%s" % (version, name)
            devices = list(sample(database, step))
            path = os.path.join(folder, "%d%s.tsfile" % (version, name))
            write(path, version, devices)
            expected = rows_of(devices)
            same("read back", expected, read([path]))
            target.run("LOAD '%s' WITH ('on-success'='none')" % path)
            found = data.snapshot(target, database)
            if found != expected:
                raise Failure("%s: %s" % (path, data.difference(expected, found)))
            figures("version %d, rows of a %s: %d devices, %d points, %d KiB" % (
                version, name, len(devices), data.points(expected), os.path.getsize(path) >> 10))
            world.wipe(target)


def sample(database, step, without=(), text_bytes=1 << 20):
    """Devices in the order of both versions: aligned with nulls, not aligned, and one of a single point."""
    dice = random.Random(database)
    for device, aligned, holes in (("a", True, 0.3), ("b", True, 0), ("c", False, 0.3), ("d", False, 0)):
        series = []
        for kind, encodings in sorted(ENCODINGS.items()):
            for encoding in encodings:
                if (kind, encoding) in without:
                    continue
                cells = [data.cell(kind, row, dice) for row in range(ROWS)]
                for place, cell in enumerate(EXTREMES.get(kind, [])):
                    cells[100 + 40 * place] = cell[:text_bytes] if kind in TEXTS else cell
                kept = [row for row in range(ROWS) if row % 100 == 0 or dice.random() >= holes]
                series.append(one_series("%s_%s" % (kind.lower(), encoding.lower()), kind, encoding, kept, cells, step,
                                         COMPRESSORS[len(series) % len(COMPRESSORS)]))
        series.sort(key=lambda one: one["name"])
        yield {"path": "%s.%s" % (database, device), "aligned": aligned, "series": series}
    yield {"path": database + ".e", "aligned": False, "series": [
        one_series("lonely", "INT64", "TS_2DIFF", [0], [7], step, "LZ4")]}


def one_series(name, kind, encoding, rows, cells, step, compression):
    return {"name": name, "type": kind, "encoding": encoding, "compression": compression,
            "times": [data.START + row * step for row in rows], "cells": [cells[row] for row in rows]}


def write(path, version, devices):
    """By our writer, with small pages and chunks so that there are several."""
    lines = []
    for device in devices:
        series = [dict(one, cells=None, values=[told(one["type"], cell) for cell in one["cells"]])
                  for one in device["series"]]
        lines.append(json.dumps(dict(device, series=series)))
    command = [debug_program("penstock-points"), "--version", str(version), "--page-points", "100",
               "--chunk-points", "250", path]
    subprocess.run(command, input="\n".join(lines), text=True, check=True)


def told(kind, cell):
    if kind == "FLOAT":
        return struct.unpack(">I", struct.pack(">f", cell))[0]
    if kind == "DOUBLE":
        return struct.unpack(">Q", struct.pack(">d", cell))[0]
    if kind in TEXTS:
        return (cell if isinstance(cell, bytes) else cell.encode()).hex()
    return cell


def rows_of(devices):
    """As `data.snapshot` gives what a query sees."""
    return arranged((device["path"], time, one["name"], one["type"], cell)
                    for device in devices for one in device["series"]
                    for time, cell in zip(one["times"], one["cells"]))


def arranged(points):
    seen = collections.defaultdict(lambda: collections.defaultdict(list))
    for device, time, name, kind, cell in points:
        seen[device][time].append(("%s.%s" % (device, name), kind, repr(cell)))
    return {device: [(time, tuple(sorted(cells))) for time, cells in sorted(rows.items())]
            for device, rows in sorted(seen.items())}


def same(what, expected, found):
    if found != expected:
        raise Failure("%s: %s" % (what, data.difference(expected, found)))


def read(paths):
    """What our reader finds in files, the later ones over the earlier ones; each is checked to its pages."""
    points = {}
    for path in paths:
        command(["check", path])
        types = dict(re.split(" {2,}", line)[1:3] for line in command(["ls", path]).splitlines() if re.search(" chunks? ", line))
        for line in command(["show", "--format", "json", path]).splitlines():
            # Numbers as they stand there: a minus zero is no integer.
            point = json.loads(line, parse_int=str, parse_float=str)
            device, name = point["device"], point["series"]
            kind = types["%s.%s" % (device, name)].split()[0]
            points[device, int(point["time"]), name] = kind, shown(kind, point["value"])
    return arranged((*key, *value) for key, value in points.items())


def command(arguments):
    done = subprocess.run([program("penstock-receiver"), "tsfile", *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise Failure("tsfile %s ended with %d:\n%s" % (
            " ".join(arguments), done.returncode, (done.stdout + done.stderr).decode(errors="replace")[:2000]))
    return done.stdout.decode()


def shown(kind, value):
    if kind == "FLOAT":
        return struct.unpack(">f", struct.pack(">f", float(value)))[0]
    if kind == "DOUBLE":
        return float(value)
    if kind == "BLOB":
        return bytes.fromhex(value[2:])
    if kind in ("DATE", "INT32", "INT64", "TIMESTAMP"):
        return int(value.replace("-", "") if kind == "DATE" else value)
    return value


@case(seconds=300)
def theirs(world, figures):
    """files of stock 2.0.10 read by us: flushed, out of order, deleted from, compacted, large: equal to SELECT"""
    world.programs()
    stock, database = world.target(), "root.theirs"
    data.write(stock, database)
    dice = random.Random(5)
    # Rows that are there already, and rows before them: both go to files of their own.
    data.insert(stock, database, range(20, 40), dice)
    data.insert(stock, database, range(-30, -10), dice)
    stock.run("FLUSH " + database)
    compare(stock, database, "flushed", figures)
    stock.run("DELETE FROM %s.plain.b_int WHERE time <= %d" % (database, data.START + 25 * data.STEP),
              "DELETE FROM %s.aligned.** WHERE time >= %d AND time <= %d"
              % (database, data.START + 10 * data.STEP, data.START + 12 * data.STEP),
              "DELETE FROM %s.holes.c_long" % database)
    compare(stock, database, "deleted from", figures)
    data.write_large(stock, "root.theirslarge", 8)
    compare(stock, "root.theirslarge", "large", figures)
    compact(stock, database)
    compare(stock, database, "compacted", figures)
    world.wipe(stock)


def compact(stock, database):
    """Lets the node merge all files of a database into one."""
    stock.run(*("SET CONFIGURATION '%s'='%d'" % (key, eager) for key, (eager, _) in COMPACTION.items()))
    wait_for("files of %s are merged" % database, 60, lambda: len(files_of(stock, database, "*.tsfile*")) == 2,
             otherwise=lambda: str(files_of(stock, database, "*")))
    stock.run(*("SET CONFIGURATION '%s'='%d'" % (key, usual) for key, (_, usual) in COMPACTION.items()))


def files_of(stock, database, ending="*.tsfile"):
    """Files of a database in the order of their writing: what is in order first, then by version."""
    def order(path):
        parts = os.path.basename(path).split("-")
        return "unsequence" in path, int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0
    pattern = os.path.join(stock.folder, "data", "datanode", "data", "*", database, "*", "*", ending)
    return sorted(glob.glob(pattern), key=order)


def compare(stock, database, what, figures):
    expected = data.snapshot(stock, database)
    for tries in range(5):
        files = files_of(stock, database)
        try:
            found = read(files)
            break
        except Failure:
            # The node merges files when it likes: what has gone meanwhile is looked for in its new place.
            if tries == 4 or files == files_of(stock, database):
                raise
    same(what, expected, found)
    figures("%-12s %d files, %d points, %d KiB" % (
        what, len(files), data.points(expected), sum(map(os.path.getsize, files)) >> 10))


@case(seconds=600, needs_stock=False, beside=True)
def libraries(world, figures):
    """Apache's Java library, and its Python package where it installs: read ours, write for us"""
    done = subprocess.run([sys.executable, os.path.join(ROOT, "tests", "interop", "tsfile", "run")],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in done.stdout.splitlines():
        figures(line)
    if done.returncode != 0:
        raise Failure("tests/interop/tsfile/run ended with %d" % done.returncode)
