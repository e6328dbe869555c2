"""Frames captured from real nodes, played to the receiver; and the sender's frames held against them."""

import collections
import glob
import os
import re
import shutil
import socket
import struct

from harness.penstock import ROOT, Node, air_gap_pipe, waiting_in
from harness.process import Failure, wait_for
from harness.rpc import STRING, Reader
from harness.tap import ACCEPTED, PREFIX, Tap, exactly, frame_of, read_payload, request_type

from . import case
from .receive import KEEP

GOLDEN = os.path.join(ROOT, "tests", "golden")
# Requests of 1.3.3 that are played in their order on one connection, and folders of 2.0.10 with one each.
CONVERSATIONS = ["iotdb-1.3.3", "iotdb-2.0.10/airgap/*", "iotdb-2.0.10/serializer", "iotdb-2.0.10/thrift/*"]
HANDSHAKE = 51
PIECES, SEALS, PLAN_PIECES, PLAN_SEALS = {4, 8}, {5, 9}, {101, 201}, {102, 202}
# A file's piece and seal, then those of a file with `.mods`.
CAPTURED_FILES = ("002", "003", "013", "014", "015")
IDENTITY = re.compile(rb"P1-[0-9a-f]{32}-[0-9]{20}-")
TABLET_TAIL_BYTES = 48
ANSWER_SECONDS = 20


@case(seconds=120, needs_stock=False, beside=True)
def captures(world, figures):
    """captured frames of 1.3.3 and 2.0.10 to our receiver: each answered 0x00, files landed byte for byte"""
    world.programs()
    receiver = Node("receiver", world.place("captures"), KEEP).start()
    frames, files = collections.Counter(), {}
    folders = sorted(path for pattern in CONVERSATIONS for path in glob.glob(os.path.join(GOLDEN, pattern)))
    for number, folder in enumerate(folders):
        frames += play(receiver, folder, number, files)
    receiver.wait_landed(30)
    landed = collections.Counter(read(line["path"]) for line in receiver.landed())
    missing = [name for name, content in files.items() if not landed[content]]
    if missing:
        raise Failure("%d of %d files not landed as sent: %s" % (len(missing), len(files), missing[:3]))
    if receiver.status()["quarantine"]["things"] or receiver.intake("gate")["refused"]:
        raise Failure("trouble: %s" % receiver.trouble())
    figures("%d frames of %d types in %d conversations, %d files landed as sent" % (
        sum(frames.values()), len(frames), len(folders), len(files)))
    receiver.stop()
    figures(compare_tablets(world, receiver))
    figures(compare_files(world))


def requests(folder):
    """(name, frame) of every request of a folder, thrift calls turned into frames."""
    for path in sorted(glob.glob(os.path.join(folder, "*.bin"))):
        name = os.path.basename(path)
        raw = read(path)
        if raw[:4] == raw[4:8] or raw[:8] == PREFIX[:8]:
            yield name, raw
        elif not name.endswith(("-reply.bin", "-ans.bin")):
            yield name, frame_of(thrift_payload(raw))


def thrift_payload(raw):
    """Version, type and body of a `pipeTransfer` call."""
    reader = Reader(raw)
    reader.take(8)
    reader.value(STRING)
    reader.take(4)
    call = reader.struct()[-1]
    return struct.pack(">bh", call[1], call[2]) + call[3]


def play(receiver, folder, number, files):
    """One conversation. A sender's connections were captured together, so each transfer gets one of its own here."""
    counted, transfers, connections = collections.Counter(), collections.defaultdict(dict), {}
    hello = frame_of(handshake({"clusterID": "captures-%d" % number, "timestampPrecision": "ms"}))
    for name, frame in requests(folder):
        payload, what = read_payload(frame), "%s/%s" % (folder, name)
        key = transfer_of(payload)
        if key not in connections:
            connections[key] = socket.create_connection(("127.0.0.1", receiver.gate_port), timeout=ANSWER_SECONDS)
            ask(connections[key], hello, "handshake of " + folder)
        whole = follow(payload, transfers[key])
        if whole is False:
            expect_reset(connections.pop(key), frame, what)
            continue
        ask(connections[key], frame, what)
        counted[request_type(payload)] += 1
        if whole and request_type(payload) in SEALS:
            files[what] = whole
    for connection in connections.values():
        connection.close()
    return counted


def ask(connection, frame, what):
    connection.sendall(frame)
    try:
        answer = exactly(connection, 1)
    except (OSError, EOFError) as error:
        raise Failure("%s: no answer (%r)" % (what, error)) from None
    if answer != ACCEPTED:
        raise Failure("%s answered with %s" % (what, answer.hex()))


def expect_reset(connection, frame, what):
    """A seal of a file that was never sent is out of place."""
    connection.sendall(frame)
    try:
        answer = exactly(connection, 1)
    except ConnectionResetError:
        return connection.close()
    raise Failure("%s: a seal without its file was answered with %s" % (what, answer.hex()))


def pieces_of(payload):
    """[(name, start or length, bytes or None)] of a piece or a seal; a name may be null."""
    kind, cut = request_type(payload), Reader(payload[3:])

    def name():
        length = cut.number(">i")
        return cut.take(length) if length >= 0 else None
    if kind in PIECES | PLAN_PIECES:
        return [(name(), cut.number(">q"), cut.value(STRING))]
    if kind == 5:
        return [(name(), cut.number(">q"), None)]
    names = [name() for _ in range(cut.number(">i"))]
    return [(one, length, None) for one, length in zip(names, [cut.number(">q") for _ in range(cut.number(">i"))])]


