"""What a stock sender does to its data when its receiver is away (hazard J1: it gives up after 60 s of FAIL)."""

import atexit
import contextlib
import os
import random
import signal
import subprocess
import time

from harness import data, legs
from harness.penstock import Node, air_gap_pipe
from harness.process import Failure
from harness.rpc import RpcError

from . import case

LEGS = [leg for leg in legs.LEGS if leg.name in ("files", "batch", "single")]
BURST_ROWS = 10
BURST_PAUSE_SECONDS = 4
DISK_BYTES = 96 << 20


class Killed:
    """The power plug."""

    def begin(self, receiver):
        receiver.child.kill()

    def end(self, receiver):
        receiver.start()


class Stopped:
    """A process that does not run, with its connections open."""

    def begin(self, receiver):
        receiver.child.signal(signal.SIGSTOP)

    def end(self, receiver):
        receiver.child.signal(signal.SIGCONT)


class Full:
    """A file system without room."""

    def begin(self, receiver):
        self.ballast = os.path.join(receiver.data, "ballast")
        with contextlib.suppress(OSError), open(self.ballast, "wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 16))

    def end(self, receiver):
        status, trouble = receiver.status(), receiver.trouble()
        os.unlink(self.ballast)
        if status["spool"]["state"] != "full" or not trouble:
            raise Failure("the disk is full and the spool says %s, trouble %s" % (status["spool"]["state"], trouble))


HARMS = {"killed": Killed, "stopped": Stopped, "full": Full}


@case(seconds=900, beside=True)
def outages(world, figures):
    """receivers killed, stopped and with a full disk while a stock sender sends: nothing given up, nothing missing"""
    source, target, _ = world.source(), world.target(), world.programs()
    receivers = {name: start_receiver(world, name, target) for name in HARMS}
    lanes = [(harm, leg._replace(name="%s_%s" % (harm, leg.name))) for harm in HARMS for leg in LEGS]
    for harm, leg in lanes:
        data.write(source, legs.database(leg))
        source.create_pipe("to_" + leg.name, receivers[harm].gate_port, legs.database(leg), leg.source, leg.sink)
    for _, leg in lanes:
        world.same(source, target, legs.database(leg), 120)
    harms = {name: make() for name, make in HARMS.items()}
    for name, harm in harms.items():
        harm.begin(receivers[name])
    bursts = write_for(source, lanes, world.outage_seconds)
    for name, harm in harms.items():
        harm.end(receivers[name])
    began = time.monotonic()
    write_for(source, lanes, 1, bursts)
    equal = sum(world.same(source, target, legs.database(leg), 300) for _, leg in lanes)
    for _, leg in lanes:
        source.wait_pipe_empty("to_" + leg.name, 60)
    figures("%d s away, %d bursts into %d databases meanwhile; all there %.1f s after: %d points equal" % (
        world.outage_seconds, bursts, len(lanes), time.monotonic() - began, equal))
    if source.given_up():
        raise Failure("the sender gave up: " + source.given_up()[0])
    for name, receiver in receivers.items():
        figures("%-8s peak memory %.1f MiB" % (name, receiver.child.memory()[1]))
        receiver.stop()
    unmount(receivers["full"].data)
    for _, leg in lanes:
        source.run("DROP PIPE to_" + leg.name)
    world.wipe(source)
    world.wipe(target)


def start_receiver(world, name, target):
    folder = world.place("outages", name)
    place = os.path.join(folder, "data")
    if name == "full":
        mount(place)
    limits = '[spool]\nsegment_bytes = "4MiB"\nreserve_bytes = "8MiB"\n'
    return Node("receiver", folder, limits + air_gap_pipe("on", target.gate_port)).start()


def mount(place):
    """A file system of its own, so that it can be filled; unmounted at the end whatever happens."""
    os.makedirs(place, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%d" % DISK_BYTES, "penstock-interop", place],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise Failure("a small file system needs the right to mount: " + done.stdout.strip())
    atexit.register(unmount, place)


def unmount(place):
    if os.path.ismount(place):
        subprocess.run(["umount", "--lazy", place], stdin=subprocess.DEVNULL, check=False)


def write_for(source, lanes, seconds, turn=0):
    """Bursts of rows into every lane, each flushed, until the time is over; gives the number of the next burst."""
    deadline = time.monotonic() + seconds
    while True:
        for _, leg in lanes:
            first = 100 + turn * BURST_ROWS
            rows = range(first, first + BURST_ROWS)
            try:
                data.insert(source, legs.database(leg), rows, random.Random(first))
                source.run("FLUSH " + legs.database(leg))
            except RpcError as error:
                raise Failure("the source itself failed: %s" % error) from None
        turn += 1
        if time.monotonic() + BURST_PAUSE_SECONDS > deadline:
            return turn
        time.sleep(BURST_PAUSE_SECONDS)
