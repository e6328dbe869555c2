"""penstock-sender, through the gate, to a stock receiver."""

import os
import shutil

from harness import legs
from harness.penstock import Gate, Node, air_gap_pipe, waiting_in
from harness.process import Failure, wait_for
from harness.tap import Tap

from . import case
from .receive import KEEP, receive


@case(seconds=420)
def forward(world, figures):
    """penstock-sender to a stock receiver: files from the inbox, tablets from the spool that `receive` filled"""
    if "receive" not in world.kept:
        receive(world, figures)
    source, target, receiver = world.source(), world.target(), world.kept["receive"]
    tap = Tap(target.gate_port)
    gate = Gate(world.place("forward"), tap.port)
    figures(from_inbox(world, source, target, receiver, gate, tap))
    world.wipe(target)
    tap.clear()
    figures(from_spool(world, source, target, receiver, gate, tap))
    world.wipe(target)
    gate.stop()


def from_inbox(world, source, target, receiver, gate, tap):
    """The landed files of `receive`, each put into the inbox by rename."""
    folder = world.place("inbox-sender")
    inbox, aside = world.place("inbox-sender", "inbox"), world.place("inbox-sender", "aside")
    sender = Node("sender", folder, KEEP + '[inbox]\ndir = "%s"\n' % inbox + air_gap_pipe("out", gate.port)).start()
    names = []
    for line in receiver.landed():
        for suffix in (".mods", ".mods2", ""):
            if os.path.exists(line["path"] + suffix):
                names.append(os.path.basename(line["path"]) + suffix)
                shutil.copy(line["path"] + suffix, os.path.join(aside, names[-1]))
                os.rename(os.path.join(aside, names[-1]), os.path.join(inbox, names[-1]))
    wait_for("the inbox is empty", 60, lambda: not waiting_in(inbox))
    sender.wait_pipes_empty(120)
    equal = sum(world.same(source, target, legs.database(leg)) for leg in filter(legs.files_only, legs.LEGS))
    check_sent(sender, tap)
    memory = sender.child.memory()[1]
    sender.stop()
    return "inbox: %d files, %d points equal, nothing double, %s; peak memory %.1f MiB" % (
        len(names), equal, dict(sorted(tap.types.items())), memory)


def from_spool(world, source, target, receiver, gate, tap):
    """A sender over the spool of the receiver of `receive`."""
    sender = Node("sender", world.place("spool-sender"), KEEP + air_gap_pipe("out", gate.port), receiver.data).start()
    sender.wait_pipes_empty(180)
    equal = sum(world.same(source, target, legs.database(leg)) for leg in legs.LEGS)
    check_sent(sender, tap)
    sender.stop()
    return "spool: %d points equal, nothing double, %s" % (equal, dict(sorted(tap.types.items())))


def check_sent(sender, tap):
    """The stock receiver took every frame the first time."""
    if tap.refused() or tap.faults:
        raise Failure("answers %s, faults %s" % (dict(tap.answers), tap.faults))
    if sender.trouble():
        raise Failure("trouble %s" % sender.trouble())