def transfer_of(payload):
    """What keeps the requests of one transfer together: the TsFile's name, the kind of plan, nothing for all else."""
    kind = request_type(payload)
    if kind in PLAN_PIECES | PLAN_SEALS:
        return kind // 100
    return re.sub(rb"\.mods2?$", b"", pieces_of(payload)[-1][0]) if kind in PIECES | SEALS else None


def follow(payload, arriving):
    """Puts pieces together; for a seal the last file's bytes, or False where not all that it names has come."""
    kind = request_type(payload)
    if kind in PIECES | PLAN_PIECES:
        name, start, raw = pieces_of(payload)[0]
        arriving[name] = arriving.get(name, b"")[:start] + raw
    elif kind in SEALS | PLAN_SEALS:
        named = [(name, length) for name, length, _ in pieces_of(payload) if name is not None]
        whole = all(len(arriving.get(name, b"")) == length for name, length in named) and arriving.get(named[-1][0])
        arriving.clear()
        return whole or False
    return None


def handshake(pairs):
    body = struct.pack(">i", len(pairs))
    for text in (text for pair in pairs.items() for text in pair):
        body += struct.pack(">i", len(text)) + text.encode()
    return struct.pack(">bh", 1, HANDSHAKE) + body


def read(path):
    with open(path, "rb") as file:
        return file.read()


def compare_tablets(world, receiver):
    """What the sender makes of the captured tablets of type 2: the same bytes up to the plan node id."""
    tap = Tap(keep={2})
    sender = Node("sender", world.place("captures-out"), KEEP + air_gap_pipe("out", tap.port), receiver.data).start()
    sender.wait_pipes_empty(60)
    sender.stop()
    captured = [read_payload(read(path)) for path in sorted(glob.glob(os.path.join(GOLDEN, "iotdb-1.3.3", "*.bin")))
                if "-2-tablet" in path and "thrift" not in path]
    for payload in captured:
        shared = max(len(os.path.commonprefix([payload, sent])) for sent in tap.payloads)
        if shared < len(payload.rstrip(b"\0")) - TABLET_TAIL_BYTES:
            raise Failure("a captured tablet of %d bytes is sent with only %d of them" % (len(payload), shared))
    return "%d captured tablets sent on with the same fields, %d frames in all" % (len(captured), tap.frames)


def compare_files(world):
    """The sender's pieces and seals of captured files have the fields that stock writes, in stock's order."""
    tap = Tap(keep={HANDSHAKE} | PIECES | SEALS)
    inbox = world.place("captures-files", "inbox")
    settings = '[inbox]\ndir = "%s"\n' % inbox + air_gap_pipe("out", tap.port)
    sender = Node("sender", world.place("captures-files"), settings).start()
    recorded = [(name, read_payload(frame)) for name, frame in requests(os.path.join(GOLDEN, "iotdb-1.3.3"))]
    pieces = [pieces_of(payload)[0] for name, payload in recorded
              if name[:3] in CAPTURED_FILES and request_type(payload) in PIECES]
    content = {file.decode(): raw for file, _, raw in pieces}
    for file in sorted(content, reverse=True):
        aside = os.path.join(world.folder, "aside")
        with open(aside, "wb") as out:
            out.write(content[file])
        shutil.move(aside, os.path.join(inbox, file))
    wait_for("the inbox is empty", 30, lambda: not waiting_in(inbox))
    sender.wait_pipes_empty(30)
    sender.stop()
    compare_hello(tap.payloads, read_payload(read(os.path.join(GOLDEN, "iotdb-1.3.3", "001-51-handshake-v2.bin"))))
    captured = [payload for name, payload in recorded if name[:3] in CAPTURED_FILES]
    sent = [fields_of(payload) for payload in tap.payloads if request_type(payload) != HANDSHAKE]
    for fields in map(fields_of, captured):
        if fields not in sent:
            near = [str(other)[:200] for other in sent if other[0] == fields[0]]
            raise Failure("a captured request %.200s is sent as %s" % (fields, near))
    order = [request_type(payload) for payload in tap.payloads if request_type(payload) != HANDSHAKE]
    if len(order) != len(captured) or order.index(9) < order.index(8):
        raise Failure("%d requests instead of %d, or a seal before its pieces: %s" % (len(order), len(captured), order))
    return "captured files sent as %s, each request the same in every field" % order


def fields_of(payload):
    """(version and type, fields, length in bytes), each file's name without the identity that ours begins with."""
    fields, length = [], len(payload)
    for name, number, raw in pieces_of(payload):
        own = IDENTITY.match(name) if name is not None else None
        if own:
            name, length = name[own.end():], length - own.end()
        fields.append((name, number, raw))
    return payload[:3], fields, length


def compare_hello(payloads, captured):
    """The handshake tells what stock 1.3.3 tells, in the same form; values that name the cluster may differ."""
    ours, theirs = (pairs_of(payload) for payload in (payloads[0], captured))
    if payloads[0][:3] != captured[:3] or not set(theirs) <= set(ours):
        raise Failure("the handshake says %s, stock 1.3.3 says %s" % (ours, theirs))
    for key in set(theirs) - {"clusterID"}:
        if ours[key] != theirs[key]:
            raise Failure("the handshake says %s=%s, stock 1.3.3 says %s" % (key, ours[key], theirs[key]))


def pairs_of(payload):
    cut = Reader(payload[3:])
    return dict((cut.value(STRING).decode(), cut.value(STRING).decode()) for _ in range(cut.number(">i")))
