// Apache's Java TsFile library beside ours: lists every point of a file, and measures writing and reading.
//
//   java -cp <library>:. Library list FILE...   a line a point: path TAB time TAB value; `# FILE` before each file
//   java -cp <library>:. Library check FILE...  the sequence reader's own check of the data zone
//   java -cp <library>:. Library write FILE [POINTS [ROUNDS]]   10 devices x 100 series x 10 000 points of mixed types
//   java -cp <library>:. Library read FILE      reads all points of a file that is not aligned
//
// Compiles against tsfile 1.1.x (version 3) and 2.x (version 4).

import java.io.File;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.apache.tsfile.enums.TSDataType;
import org.apache.tsfile.file.metadata.ChunkMetadata;
import org.apache.tsfile.file.metadata.IDeviceID;
import org.apache.tsfile.file.metadata.enums.CompressionType;
import org.apache.tsfile.file.metadata.enums.TSEncoding;
import org.apache.tsfile.read.TsFileReader;
import org.apache.tsfile.read.TsFileSequenceReader;
import org.apache.tsfile.read.common.BatchData;
import org.apache.tsfile.read.common.Path;
import org.apache.tsfile.read.common.Field;
import org.apache.tsfile.read.common.RowRecord;
import org.apache.tsfile.read.expression.QueryExpression;
import org.apache.tsfile.read.query.dataset.QueryDataSet;
import org.apache.tsfile.read.reader.chunk.ChunkReader;
import org.apache.tsfile.utils.Binary;
import org.apache.tsfile.write.chunk.ChunkWriterImpl;
import org.apache.tsfile.write.schema.MeasurementSchema;
import org.apache.tsfile.write.writer.TsFileIOWriter;

public class Library {
  static final int DEVICES = 10;
  static final int SERIES = 100;
  static int POINTS = 10_000;

  public static void main(String[] arguments) throws Exception {
    String file = arguments[1];
    if (arguments[0].equals("list")) {
      for (int i = 1; i < arguments.length; i++) {
        System.out.println("# " + arguments[i]);
        list(arguments[i]);
      }
      return;
    }
    boolean writes = arguments[0].equals("write");
    POINTS = writes && arguments.length > 2 ? Integer.parseInt(arguments[2]) : POINTS;
    // The first rounds warm up.
    int rounds = writes && arguments.length > 3 ? Integer.parseInt(arguments[3]) : 3;
    switch (arguments[0]) {
      case "check":
        for (int round = 0; round < 3; round++) {
          check(Arrays.asList(arguments).subList(1, arguments.length));
        }
        break;
      case "write":
        for (int round = 0; round < rounds; round++) {
          write(new File(file));
        }
        break;
      case "read":
        for (int round = 0; round < rounds; round++) {
          read(file);
        }
        break;
      default:
        throw new IllegalArgumentException(arguments[0]);
    }
  }

  static void list(String file) throws Exception {
    StringBuilder out = new StringBuilder();
    try (TsFileSequenceReader sequence = new TsFileSequenceReader(file);
        TsFileReader reader = new TsFileReader(sequence)) {
      for (Path path : sequence.getAllPaths()) {
        if (path.getMeasurement().isEmpty()) {
          continue; // the time column of an aligned device
        }
        // One path at a time: each is found by the bloom filter and by binary search.
        List<Path> one = new ArrayList<>(Collections.singletonList(path));
        QueryDataSet rows = reader.query(QueryExpression.create(one, null));
        while (rows.hasNext()) {
          RowRecord row = rows.next();
          Field field = row.getFields().get(0);
          if (field != null && field.getDataType() != null) {
            out.append(path.getFullPath()).append('\t').append(row.getTimestamp());
            out.append('\t').append(shown(field)).append('\n');
          }
        }
      }
    }
    System.out.write(out.toString().getBytes(StandardCharsets.UTF_8));
    System.out.flush();
  }

  static String shown(Field field) {
    switch (field.getDataType()) {
      case BOOLEAN:
        return String.valueOf(field.getBoolV());
      case INT32:
      case DATE:
        return String.valueOf(field.getIntV());
      case INT64:
      case TIMESTAMP:
        return String.valueOf(field.getLongV());
      case FLOAT:
        return String.format("f%08x", Float.floatToRawIntBits(field.getFloatV()));
      case DOUBLE:
        return String.format("d%016x", Double.doubleToRawLongBits(field.getDoubleV()));
      default:
        StringBuilder hex = new StringBuilder("x");
        for (byte value : field.getBinaryV().getValues()) {
          hex.append(String.format("%02x", value));
        }
        return hex.toString();
    }
  }

  static void check(List<String> files) throws Exception {
    long start = System.nanoTime();
    long bytes = 0;
    for (String file : files) {
      try (TsFileSequenceReader reader = new TsFileSequenceReader(file)) {
        // It gives back how much of the data zone is whole: a code of one digit if nothing is.
        if (reader.selfCheck(null, new ArrayList<>(), false) < 0) {
          throw new IllegalStateException(file);
        }
      }
      bytes += new File(file).length();
    }
    report("checked", files.size(), start, bytes);
  }

