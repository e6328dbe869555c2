"""Unmodified Apache IoTDB: fetched by Maven coordinates, started as one ConfigNode and one DataNode.

The published release carries the air-gap sender's class but does not register it: `register_air_gap_sink`
compiles an empty subclass and registers that, so every byte it sends comes from stock code.
"""

import glob
import os
import re
import shutil
import subprocess
import tempfile
import zipfile

from .process import Child, Failure, free_ports, port_open, wait_for
from .rpc import RpcError, Session

VERSION = "2.0.10"
# Longest time of a statement: LOAD of a file with hundreds of time partitions takes a minute beside other work.
STATEMENT_SECONDS = 200
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "penstock-interop")
PORT_KEYS = [
    "cn_internal_port", "cn_consensus_port", "dn_rpc_port", "dn_internal_port", "dn_mpp_data_exchange_port",
    "dn_schema_region_consensus_port", "dn_data_region_consensus_port", "pipe_air_gap_receiver_port",
    "cn_metric_prometheus_reporter_port", "dn_metric_prometheus_reporter_port"]
OPENED_PACKAGES = [
    "java.base/java.lang", "java.base/java.lang.reflect", "java.base/java.net", "java.base/java.nio",
    "java.base/java.util", "java.base/java.util.concurrent", "java.base/sun.net", "java.base/sun.nio.ch",
    "java.base/java.io", "java.base/jdk.internal.misc", "java.base/jdk.internal.ref"]
SINK = "iotdb-air-gap-sink"
SENDER_SETTINGS = {
    # with a small heap CREATE PIPE is refused, and parsers of files wait for ever
    "pipe_enable_memory_checked": "false", "pipe_memory_management_enabled": "false",
    # one pipe a name, not NAME_history and NAME_realtime
    "pipe_auto_split_full_enabled": "false",
    # small files are paced to six a second otherwise
    "pipe_send_tsfile_rate_limit_bytes_per_second": "1073741824"}
# Looks for files to merge more often than once a minute.
TARGET_SETTINGS = {"compaction_schedule_interval_in_ms": "3000"}
# What a stock sender says when it gives data up (seen in its log, hazards J1 and J8).
GIVEN_UP = re.compile(r"will be ignored|discarded", re.IGNORECASE)


def missing_tools():
    return [tool for tool in ("java", "javac", "mvn") if shutil.which(tool) is None]


def fetch():
    """The unpacked release in the cache; a fetch that was cut off leaves nothing behind."""
    home = os.path.join(CACHE, "apache-iotdb-" + VERSION)
    if os.path.isdir(home):
        return home
    os.makedirs(CACHE, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as work:
        unpacked = os.path.join(work, "unpacked")
        for artifact in ("iotdb-confignode", "iotdb-server"):
            coordinates = "org.apache.iotdb:%s:%s:zip" % (artifact, VERSION)
            print("fetching", coordinates, flush=True)
            run_tool(["mvn", "-B", "-q", "dependency:copy", "-Dartifact=" + coordinates,
                      "-DoutputDirectory=" + work, "-Dmdep.useBaseVersion=true"], 900)
            with zipfile.ZipFile(os.path.join(work, "%s-%s.zip" % (artifact, VERSION))) as archive:
                archive.extractall(unpacked)
        os.rename(unpacked, home)
    return home


def run_tool(command, seconds):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=seconds)
    if done.returncode != 0:
        raise Failure("%s failed (%d):\n%s" % (command[0], done.returncode, done.stdout[-2000:]))
    return done.stdout


def sink_jar(home):
    """The jar with the empty subclass, compiled once against the release's own jars."""
    jar = os.path.join(CACHE, "air-gap-sink-%s.jar" % VERSION)
    if os.path.exists(jar):
        return jar
    library = os.path.join(home, "lib")
    with zipfile.ZipFile(glob.glob(os.path.join(library, "iotdb-server-*.jar"))[0]) as server:
        names = [n[:-6].replace("/", ".") for n in server.namelist() if n.endswith("/IoTDBDataRegionAirGapSink.class")]
    if len(names) != 1:
        raise Failure("the release has %d air-gap sink classes" % len(names))
    with tempfile.TemporaryDirectory(dir=CACHE) as work:
        source = os.path.join(work, "AirGapSink.java")
        marks = "".join("@org.apache.iotdb.pipe.api.annotation.%s " % mark for mark in ("TreeModel", "TableModel"))
        with open(source, "w") as file:
            file.write("package penstock; %s public class AirGapSink extends %s {}\n" % (marks, names[0]))
        run_tool(["javac", "--release", "8", "-nowarn", "-d", work, "-cp", os.path.join(library, "*"), source], 120)
        with zipfile.ZipFile(jar + ".part", "w") as archive:
            archive.write(os.path.join(work, "penstock", "AirGapSink.class"), "penstock/AirGapSink.class")
    os.rename(jar + ".part", jar)
    return jar


