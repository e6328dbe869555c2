"""Peculiarities of a stock receiver that only the gate can play, and what must never be sent to one."""

import os
import shutil
import time

from harness import data
from harness.penstock import Gate, Node, air_gap_pipe, waiting_in
from harness.process import Failure, wait_for
from harness.tap import Tap

from . import case

FILES = 6
PAUSE_SECONDS = 2.5
UNASKED_EVERY_SECONDS = 2
# An unfinished file is given time to be finished.
HALF_SECONDS = 120
DATABASE = "root.peculiar"


@case(seconds=360)
def peculiar(world, figures):
    """a stock receiver's unasked 0xFF shifts no answer, and half a TsFile is never sent"""
    source, target, _ = world.source(), world.target(), world.programs()
    data.write(source, DATABASE, rows=FILES * 20, flushes=FILES)
    paths = flushed_files(source)
    tap = Tap(target.gate_port, keep={4, 5, 8, 9})
    faults = ["at %ds: unasked-answer 0xff" % second for second in range(2, 60, UNASKED_EVERY_SECONDS)]
    gate = Gate(world.place("peculiar", "gate"), tap.port, *(word for fault in faults for word in ("--fault", fault)))
    inbox = world.place("peculiar", "inbox")
    sink = air_gap_pipe("out", gate.port, **{"air-gap.piece-bytes": "4096"})
    sender = Node("sender", world.place("peculiar"), '[inbox]\ndir = "%s"\n' % inbox + sink).start()
    put_half(paths[0], inbox)
    for path in paths:
        shutil.copy(path, os.path.join(world.folder, "aside"))
        os.rename(os.path.join(world.folder, "aside"), os.path.join(inbox, "whole-" + os.path.basename(path)))
        time.sleep(PAUSE_SECONDS)
    wait_for("the inbox is empty", HALF_SECONDS, lambda: not waiting_in(inbox))
    sender.wait_pipes_empty(60)
    equal = world.same(source, target, DATABASE)
    unasked, refused = len(gate.events("fault")), sender.status()["pipes"][0]["refused_frames"]
    if unasked < 3 or refused > 1:
        raise Failure("%d unasked answers were played, %d taken for refusals" % (unasked, refused))
    if tap.refused() or tap.faults:
        raise Failure("answers %s, faults %s" % (dict(tap.answers), tap.faults))
    figures("%d unasked answers among %d frames on %d connections: %d points equal" % (
        unasked, tap.frames, tap.connections, equal))
    figures(check_half(sender, tap))
    sender.stop()
    gate.stop()
    source.run("DELETE DATABASE " + DATABASE)
    target.run("DELETE DATABASE " + DATABASE)


def flushed_files(source):
    folder = os.path.join(source.folder, "data", "datanode", "data")

    def found():
        paths = [os.path.join(top, name) for top, _, names in os.walk(folder) for name in names
                 if name.endswith(".tsfile") and DATABASE in top]
        return len(paths) >= FILES and sorted(paths)
    return wait_for("%d flushed files" % FILES, 30, found)


def put_half(path, inbox):
    with open(path, "rb") as file:
        whole = file.read()
    aside = os.path.join(os.path.dirname(inbox), "half")
    with open(aside, "wb") as file:
        file.write(whole[:len(whole) // 2])
    os.rename(aside, os.path.join(inbox, "halved.tsfile"))


def check_half(sender, tap):
    """It lies in quarantine, a person is told, and no byte of it was on the wire."""
    wait_for("one thing in quarantine", 10, lambda: sender.status()["quarantine"]["things"] == 1 and sender.trouble(),
             otherwise=lambda: "quarantine %s, trouble %s" % (sender.status()["quarantine"], sender.trouble()))
    if any(b"halved" in payload for payload in tap.payloads):
        raise Failure("the halved file was sent")
    return "halved file: in quarantine, told as trouble, nothing of it sent"
