"""An independent check of a TsFile (versions 3 and 4): its structure and the redundancy in it.

    summary = check(path)        # raises Flaw; summary.points, .devices (names), .series

A TsFile has no checksums. What is compared here: both magics, the metadata block used to its last byte, a walk
over every chunk and page that has to end exactly at the separator, every chunk reached once and only once from
the index, names in order, and the counts of series, chunks and time ranges among one another. Values are not
decoded: that is left to the stock node that loads the file.
"""

import struct
import sys
from collections import namedtuple

MAGIC = b"TsFile"
GROUP, SEPARATOR, PLANS = 0x00, 0x02, 0x04
CHUNKS = {0x01, 0x05, 0x81, 0x85, 0x41, 0x45}
ONE_PAGE = 0x04
TIME_COLUMN = 6
STATISTIC_BYTES = {0: 10, 1: 24, 9: 24, 2: 40, 8: 40, 3: 24, 4: 40, 10: 0, 6: 0}
TEXTS = {5: 2, 11: 4}
INTERNAL_DEVICE, LEAF_DEVICE, INTERNAL_SERIES, LEAF_SERIES = range(4)

Summary = namedtuple("Summary", "version bytes devices series chunks pages points")
Statistics = namedtuple("Statistics", "count start end")
Chunk = namedtuple("Chunk", "device name kind pages")


class Flaw(Exception):
    """What is wrong, and where."""


def demand(true, what, *where):
    if not true:
        raise Flaw("%s %s" % (what, " ".join(map(str, where))))


class Cut:
    """Reads values off a part of the file."""

    def __init__(self, raw, at=0, end=None):
        self.raw, self.at, self.end = raw, at, len(raw) if end is None else end

    def take(self, count):
        fits = 0 <= count <= self.end - self.at
        demand(fits, "%d bytes wanted at %d, the part ends at %d" % (count, self.at, self.end))
        self.at += count
        return self.raw[self.at - count:self.at]

    def byte(self):
        return self.take(1)[0]

    def int32(self):
        return struct.unpack(">i", self.take(4))[0]

    def int64(self):
        return struct.unpack(">q", self.take(8))[0]

    def unsigned(self):
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
            demand(shift < 35, "a number longer than five bytes at", self.at)

    def signed(self):
        value = self.unsigned()
        return (value >> 1) ^ -(value & 1)

    def text(self):
        length = self.signed()
        return None if length < 0 else bytes(self.take(length)).decode("utf-8", "surrogateescape")

    def statistics(self, kind):
        head = Statistics(self.unsigned(), self.int64(), self.int64())
        for _ in range(TEXTS.get(kind, 0)):
            self.take(self.int32())
        demand(kind in STATISTIC_BYTES or kind in TEXTS, "data type %d at" % kind, self.at)
        self.take(STATISTIC_BYTES.get(kind, 0))
        return head