class Stock:
    """One instance in a folder of its own. `start` and `wait_ready` are apart so that two can start at once.

    `as_shipped` keeps the virtual machine as the release's own scripts start it; otherwise it is told to be small.
    """

    def __init__(self, name, folder, air_gap=False, data_heap="512m", config_heap="128m", settings=None,
                 as_shipped=False):
        self.name, self.folder, self.home = name, os.path.abspath(folder), fetch()
        self.heaps = {"confignode": config_heap, "datanode": data_heap}
        self.as_shipped = as_shipped
        self.properties = dict(zip(PORT_KEYS, map(str, free_ports(len(PORT_KEYS)))))
        seed = "127.0.0.1:" + self.properties["cn_internal_port"]
        self.properties.update({
            "cn_internal_address": "127.0.0.1", "dn_rpc_address": "127.0.0.1", "dn_internal_address": "127.0.0.1",
            "cn_seed_config_node": seed, "dn_seed_config_node": seed,
            "schema_replication_factor": "1", "data_replication_factor": "1",
            # each data region takes 32 MiB of direct memory for its log
            "data_region_group_extension_policy": "CUSTOM", "default_data_region_group_num_per_database": "1",
            "pipe_air_gap_receiver_enabled": str(air_gap).lower()})
        self.properties.update(settings or {})
        self.children = {}
        self.connection = None
        self.forgiven = set()

    rpc_port = property(lambda self: int(self.properties["dn_rpc_port"]))
    gate_port = property(lambda self: int(self.properties["pipe_air_gap_receiver_port"]))

    def start(self):
        for name in ("conf", "logs"):
            os.makedirs(os.path.join(self.folder, name), exist_ok=True)
        self.write_configuration()
        self.children["confignode"] = self.spawn("confignode", "org.apache.iotdb.confignode.service.ConfigNode")
        return self

    def wait_ready(self, seconds=180):
        self.wait_port("confignode", "cn_internal_port", seconds)
        self.children["datanode"] = self.spawn("datanode", "org.apache.iotdb.db.service.DataNode")
        self.wait_port("datanode", "dn_rpc_port", seconds)
        wait_for(self.name + " answers", seconds, self.answers)
        if self.properties["pipe_air_gap_receiver_enabled"] == "true":
            self.wait_port("datanode", "pipe_air_gap_receiver_port", seconds)
        return self

    def answers(self):
        try:
            return self.query("SHOW VERSION").rows
        except (OSError, RpcError):
            self.connection = None
            return False

    def wait_port(self, who, key, seconds):
        def ready():
            if not self.children[who].alive():
                raise Failure("%s: %s ended:\n%s" % (self.name, who, self.children[who].tail()))
            return port_open(int(self.properties[key]))
        wait_for("%s listens on %s" % (self.name, key), seconds, ready)

    def write_configuration(self):
        conf = os.path.join(self.folder, "conf")
        for path in glob.glob(os.path.join(self.home, "conf", "*.*")):
            shutil.copy(path, conf)
        path = os.path.join(conf, "iotdb-system.properties")
        with open(path) as file:
            kept = [line for line in file.read().splitlines() if line.split("=")[0].strip() not in self.properties]
        with open(path, "w") as file:
            file.write("\n".join(kept + ["%s=%s" % pair for pair in sorted(self.properties.items())]) + "\n")

    def spawn(self, who, main):
        conf, logs = (os.path.join(self.folder, name) for name in ("conf", "logs"))
        heap = self.heaps[who]
        command = ["java"] + ["--add-opens=%s=ALL-UNNAMED" % package for package in OPENED_PACKAGES]
        command += ["-Xms" + (heap if self.as_shipped else "128m"), "-Xmx" + heap, "-Xss512k",
                    "-XX:MaxDirectMemorySize=" + heap, "-XX:+ExitOnOutOfMemoryError",
                    "-Dfile.encoding=UTF-8", "-Dsun.jnu.encoding=UTF-8", "-Djdk.nio.maxCachedBufferSize=262144",
                    "-Diotdb-foreground=yes", "-DTSFILE_HOME=" + self.folder, "-DTSFILE_CONF=" + conf,
                    "-Dlogback.configurationFile=" + os.path.join(conf, "logback-%s.xml" % who)]
        if not self.as_shipped:
            command += ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        if who == "confignode":
            command += ["-DCONFIGNODE_HOME=" + self.folder, "-DCONFIGNODE_DATA_HOME=" + self.folder,
                        "-DCONFIGNODE_CONF=" + conf, "-DCONFIGNODE_LOGS=" + logs]
        else:
            command += ["-DIOTDB_HOME=" + self.folder, "-DIOTDB_DATA_HOME=" + self.folder, "-DIOTDB_CONF=" + conf,
                        "-DIOTDB_LOG_DIR=" + logs]
        command += ["-cp", os.path.join(self.home, "lib", "*"), main, "-s"]
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("IOTDB_", "CONFIGNODE_"))}
        return Child("%s %s" % (self.name, who), command, os.path.join(logs, who + ".out"), self.folder, kept)

    def stop(self):
        if self.connection:
            self.connection.socket.close()
            self.connection = None
        for who in ("datanode", "confignode"):
            if who in self.children:
                self.children[who].stop(30)

    # --- statements

    def session(self):
        if self.connection is None:
            self.connection = Session(self.rpc_port, timeout=STATEMENT_SECONDS)
        return self.connection

    def connect_anew(self):
        """The next statement opens a session of its own."""
        self.connection = None

    def run(self, *statements):
        self.session().run(*statements)

    def query(self, statement):
        return self.session().query(statement)

    def points(self, database):
        """{(series, time): cell} of everything below a database; nothing at all is an empty map."""
        return self.query("SELECT * FROM %s.**" % database).points()

    def register_air_gap_sink(self):
        self.run("CREATE PIPEPLUGIN IF NOT EXISTS `%s` AS 'penstock.AirGapSink' USING URI 'file:%s'"
                 % (SINK, sink_jar(self.home)))

    def create_pipe(self, name, port, path, source=None, sink=None):
        """An air-gap pipe of everything below `path` to a port of this machine."""
        def attributes(pairs):
            return ", ".join("'%s'='%s'" % pair for pair in pairs.items())
        source = {"source": "iotdb-source", "source.path": path + ".**", **(source or {})}
        sink = {"sink": SINK, "sink.node-urls": "127.0.0.1:%d" % port, **(sink or {})}
        self.run("CREATE PIPE %s WITH SOURCE (%s) WITH SINK (%s)" % (name, attributes(source), attributes(sink)))

    def pipe(self, name):
        rows = [row for row in self.query("SHOW PIPES").dicts() if row["ID"] == name]
        if not rows:
            raise Failure("%s has no pipe %s" % (self.name, name))
        return rows[0]

    def wait_pipe_empty(self, name, seconds):
        """Until the pipe has had nothing left to send for a moment."""
        seen = []

        def empty():
            row = self.pipe(name)
            seen.append(row["RemainingEventCount"] == "0" and row["State"] == "RUNNING")
            return seen[-3:] == [True] * 3
        wait_for("pipe %s of %s is empty" % (name, self.name), seconds, empty, 0.3)

    # --- what it says

    def log_lines(self, pattern):
        found = []
        for path in sorted(glob.glob(os.path.join(self.folder, "logs", "*.log"))):
            with open(path, errors="replace") as file:
                found += [line.rstrip() for line in file if pattern.search(line)]
        return found

    def given_up(self):
        return [line for line in self.log_lines(GIVEN_UP) if line not in self.forgiven]

    def forgive(self):
        """What was given up until now was meant to be."""
        self.forgiven.update(self.given_up())

    def memory_peak(self):
        """MiB at most, of both JVMs together."""
        return sum(child.memory()[1] for child in self.children.values())
