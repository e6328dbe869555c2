"""The programs under test, and the gate between them, as processes."""

import json
import os
import re
import subprocess
import urllib.error
import urllib.request

from .process import Child, Failure, free_ports, wait_for

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
PROFILE = os.environ.get("PENSTOCK_PROFILE", "release")
STOP_SECONDS = 8
# Always built together: a part of them may need other features of the same libraries.
PROGRAMS = ["penstock-sender", "penstock-receiver", "penstock-gate"]


def build(*others):
    """The programs, and others that the tests need as fast."""
    command = ["cargo", "build", "--quiet", "--profile", PROFILE]
    for names in filter(None, (PROGRAMS, others)):
        subprocess.run(command + [word for name in names for word in ("-p", name)], cwd=ROOT, check=True,
                       stdin=subprocess.DEVNULL)


def program(name):
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
    return os.path.join(target, "debug" if PROFILE == "dev" else PROFILE, name)


def debug_program(name):
    """A program of the tests, built as `cargo test` builds it: in no need of speed."""
    subprocess.run(["cargo", "build", "--quiet", "-p", name], cwd=ROOT, check=True, stdin=subprocess.DEVNULL)
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
    return os.path.join(target, "debug", name)


class Node:
    """A sender or a receiver with a folder of its own; `configuration` is TOML without what every node has."""

    def __init__(self, role, folder, configuration, data=None):
        self.role, self.folder = role, os.path.abspath(folder)
        self.data = data or os.path.join(self.folder, "data")
        os.makedirs(self.data, exist_ok=True)
        self.status_port, self.gate_port = free_ports(2)
        self.log = os.path.join(self.folder, "log")
        self.file = os.path.join(self.folder, role + ".toml")
        self.child = None
        self.configure(configuration)

    def configure(self, configuration):
        with open(self.file, "w") as file:
            file.write('name = "interop-%s"\ndata_dir = "%s"\n' % (self.role, self.data))
            file.write(configuration)
            file.write('\n[status]\nlisten = "127.0.0.1:%d"\n' % self.status_port)
            if self.role == "receiver":
                file.write('\n[gate]\nlisten = "127.0.0.1:%d"\n' % self.gate_port)

    def start(self):
        self.child = Child(self.role, [program("penstock-" + self.role), "-c", self.file, "run"], self.log, self.folder)
        wait_for("%s answers with its status" % self.role, 20, self.answers, 0.05)
        return self

    def answers(self):
        if not self.child.alive():
            raise Failure("%s ended with %s:\n%s" % (self.role, self.child.popen.returncode, self.child.tail()))
        try:
            return self.status()
        except (OSError, urllib.error.URLError):
            return False

    def stop(self):
        """An orderly stop, which has to end well and soon."""
        code = self.child.stop(STOP_SECONDS)
        if code != 0:
            raise Failure("%s stopped with %d:\n%s" % (self.role, code, self.child.tail()))

    def status(self):
        with urllib.request.urlopen("http://127.0.0.1:%d/status" % self.status_port, timeout=10) as answer:
            return json.load(answer)

    def command(self, *words, codes=(0,)):
        done = subprocess.run([program("penstock-" + self.role), "-c", self.file, *words], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, cwd=self.folder)
        if done.returncode not in codes:
            raise Failure("%s %s gave %d:\n%s" % (self.role, " ".join(words), done.returncode, done.stdout[-1500:]))
        return done.stdout

    def intake(self, kind):
        rows = [row for row in self.status()["intakes"] if row["kind"] == kind]
        if len(rows) != 1:
            raise Failure("%s has %d intakes of kind %s" % (self.role, len(rows), kind))
        return rows[0]

    def trouble(self):
        """What a person would have to look at, one text each."""
        return ["%s: %s" % (row["kind"], row["what"]) for row in self.status()["trouble"] if not row["acknowledged"]]

    def wait_pipes_empty(self, seconds):
        def empty():
            pipes = self.status()["pipes"]
            return pipes and all(row["remaining_entries"] == 0 for row in pipes)
        wait_for("all pipes of %s are empty" % self.role, seconds, empty, 0.2)

    def wait_landed(self, seconds):
        """Until the number of landed files has not changed for a while: tablets stay pending."""
        seen = []

        def calm():
            seen.append(self.status()["landing"]["files"])
            return len(seen) > 10 and len(set(seen[-10:])) == 1
        wait_for("landing rests", seconds, calm, 0.1)

    def landed(self):
        """What `landing.jsonl` names, with the path of each file; deletes are left out."""
        folder = os.path.join(self.data, "landing")
        journal = os.path.join(folder, "landing.jsonl")
        if not os.path.exists(journal):
            return []
        with open(journal) as file:
            lines = [json.loads(line) for line in file]
        found = {name: os.path.join(top, name) for top, _, names in os.walk(folder) for name in names}
        return [dict(line, path=found.get(os.path.basename(line["name"]))) for line in lines if "blake3" in line]


class Gate:
    """`penstock-gate` in front of a port, told of every frame and answer."""

    def __init__(self, folder, target, *options):
        os.makedirs(folder, exist_ok=True)
        self.log = os.path.join(folder, "gate.log")
        words = [program("penstock-gate"), "--target", "127.0.0.1:%d" % target, "--verbose", *options]
        self.child = Child("gate", words, self.log)
        self.port = int(wait_for("the gate says where it listens", 10, self.address).rsplit(":", 1)[1])

    def address(self):
        with open(self.log) as file:
            match = re.search(r"127\.0\.0\.1:\d+", file.readline())
        return match and match.group()

    def events(self, name):
        with open(self.log) as file:
            return [line.rstrip() for line in file if " event=" + name in line]

    def stop(self):
        self.child.stop(5)


def air_gap_pipe(name, port, **sink):
    """A `[[pipe]]` stanza to an air-gap receiver on this machine."""
    pairs = {"sink": "iotdb-air-gap-sink", "node-urls": "127.0.0.1:%d" % port, **sink}
    inner = ", ".join('"%s" = "%s"' % pair for pair in pairs.items())
    return '\n[[pipe]]\nname = "%s"\nsink = { %s }\n' % (name, inner)


def thrift_pipe(name, port, **sink):
    """The same to the client service of a stock node."""
    return air_gap_pipe(name, port, **{"sink": "iotdb-thrift-sync-sink", **sink})


def session_service(port, password):
    """A `[session]` for the user root."""
    return '[session]\nlisten = "127.0.0.1:%d"\nuser = "root"\npassword = "%s"\n' % (port, password)


def waiting_in(inbox):
    """Names in an inbox that are not the node's own."""
    return [name for name in os.listdir(inbox) if not name.startswith(".penstock.")]