class File:
    def __init__(self, raw):
        self.raw = raw
        demand(len(raw) >= 17 and raw[:6] == MAGIC and raw[-6:] == MAGIC, "not framed by both magics")
        self.version = raw[6]
        demand(self.version in (3, 4), "version", self.version)
        size = struct.unpack(">i", raw[-10:-6])[0]
        demand(0 < size <= len(raw) - 17, "metadata of %d bytes in a file of" % size, len(raw))
        self.roots, self.data_end = self.metadata(Cut(raw, len(raw) - 10 - size, len(raw) - 10))
        self.chunks, self.pages = {}, 0

    def device(self, cut):
        """A device's name as text."""
        if self.version == 3:
            return cut.text()
        return ".".join(str(cut.text()) for _ in range(cut.unsigned()))

    def metadata(self, cut):
        if self.version == 3:
            roots = [self.node(cut, True)]
        else:
            names = []
            roots = []
            for _ in range(cut.unsigned()):
                names.append(cut.text())
                roots.append(self.node(cut, True))
            demand(names == sorted(set(names)), "tables out of order", names)
            demand(cut.unsigned() == 0, "schemas of table-model tables in a tree-model file")
        data_end = cut.int64()
        if cut.take(cut.unsigned()) or self.version == 3:
            cut.unsigned(), cut.unsigned()
        if self.version == 4 and cut.at < cut.end:
            for _ in range(cut.signed()):
                cut.text(), cut.take(max(0, cut.signed()))
        demand(cut.at == cut.end, "%d metadata bytes left over" % (cut.end - cut.at))
        demand(7 <= data_end < len(self.raw) and self.raw[data_end] == SEPARATOR, "no separator at", data_end)
        return roots, data_end

    def node(self, cut, by_device):
        """An index node: its type and [(key, start, end)]."""
        at, count = cut.at, cut.unsigned()
        children = [(self.device(cut) if by_device else cut.text(), cut.int64()) for _ in range(count)]
        end, kind = cut.int64(), cut.byte()
        kinds = (INTERNAL_DEVICE, LEAF_DEVICE) if by_device else (INTERNAL_SERIES, LEAF_SERIES)
        demand(kind in kinds, "no index node at", at)
        demand(count > 0, "an empty index node at", at)
        bounds = [offset for _, offset in children] + [end]
        demand(bounds == sorted(bounds), "offsets of an index node go back at", at)
        return kind, [(key, bounds[i], bounds[i + 1]) for i, (key, _) in enumerate(children)]

    def scan(self):
        """Walks the data zone, record after record."""
        cut = Cut(self.raw, 7, self.data_end + 1)
        device, empty_group = None, False
        while True:
            start, marker = cut.at, cut.byte()
            if marker in (GROUP, PLANS, SEPARATOR):
                demand(not empty_group, "a chunk group without a chunk before", start)
            if marker == SEPARATOR:
                demand(start == self.data_end, "separator at %d, metadata says" % start, self.data_end)
                return
            if marker == GROUP:
                device, empty_group = self.device(cut), True
            elif marker == PLANS:
                cut.int64(), cut.int64()
            else:
                demand(marker in CHUNKS and device is not None, "marker %#x at" % marker, start)
                empty_group = False
                self.chunks[start] = self.chunk(cut, marker, device)

    def chunk(self, cut, marker, device):
        name, size, kind = cut.text(), cut.unsigned(), cut.byte()
        cut.take(2)
        body = Cut(cut.raw, cut.at, cut.at + size)
        cut.take(size)
        pages = []
        while body.at < body.end:
            if body.unsigned() == 0:
                pages.append(None)
                continue
            packed = body.unsigned()
            pages.append(None if marker & ONE_PAGE else body.statistics(kind))
            demand(packed > 0, "a page without bytes at", body.at)
            body.take(packed)
        demand(not (marker & ONE_PAGE and len(pages) > 1), "%d pages in a one-page chunk" % len(pages), name)
        self.pages += len(pages)
        return Chunk(device, name, kind, [page for page in pages if page])

    def devices(self):
        for kind, children in self.roots:
            yield from self.devices_below(kind, children)

    def devices_below(self, kind, children):
        for key, start, end in children:
            if kind == LEAF_DEVICE:
                yield key, start, end
            else:
                inner, below = self.node(Cut(self.raw, start, end), True)
                demand(below[0][0] == key, "an index node's first key differs from its parent's:", key)
                yield from self.devices_below(inner, below)

    def series(self, start, end):
        kind, children = self.node(Cut(self.raw, start, end), False)
        for key, first, last in children:
            if kind == INTERNAL_SERIES:
                yield from self.series(first, last)
                continue
            cut, leading = Cut(self.raw, first, last), True
            while cut.at < cut.end:
                name, statistics, chunks = self.timeseries(cut)
                demand(not leading or name == key, "a leaf's first series differs from its key:", key)
                leading = False
                yield name, statistics, chunks

    @staticmethod
    def timeseries(cut):
        many, name, kind, size = cut.byte() & 0x3F, cut.text(), cut.byte(), cut.unsigned()
        whole = cut.statistics(kind)
        part = Cut(cut.raw, cut.at, cut.at + size)
        cut.take(size)
        chunks = []
        while part.at < part.end:
            offset = part.int64()
            chunks.append((offset, kind, part.statistics(kind) if many else whole))
        demand(many or len(chunks) == 1, "%d chunks of a series said to have one:" % len(chunks), name)
        return name, whole, chunks


def check(path):
    """Reads the whole file and compares everything that is said twice."""
    with open(path, "rb") as source:
        file = File(source.read())
    file.scan()
    devices, series, points = [], 0, 0
    reached = set()
    for device, start, end in file.devices():
        devices.append(device)
        before, aligned, chunk_counts = None, False, set()
        for name, whole, chunks in file.series(start, end):
            in_order = before is None or before.encode("utf-16-be") < name.encode("utf-16-be")
            demand(in_order, "series out of order:", device, name)
            aligned = aligned or (before is None and chunks[0][1] == TIME_COLUMN)
            before = name
            chunk_counts.add(len(chunks))
            check_series(file, device, name, whole, chunks, reached)
            if chunks[0][1] != TIME_COLUMN:
                series += 1
                points += whole.count
        demand(not aligned or len(chunk_counts) == 1, "columns of an aligned device differ in chunks:", device)
    demand(reached == set(file.chunks), "%d chunks that no index reaches" % len(set(file.chunks) - reached))
    return Summary(file.version, len(file.raw), devices, series, len(file.chunks), file.pages, points)


def check_series(file, device, name, whole, chunks, reached):
    where = "%s.%s" % (device, name)
    for offset, kind, statistics in chunks:
        chunk = file.chunks.get(offset)
        named = chunk and (chunk.device, chunk.name, chunk.kind) == (device, name, kind)
        demand(named, "no such chunk at %d:" % offset, where)
        demand(offset not in reached, "a chunk reached twice at %d:" % offset, where)
        reached.add(offset)
        if chunk.pages:
            same_range(statistics, chunk.pages, where)
    same_range(whole, [statistics for _, _, statistics in chunks], where)


def same_range(whole, parts, where):
    filled = [part for part in parts if part.count] or parts
    merged = Statistics(sum(p.count for p in parts), min(p.start for p in filled), max(p.end for p in filled))
    demand(merged == whole, "statistics %s are not those of the parts %s:" % (tuple(whole), tuple(merged)), where)


def main():
    """`tsfile.py FILE...` prints what each holds; exit 3 when one is flawed."""
    flawed = False
    for path in sys.argv[1:]:
        try:
            print(path, check(path))
        except Flaw as flaw:
            flawed = True
            print(path, "FLAWED:", flaw)
    sys.exit(3 if flawed else 0)


if __name__ == "__main__":
    main()
