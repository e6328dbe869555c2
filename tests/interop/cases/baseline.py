"""Stock IoTDB without Penstock: shows that the harness can tell right from wrong."""

import os

from harness import data, legs, tsfile
from harness.process import Failure, wait_for
from harness.tap import REFUSED, Tap, request_type

from . import case


@case(seconds=400, by_default=False)
def baseline(world, figures):
    """stock sender to stock receiver, every leg, without Penstock"""
    source, target = world.source(), world.target()
    tap = Tap(target.gate_port)
    for leg in legs.LEGS:
        took = legs.send(source, leg, tap, tap.port)
        world.same(source, target, legs.database(leg))
        figures("%s %.1f s %s" % (leg.name, took, dict(sorted(tap.types.items()))))
        target.run("DELETE DATABASE " + legs.database(leg))
        source.run("DELETE DATABASE " + legs.database(leg))
    if source.given_up():
        raise Failure("the sender gave up: " + source.given_up()[0])


class Refusing(Tap):
    """A receiver that shakes hands and refuses everything else."""

    HANDSHAKE = 51

    def answer_to(self, frame):
        return super().answer_to(frame) if request_type(frame.payload) == self.HANDSHAKE else REFUSED


@case(seconds=240, by_default=False)
def control(world, figures):
    """a receiver that goes on refusing: the sender gives data up, and the harness sees it"""
    source, tap = world.source(), Refusing()
    lanes = [leg._replace(name="control_" + leg.name) for leg in legs.LEGS if leg.name in ("files", "batch", "single")]
    for leg in lanes:
        data.write(source, legs.database(leg))
        source.create_pipe("to_" + leg.name, tap.port, legs.database(leg), leg.source, leg.sink)
    wait_for("the sender gives up", 120, source.given_up, 1)
    figures("given up after %d refusals: %s..." % (tap.refused(), source.given_up()[0][:160]))
    for leg in lanes:
        source.run("DROP PIPE to_" + leg.name)
    source.forgive()
    world.wipe(source)


@case(seconds=120, by_default=False)
def checker(world, figures):
    """the TsFile checker passes stock files and sees them damaged"""
    source = world.source()
    data.write(source, "root.checker")
    folder = os.path.join(source.folder, "data", "datanode", "data", "sequence", "root.checker")
    paths = wait_for("a flushed file", 30, lambda: [
        os.path.join(top, name) for top, _, names in os.walk(folder) for name in names if name.endswith(".tsfile")])
    seen = points = 0
    for path in paths:
        points += tsfile.check(path).points
        with open(path, "rb") as file:
            whole = file.read()
        half, zeroed = whole[:len(whole) // 2], whole[:100] + bytes(len(whole) - 100)
        for damaged in (half, zeroed, whole[:-1], whole[:40] + whole[41:], b""):
            seen += is_flawed(damaged, os.path.join(world.folder, "damaged.tsfile"))
    expected = data.points(data.snapshot(source, "root.checker"))
    if points != expected or seen != 5 * len(paths):
        raise Failure("%d points of %d, %d damages seen of %d" % (points, expected, seen, 5 * len(paths)))
    source.run("DELETE DATABASE root.checker")
    figures("%d files, %d points, %d damages seen" % (len(paths), points, seen))


def is_flawed(raw, path):
    with open(path, "wb") as file:
        file.write(raw)
    try:
        tsfile.check(path)
    except tsfile.Flaw:
        return True
    return False
