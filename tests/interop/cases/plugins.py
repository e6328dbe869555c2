"""A plug-in of the project in front of a real broker."""

import os
import shutil
import socket
import stat

from harness.penstock import ROOT, Node
from harness.process import Child, Failure, free_ports, wait_for

from . import case

GOLDEN = os.path.join(ROOT, "tests", "golden", "iotdb-1.3.3")
HANDSHAKE = "001-51-handshake-v2.bin"
TABLETS = ["005-2-tablet-alltypes.bin", "006-2-tablet-nulls-8rows.bin", "011-2-tablet-one-column.bin"]
BROKER = "listener %d 127.0.0.1\nallow_anonymous true\nlog_dest stderr\nlog_type all\n"


@case(seconds=90, needs_stock=False, beside=True)
def plugins(world, figures):
    """examples/to_mqtt.sh to a real MQTT broker that was away: each tablet is published once, and answered then"""
    world.programs()
    folder = world.place("plugins")
    receiver = node_with_plugin(folder)
    send(receiver.gate_port, [HANDSHAKE, *TABLETS])
    port, = free_ports(1)
    receiver.command("sql", "create pipeplugin mqtt as 'to_mqtt.sh 127.0.0.1 %d plant' using uri 'file:to_mqtt.sh'; "
                     "create pipe out with sink ('sink'='mqtt')" % port)
    wait_for("the pipe tells of its plug-in", 20, lambda: "plug-in mqtt" in receiver.status()["pipes"][0]["message"])
    receiver.command("sql", "stop pipe out")
    broker = start_broker(folder, port)
    heard = Child("subscriber", ["mosquitto_sub", "-h", "127.0.0.1", "-p", port, "-t", "plant/#", "-q", "1", "-F", "%t %l"],
                  os.path.join(folder, "heard"))
    wait_for("a subscription", 20, lambda: "SUBSCRIBE" in text(broker.log))
    receiver.command("sql", "start pipe out")
    receiver.wait_pipes_empty(30)
    wait_for("all tablets to be heard", 20, lambda: len(text(heard.log).splitlines()) >= len(TABLETS))
    lines = text(heard.log).splitlines()
    if len(lines) != len(TABLETS) or not all(line.startswith("plant/2 ") for line in lines):
        raise Failure("published: %s" % lines)
    if receiver.status()["pipes"][0]["message"]:
        raise Failure("the pipe still says %s" % receiver.status()["pipes"][0]["message"])
    figures("%d tablets published" % len(lines))
    receiver.stop()
    heard.stop()
    broker.stop()


def node_with_plugin(folder):
    programs = os.path.join(folder, "programs")
    os.makedirs(programs)
    kept = shutil.copy(os.path.join(ROOT, "examples", "to_mqtt.sh"), programs)
    os.chmod(kept, os.stat(kept).st_mode | stat.S_IXUSR)
    return Node("receiver", folder, "[plugins]\nallow = true\ndir = \"%s\"\n" % programs).start()


def start_broker(folder, port):
    program = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if not program:
        raise Failure("needs mosquitto and its clients")
    settings = os.path.join(folder, "mosquitto.conf")
    with open(settings, "w") as file:
        file.write(BROKER % port)
    broker = Child("broker", [program, "-c", settings], os.path.join(folder, "broker.log"))
    wait_for("the broker", 20, lambda: "running" in text(broker.log))
    return broker


def send(port, names):
    """Sends captured frames; each has to be accepted."""
    with socket.create_connection(("127.0.0.1", port), 10) as gate:
        for name in names:
            with open(os.path.join(GOLDEN, name), "rb") as file:
                gate.sendall(file.read())
            answer = gate.recv(1)
            if answer != b"\0":
                raise Failure("%s was answered %r" % (name, answer))


def text(path):
    with open(path, errors="replace") as file:
        return file.read()
