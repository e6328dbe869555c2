"""IoTDB's clients and thrift pipes at the session service, and a stock IoTDB behind the gate."""

import os
import subprocess

from harness import legs
from harness.penstock import ROOT, Gate, Node, air_gap_pipe, session_service
from harness.process import Failure, free_ports
from harness.rpc import Session
from harness.stock import run_tool

from . import case

PASSWORD = "root"
THRIFT = [
    # name, the sink's attributes, what is deleted
    ("async", {"sink": "iotdb-thrift-sink"}, ""),
    ("sync", {"sink": "iotdb-thrift-sync-sink", "sink.compressor": "zstd"}, ""),
    ("tablets", {"sink": "iotdb-thrift-sink", "sink.format": "tablet"}, ""),
    ("single", {"sink": "iotdb-thrift-sync-sink", "sink.format": "tablet", "sink.batch.enable": "false"}, ""),
    ("deletes", {"sink": "iotdb-thrift-sync-sink"}, "after"),
]
JAVA_SECONDS = 120


@case(seconds=420)
def session(world, figures):
    """Java's session and a stock node's thrift pipes to `[session]`, over air gap to a stock node: the same SELECT"""
    source, target, _ = world.source(), world.target(), world.programs()
    gate = Gate(world.place("session", "gate"), target.gate_port)
    port, = free_ports(1)
    node = Node("sender", world.place("session"), session_service(port, PASSWORD) + air_gap_pipe("on", gate.port)).start()
    for name, sink, deletes in THRIFT:
        figures("%-8s %d points equal at both ends" % (name, pipe(world, port, name, sink, deletes)))
    written = java(world, source, target, port)
    figures("Java's session, binary and compact: %d points equal at both ends" % written)
    with Session(port) as own:
        shown = own.query("SHOW PIPES").dicts()
    if [row["ID"] for row in shown] != ["on"]:
        raise Failure("SHOW PIPES shows %s" % shown)
    accepted, peak = node.intake("session")["accepted_entries"], node.child.memory()[1]
    if node.trouble() or not accepted:
        raise Failure("%d entries, trouble %s" % (accepted, node.trouble()))
    figures("%d entries taken in, peak memory %.1f MiB" % (accepted, peak))
    node.stop()
    gate.stop()
    world.wipe(source)
    world.wipe(target)


def pipe(world, port, name, sink, deletes):
    """A pipe of the stock source to the service; the points that the stock target has in the end."""
    source, target = world.source(), world.target()
    leg = legs.Leg("session_" + name, set(), deletes=deletes)
    wanted = {"source.inclusion": "data.insert,data.delete"} if deletes else {}
    legs.data.write(source, legs.database(leg), seed=sum(map(ord, name)))
    pairs = {"source": "iotdb-source", "source.path": legs.database(leg) + ".**", **wanted}
    ends = {"sink.node-urls": "127.0.0.1:%d" % port, **sink}
    inner = [", ".join("'%s'='%s'" % pair for pair in side.items()) for side in (pairs, ends)]
    source.run("CREATE PIPE %s WITH SOURCE (%s) WITH SINK (%s)" % (leg.name, *inner))
    legs.more_rows(source, leg)
    if deletes:
        # Those that came before are there, or the deletion might overtake them.
        world.same(source, target, legs.database(leg), 60)
        legs.delete(source, leg)
    points = world.same(source, target, legs.database(leg), 90)
    source.run("DROP PIPE " + leg.name)
    return points


def java(world, source, target, port):
    """The same calls of Java's session to the stock source and to the service."""
    classes, libraries = world.place("session", "classes"), os.path.join(source.home, "lib", "*")
    program = os.path.join(ROOT, "tests", "interop", "session", "Writes.java")
    run_tool(["javac", "-encoding", "UTF-8", "-d", classes, "-cp", libraries, program], JAVA_SECONDS)
    said = []
    for where, more in ((source.rpc_port, []), (port, ["compact"])):
        words = ["java", "-Dfile.encoding=UTF-8", "-cp", classes + os.pathsep + libraries, "Writes", str(where),
                 "root.session_java", PASSWORD, *more]
        done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=JAVA_SECONDS)
        if done.returncode != 0:
            raise Failure("Java's session at %d:\n%s" % (where, done.stdout[-3000:]))
        said.append(done.stdout)
    columns = [next(line for line in text.splitlines() if line.startswith("ID,")) for text in said]
    if not columns[1].startswith(columns[0]) or "no.root" not in said[1]:
        raise Failure("a stock node shows %s, ours %s" % tuple(said))
    source.run("FLUSH root.session_java")
    return world.same(source, target, "root.session_java", 60)
