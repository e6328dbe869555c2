"""A stock sender, through the gate, to penstock-receiver."""

import os

from harness import data, legs, tsfile
from harness.penstock import Gate, Node
from harness.process import Failure
from harness.tap import Tap

from . import case

# Everything stays for the cases that send it on.
KEEP = '[spool]\nretain_bytes = "2GiB"\nmax_bytes = "4GiB"\nreserve_bytes = "64MiB"\n'


@case(seconds=420)
def receive(world, figures):
    """stock sender to penstock-receiver: each way of sending answered, in the spool, files landed whole"""
    source, _ = world.source(), world.programs()
    receiver = Node("receiver", world.place("receiver"), KEEP).start()
    tap = Tap(receiver.gate_port)
    gate = Gate(world.place("receive"), tap.port)
    for leg in legs.LEGS:
        before = receiver.intake("gate")["accepted_entries"]
        took = legs.send(source, leg, tap, gate.port)
        entries = receiver.intake("gate")["accepted_entries"] - before
        if entries == 0:
            raise Failure("%s: nothing in the spool" % leg.name)
        figures("%-10s %5.1f s, %4d frames, %3d entries, %s" % (
            leg.name, took, tap.frames, entries, dict(sorted(tap.types.items()))))
    world.kept["receive"] = receiver
    check_quiet(source, receiver, gate)
    files = check_landed(source, receiver)
    figures("landed %d files, %d points, each structure whole" % (len(files), sum(s.points for s in files.values())))
    figures("loaded and queried: %d points equal" % check_values(world, source, files))
    status = receiver.status()
    figures("spool %d entries, %.1f MiB; receiver's peak memory %.1f MiB" % (
        status["spool"]["entries"], status["spool"]["bytes"] / (1 << 20), receiver.child.memory()[1]))
    receiver.command("spool", "verify")
    receiver.stop()
    gate.stop()


def check_quiet(source, receiver, gate):
    """Nobody had anything to complain about."""
    refused, trouble = receiver.intake("gate")["refused"], receiver.trouble()
    if refused or trouble:
        raise Failure("%d refused, trouble %s" % (refused, trouble))
    if source.given_up():
        raise Failure("the sender gave up: " + source.given_up()[0])
    if gate.events("violation"):
        raise Failure("more than one-byte answers: " + gate.events("violation")[0])


def check_landed(source, receiver):
    """{path: summary} of the landed files; every leg of files has all its points there."""
    expected = [leg for leg in legs.LEGS if 4 in leg.types or 8 in leg.types]
    receiver.wait_landed(60)
    files = {line["path"]: tsfile.check(line["path"]) for line in receiver.landed()}
    for leg in expected:
        inside = [s for s in files.values() if all(d.startswith(legs.database(leg) + ".") for d in s.devices)]
        landed = sum(summary.points for summary in inside)
        wanted = data.points(data.snapshot(source, legs.database(leg)))
        if landed != wanted if not leg.deletes else landed <= wanted:
            raise Failure("%s: %d points landed, the source has %d" % (leg.name, landed, wanted))
    return files


def check_values(world, source, files):
    """The landed files in another database: a stock node reads what the source has, deletes in `.mods` included."""
    target, equal = world.target(), 0
    for path in files:
        target.run("LOAD '%s' WITH ('on-success'='none')" % path)
    for leg in filter(legs.files_only, legs.LEGS):
        equal += world.same(source, target, legs.database(leg))
    world.wipe(target)
    for path in files:
        leftover = path + ".resource"
        if os.path.exists(leftover):
            os.unlink(leftover)
    return equal