  static IDeviceID device(String path) throws Exception {
    try {
      Class<?> plain = Class.forName("org.apache.tsfile.file.metadata.PlainDeviceID");
      return (IDeviceID) plain.getConstructor(String.class).newInstance(path);
    } catch (ClassNotFoundException isVersion4) {
      Class<?> factory = Class.forName("org.apache.tsfile.file.metadata.StringArrayDeviceID$Factory");
      Method create = factory.getMethod("create", String.class);
      return (IDeviceID) create.invoke(factory.getConstructor().newInstance(), path);
    }
  }

  static final TSDataType[] TYPES = {
    TSDataType.BOOLEAN, TSDataType.INT32, TSDataType.INT64, TSDataType.FLOAT, TSDataType.DOUBLE,
    TSDataType.INT32, TSDataType.INT64, TSDataType.FLOAT, TSDataType.DOUBLE, TSDataType.TEXT
  };

  static TSEncoding encoding(TSDataType type) {
    switch (type) {
      case BOOLEAN:
        return TSEncoding.RLE;
      case INT32:
      case INT64:
        return TSEncoding.TS_2DIFF;
      case FLOAT:
      case DOUBLE:
        return TSEncoding.GORILLA;
      default:
        return TSEncoding.PLAIN;
    }
  }

  /** The same numbers on both sides: xorshift from the column's seed. */
  static Object column(TSDataType type, long seed) {
    long[] state = {(seed * 0x9e3779b97f4a7c15L) | 1};
    switch (type) {
      case BOOLEAN: {
        boolean[] list = new boolean[POINTS];
        for (int i = 0; i < POINTS; i++) list[i] = (i / 50) % 2 == 0;
        return list;
      }
      case INT32: {
        int[] list = new int[POINTS];
        for (int i = 0; i < POINTS; i++) list[i] = 1000 + i % 100 + below(state, 10);
        return list;
      }
      case INT64: {
        long[] list = new long[POINTS];
        for (int i = 0; i < POINTS; i++) list[i] = 1_000_000L + i * 3L + below(state, 100);
        return list;
      }
      case FLOAT: {
        float[] list = new float[POINTS];
        for (int i = 0; i < POINTS; i++) list[i] = 20f + (float) Math.sin(i * 0.01) + below(state, 8) * 0.125f;
        return list;
      }
      case DOUBLE: {
        double[] list = new double[POINTS];
        for (int i = 0; i < POINTS; i++) list[i] = 20.0 + Math.sin(i * 0.01) + below(state, 8) * 0.125;
        return list;
      }
      default: {
        Binary[] list = new Binary[POINTS];
        for (int i = 0; i < POINTS; i++) list[i] = new Binary("state-" + below(state, 20), StandardCharsets.UTF_8);
        return list;
      }
    }
  }

  static int below(long[] state, int end) {
    state[0] ^= state[0] << 13;
    state[0] ^= state[0] >>> 7;
    state[0] ^= state[0] << 17;
    return (int) Long.remainderUnsigned(state[0], end);
  }

  static void write(File file) throws Exception {
    file.delete();
    long[] times = new long[POINTS];
    for (int i = 0; i < POINTS; i++) times[i] = 1_700_000_000_000L + i * 1000L;
    Object[] columns = new Object[TYPES.length];
    for (int i = 0; i < TYPES.length; i++) columns[i] = column(TYPES[i], i + 1);
    long start = System.nanoTime();
    try (TsFileIOWriter writer = new TsFileIOWriter(file)) {
      for (int d = 0; d < DEVICES; d++) {
        writer.startChunkGroup(device("root.sg.plant.d" + d));
        for (int s = 0; s < SERIES; s++) {
          TSDataType type = TYPES[s % TYPES.length];
          ChunkWriterImpl chunk = new ChunkWriterImpl(new MeasurementSchema(
              String.format("s%03d", s), type, encoding(type), CompressionType.LZ4));
          Object column = columns[s % TYPES.length];
          switch (type) {
            case BOOLEAN: chunk.write(times, (boolean[]) column, POINTS); break;
            case INT32: chunk.write(times, (int[]) column, POINTS); break;
            case INT64: chunk.write(times, (long[]) column, POINTS); break;
            case FLOAT: chunk.write(times, (float[]) column, POINTS); break;
            case DOUBLE: chunk.write(times, (double[]) column, POINTS); break;
            default: chunk.write(times, (Binary[]) column, POINTS);
          }
          chunk.writeToFileWriter(writer);
        }
        writer.endChunkGroup();
      }
      writer.endFile();
    }
    report("written", (long) DEVICES * SERIES * POINTS, start, file.length());
  }

  static void read(String file) throws Exception {
    long start = System.nanoTime();
    long points = 0;
    try (TsFileSequenceReader reader = new TsFileSequenceReader(file)) {
      for (IDeviceID device : reader.getAllDevices()) {
        for (List<ChunkMetadata> chunks : reader.readChunkMetadataInDevice(device).values()) {
          for (ChunkMetadata metadata : chunks) {
            ChunkReader chunk = new ChunkReader(reader.readMemChunk(metadata));
            while (chunk.hasNextSatisfiedPage()) {
              BatchData page = chunk.nextPageData();
              points += page.length();
            }
          }
        }
      }
    }
    report("read", points, start, new File(file).length());
  }

  static void report(String what, long points, long start, long bytes) {
    double seconds = (System.nanoTime() - start) / 1e9;
    System.out.printf("%s %d points, %d bytes, %.3f s, %.1f million points/s%n",
        what, points, bytes, seconds, points / seconds / 1e6);
  }
}
