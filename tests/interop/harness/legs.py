"""The ways in which a stock sender can put data on the wire, each with a database and a pipe of its own."""

import collections
import random
import time

from . import data
from .process import Failure, wait_for

Leg = collections.namedtuple("Leg", "name types source sink deletes wrapped large", defaults=({}, {}, "", False, 0))

TABLET = {"sink.format": "tablet"}
SINGLE = {"sink.format": "tablet", "sink.batch.enable": "false"}
COMPRESSED = 300
LEGS = [
    Leg("files", {4, 9}),
    Leg("mods", {8, 9}, {"source.mods.enable": "true"}, deletes="before"),
    Leg("deletes", {4, 9, 100}, {"source.inclusion": "data.insert,data.delete"}, deletes="after"),
    Leg("batch", {13}, sink=TABLET),
    Leg("single", {11}, sink=SINGLE),
    Leg("e_language", {13}, sink={**TABLET, "sink.air-gap.e-language.enable": "true"}, wrapped=True),
    Leg("e_files", {4, 9}, sink={"sink.air-gap.e-language.enable": "true"}, wrapped=True),
    Leg("snappy", {COMPRESSED}, sink={**TABLET, "sink.compressor": "snappy"}),
    Leg("gzip", {COMPRESSED}, sink={**SINGLE, "sink.compressor": "gzip"}),
    Leg("lz4", {COMPRESSED}, sink={**TABLET, "sink.compressor": "lz4"}),
    Leg("zstd", {COMPRESSED}, sink={**TABLET, "sink.compressor": "zstd"}),
    Leg("lzma2", {COMPRESSED}, sink={"sink.compressor": "snappy,lzma2"}),
    Leg("large", {4, 9}, large=12),
]


def database(leg):
    return "root." + leg.name


def files_only(leg):
    """Whether the leg's data crosses as files, deletes included."""
    return "sink.format" not in leg.sink and leg.deletes != "after"


def delete(stock, leg):
    stock.run("DELETE FROM %s.plain.b_int WHERE time <= %d" % (database(leg), data.START + 5 * data.STEP),
              "DELETE FROM %s.aligned.** WHERE time >= %d AND time <= %d"
              % (database(leg), data.START + 10 * data.STEP, data.START + 12 * data.STEP))


def send(stock, leg, tap, port, seconds=90):
    """Half of the data before the pipe is there, half of it after; gives the seconds until all was answered."""
    tap.clear()
    name = "to_" + leg.name
    if leg.large:
        data.write_large(stock, database(leg), leg.large)
    else:
        data.write(stock, database(leg), seed=sum(map(ord, leg.name)))
    if leg.deletes == "before":
        delete(stock, leg)
    began = time.monotonic()
    stock.create_pipe(name, port, database(leg), leg.source, leg.sink)
    if not leg.large:
        more_rows(stock, leg)
    if leg.deletes == "after":
        wait_for("the files of %s are out" % leg.name, seconds, lambda: tap.types[9] >= 1)
        delete(stock, leg)
        wait_for("the deletes of %s are out" % leg.name, seconds, lambda: tap.types[100] >= 2)
    # before its first event a pipe has nothing left to send either
    wait_for("%s sends %s" % (leg.name, sorted(leg.types)), seconds, lambda: leg.types <= set(tap.types),
             otherwise=lambda: "only %s" % dict(tap.types))
    stock.wait_pipe_empty(name, seconds)
    wait_for("every frame of %s is answered" % leg.name, seconds, lambda: sum(tap.answers.values()) == tap.frames)
    took = time.monotonic() - began
    stock.run("DROP PIPE " + name)
    check_wire(leg, tap)
    return took


def more_rows(stock, leg):
    data.insert(stock, database(leg), range(60, 90), random.Random(99))
    stock.run("FLUSH " + database(leg))


def check_wire(leg, tap):
    """The leg did what it is there for: else the case would prove nothing."""
    if leg.wrapped != (tap.wrapped == tap.frames):
        raise Failure("%s: %d of %d frames wrapped" % (leg.name, tap.wrapped, tap.frames))
    if tap.refused() or tap.faults:
        raise Failure("%s: answers %s, faults %s" % (leg.name, dict(tap.answers), tap.faults))
