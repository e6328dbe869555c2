"""Child processes that cannot outlive the harness: started, watched and ended by their own pid."""

import atexit
import ctypes
import os
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)
STARTED = []


class Failure(Exception):
    """A case found something wrong, or could not be carried out."""


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Child:
    """One program. Call from the main thread only: the kernel ends it with the thread that started it."""

    def __init__(self, name, command, log, cwd=None, env=None, pass_fds=()):
        self.name, self.log = name, log
        with open(log, "ab") as out:
            self.popen = subprocess.Popen(
                [str(word) for word in command], cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, preexec_fn=die_with_parent, pass_fds=pass_fds)
        STARTED.append(self)

    @property
    def pid(self):
        return self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def signal(self, number):
        if self.alive():
            self.popen.send_signal(number)

    def kill(self):
        """SIGKILL: the power plug. Works on a stopped process too."""
        self.signal(signal.SIGKILL)
        return self.popen.wait(30)

    def stop(self, seconds=30):
        """SIGTERM, then SIGKILL; gives the exit code."""
        self.signal(signal.SIGTERM)
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return self.kill()

    def memory(self):
        """Resident MiB now and at most."""
        try:
            with open("/proc/%d/status" % self.pid) as file:
                lines = dict(line.split(":", 1) for line in file if ":" in line)
        except OSError:
            return 0.0, 0.0
        return tuple(int(lines.get(key, "0 kB").split()[0]) / 1024 for key in ("VmRSS", "VmHWM"))

    def processor_seconds(self):
        try:
            with open("/proc/%d/stat" % self.pid) as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except OSError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def tail(self, lines=15):
        with open(self.log, errors="replace") as file:
            return "".join(file.readlines()[-lines:])


@atexit.register
def end_all():
    for child in reversed(STARTED):
        if child.alive():
            child.kill()


def free_ports(count):
    """Ports that were free a moment ago, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def available_memory():
    """Bytes that programs could have now without pushing others out."""
    with open("/proc/meminfo") as file:
        lines = dict(line.split(":", 1) for line in file)
    return int(lines["MemAvailable"].split()[0]) << 10


def port_open(port):
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(what, seconds, ready, pause=0.2, otherwise=None):
    """Polls until `ready()` is true and gives its value; after the time a Failure that also says `otherwise()`."""
    deadline = time.monotonic() + seconds
    while True:
        value = ready()
        if value:
            return value
        if time.monotonic() > deadline:
            found = ", " + otherwise() if otherwise else ""
            raise Failure("after %d s still not: %s%s" % (seconds, what, found))
        time.sleep(pause)
