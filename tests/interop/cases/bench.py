"""Side by side: the same frames to Penstock and to a stock receiver, one after the other on the same machine."""

import json
import os
import subprocess

from harness import penstock
from harness.process import Failure
from harness.stock import Stock

from . import case

MIB = 1 << 20
# name, connections, what is sent, how many times as fast as stock at least
SHAPES = [
    ("tablets 100 x 10, 1 connection", 1, ["tablets", "100", "10"], 1.5),
    ("tablets 100 x 10, 16 connections", 16, ["tablets", "100", "10"], 5.0),
    ("tablets 1000 x 10, 1 connection", 1, ["tablets", "1000", "10"], 4.0),
    ("pieces of 5 MiB, 1 connection", 1, ["files", str(32 * MIB), str(5 * MIB)], 4.0),
    ("pieces of 5 MiB, 5 connections", 5, ["files", str(32 * MIB), str(5 * MIB)], 1.5),
]
MEMORY_SHARE = 50


@case(seconds=600, by_default=False)
def bench(world, figures):
    """the same frames to Penstock and to a stock receiver: speed and memory side by side"""
    penstock.build("penstock-load")
    stock = Stock("rival", world.place("rival"), air_gap=True, data_heap="512m", config_heap="128m", as_shipped=True)
    stock.start().wait_ready()
    receiver = penstock.Node("receiver", world.place("bench"), "").start()
    header = "%-34s %10s %10s %7s %9s %9s %9s %9s %14s" % (
        "", "frames/s", "stock", "ratio", "MB/s", "stock", "p99 ms", "stock", "answer median")
    rows, short = [header], []
    for name, connections, shape, least in SHAPES:
        ours = load(receiver.gate_port, connections, shape)
        theirs = load(stock.gate_port, connections, shape)
        ratio = rate(ours) / rate(theirs)
        rows.append("%-34s %10.0f %10.0f %6.1fx %9.1f %9.1f %9.2f %9.2f %6.2f %7.2f" % (
            name, rate(ours), rate(theirs), ratio, speed(ours), speed(theirs), ours["p99_ms"], theirs["p99_ms"],
            ours["median_ms"], theirs["median_ms"]))
        if ratio < least:
            short.append("%s: %.1f times, wanted %.1f" % (name, ratio, least))
    ours, theirs = receiver.child.memory()[1], stock.memory_peak()
    rows.append("%-34s %10.1f %10.0f  1/%.0f" % ("peak resident MiB", ours, theirs, theirs / ours))
    if ours * MEMORY_SHARE > theirs:
        short.append("memory: 1/%.0f, wanted 1/%d" % (theirs / ours, MEMORY_SHARE))
    for row in rows:
        figures(row)
    receiver.stop()
    stock.stop()
    if short:
        raise Failure("; ".join(short))


def load(port, connections, shape):
    command = [penstock.program("penstock-load"), "--target", "127.0.0.1:%d" % port,
               "--connections", str(connections), "--warm-up", os.environ.get("BENCH_WARM_UP", "4"),
               "--seconds", os.environ.get("BENCH_SECONDS", "8"), *shape]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=120)
    if done.returncode != 0:
        raise Failure("%s: %s" % (" ".join(shape), done.stdout.strip()))
    return json.loads(done.stdout)


def rate(measured):
    return max(measured["frames"], 1) / measured["seconds"]


def speed(measured):
    return measured["bytes"] / measured["seconds"] / 1e6
