"""Stock IoTDB, Penstock's receiver with an air-gap pipe, stock IoTDB again."""

from harness import legs
from harness.penstock import Gate, Node, air_gap_pipe
from harness.process import Failure
from harness.tap import Tap

from . import case

NAMES = ["files", "deletes", "batch", "single", "lzma2", "large"]


@case(seconds=420)
def chain(world, figures):
    """stock to penstock-receiver to stock while data comes: the same SELECT at both ends"""
    source, target, _ = world.source(), world.target(), world.programs()
    behind = Gate(world.place("chain", "behind"), target.gate_port)
    receiver = Node("receiver", world.place("chain"), air_gap_pipe("on", behind.port)).start()
    tap = Tap(receiver.gate_port)
    before = Gate(world.place("chain", "before"), tap.port)
    for leg in [leg._replace(name="chain_" + leg.name) for leg in legs.LEGS if leg.name in NAMES]:
        took = legs.send(source, leg, tap, before.port)
        equal = world.same(source, target, legs.database(leg), 90)
        figures("%-14s %5.1f s, %d points equal at both ends" % (leg.name, took, equal))
    receiver.wait_pipes_empty(60)
    if receiver.trouble() or receiver.intake("gate")["refused"]:
        raise Failure("trouble %s" % receiver.trouble())
    figures("receiver's peak memory %.1f MiB" % receiver.child.memory()[1])
    receiver.stop()
    before.stop()
    behind.stop()
    world.wipe(source)
    world.wipe(target)
