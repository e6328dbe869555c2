"""Apache's Python package `tsfile` (its C++ core): a line a point, path TAB time TAB value, as Library.java prints them.

    python package.py FILE
"""

import struct
import sys

from tsfile import TsFileReader
from tsfile.constants import TSDataType

FIRST, LAST = -(1 << 63), (1 << 63) - 1
ROWS = 1 << 30


def shown(kind, value):
    if kind == TSDataType.BOOLEAN:
        return str(bool(value)).lower()
    if kind == TSDataType.FLOAT:
        return "f" + struct.pack(">f", value).hex()
    if kind == TSDataType.DOUBLE:
        return "d" + struct.pack(">d", value).hex()
    if kind == TSDataType.DATE:
        return value.strftime("%Y%m%d") if hasattr(value, "strftime") else str(value)
    if kind in (TSDataType.TEXT, TSDataType.STRING, TSDataType.BLOB):
        return "x" + (value if isinstance(value, bytes) else value.encode()).hex()
    return str(value)


def main():
    reader = TsFileReader(sys.argv[1])
    for device, schema in sorted(reader.get_all_timeseries_schemas().items()):
        for series in schema.get_timeseries_list():
            name, kind = series.get_timeseries_name(), series.get_data_type()
            rows = reader.query_timeseries(device, [name], FIRST, LAST)
            path = "%s.%s" % (device, name)
            while rows.next():
                time, value = rows.get_value_by_index(1), rows.get_value_by_index(2)
                if value is not None:
                    print(path, time, shown(kind, value), sep="\t")
            rows.close()
    reader.close()


if __name__ == "__main__":
    main()
