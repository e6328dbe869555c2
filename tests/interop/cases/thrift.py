"""Our thrift sinks in front of a stock IoTDB."""

from harness.penstock import Node, session_service, thrift_pipe
from harness.process import Failure, free_ports

from . import case
from .session import PASSWORD, pipe

SINKS = [
    # name, the sink's attributes
    ("single", {"sink": "iotdb-thrift-sync-sink", "batch.enable": "false"}),
    ("batches", {"sink": "iotdb-thrift-sync-sink", "compressor": "snappy,zstd"}),
    ("async", {"sink": "iotdb-thrift-sink", "batch.enable": "false"}),
    ("both", {"sink": "iotdb-thrift-async-sink", "compressor": "gzip,lzma2"}),
    ("files", {"compressor": "lz4", "format": "tsfile"}),
]


@case(seconds=420)
def thrift(world, figures):
    """A stock node's thrift pipe to `[session]`, and on by our thrift sinks to a stock node: the same SELECT"""
    source, target, _ = world.source(), world.target(), world.programs()
    for name, sink in SINKS:
        port, = free_ports(1)
        on = thrift_pipe("on", target.rpc_port, **sink)
        node = Node("sender", world.place("thrift", name), session_service(port, PASSWORD) + on).start()
        points = pipe(world, port, "thrift_" + name, {"sink": "iotdb-thrift-sync-sink"}, "after")
        peak = node.child.memory()[1]
        if node.trouble():
            raise Failure("trouble %s" % node.trouble())
        figures("%-8s %d points equal at both ends, peak memory %.1f MiB" % (name, points, peak))
        node.stop()
        world.wipe(source)
        world.wipe(target)
