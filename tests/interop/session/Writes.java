// Apache's Java session in front of a service: writes the same data with every call that writes, and asks for the pipes.
//
//   java -cp <libraries>:. Writes PORT DATABASE PASSWORD [compact]   prints the names of the columns of SHOW PIPES
//
// Everything is written twice; with `compact` the second time in thrift's other form, which a stock node does not take.
//
// Compiles against iotdb-session 2.0.x.

import java.nio.charset.StandardCharsets;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.iotdb.isession.SessionDataSet;
import org.apache.iotdb.rpc.StatementExecutionException;
import org.apache.iotdb.session.Session;
import org.apache.tsfile.enums.TSDataType;
import org.apache.tsfile.utils.Binary;
import org.apache.tsfile.write.record.Tablet;
import org.apache.tsfile.write.schema.IMeasurementSchema;
import org.apache.tsfile.write.schema.MeasurementSchema;

public class Writes {
  static final int ROWS = 40;
  static final long START = 1_700_000_000_000L;
  static final TSDataType[] TYPES = {
    TSDataType.BOOLEAN, TSDataType.INT32, TSDataType.INT64, TSDataType.FLOAT, TSDataType.DOUBLE, TSDataType.TEXT,
    TSDataType.TIMESTAMP, TSDataType.DATE, TSDataType.BLOB, TSDataType.STRING
  };

  public static void main(String[] arguments) throws Exception {
    String database = arguments[1];
    for (String place : new String[] {"first", "second"}) {
      boolean compact = place.equals("second") && arguments.length > 3;
      Session.Builder builder = new Session.Builder().host("127.0.0.1").port(Integer.parseInt(arguments[0]));
      builder.username("root").password(arguments[2]).enableRedirection(false);
      // Rows are to come as rows; tablets come encoded, as by default.
      builder.enableRecordsAutoConvertTablet(false);
      Session session = builder.enableThriftRpcCompression(compact).build();
      session.open(compact);
      write(session, database + "." + place);
      if (place.equals("first")) {
        SessionDataSet pipes = session.executeQueryStatement("SHOW PIPES");
        System.out.println(String.join(",", pipes.getColumnNames()));
        pipes.close();
        try {
          session.insertTablet(tablet("no.root", false));
          throw new IllegalStateException("a path that is not legal was taken");
        } catch (StatementExecutionException expected) {
          System.out.println(expected.getMessage());
        }
      }
      session.close();
    }
  }

  static void write(Session session, String database) throws Exception {
    session.insertTablet(tablet(database + ".tablet", false));
    session.insertTablet(tablet(database + ".holes", true));
    session.insertAlignedTablet(tablet(database + ".aligned", true));
    Map<String, Tablet> tablets = new HashMap<>();
    for (String name : Arrays.asList("one", "two", "three")) {
      tablets.put(database + ".several." + name, tablet(database + ".several." + name, true));
    }
    session.insertTablets(tablets);
    List<String> names = new ArrayList<>();
    for (TSDataType type : TYPES) {
      names.add("s_" + type.name().toLowerCase());
    }
    List<TSDataType> types = Arrays.asList(TYPES);
    session.insertRecord(database + ".record", START, names, types, row(0));
    session.insertAlignedRecord(database + ".alignedrecord", START, names, types, row(0));
    List<Long> times = new ArrayList<>();
    List<String> devices = new ArrayList<>();
    List<List<Object>> rows = new ArrayList<>();
    for (int row = 0; row < ROWS; row++) {
      times.add(START + row);
      devices.add(database + ".records.d" + row % 3);
      rows.add(row(row));
    }
    List<List<String>> allNames = Collections.nCopies(ROWS, names);
    List<List<TSDataType>> allTypes = Collections.nCopies(ROWS, types);
    session.insertRecords(devices, times, allNames, allTypes, rows);
    session.insertRecordsOfOneDevice(database + ".ofone", times, allNames, allTypes, rows, true);
    session.insertAlignedRecordsOfOneDevice(database + ".alignedofone", times, allNames, allTypes, rows, true);
  }

  static Tablet tablet(String device, boolean holes) {
    List<IMeasurementSchema> schemas = new ArrayList<>();
    for (TSDataType type : TYPES) {
      schemas.add(new MeasurementSchema("s_" + type.name().toLowerCase(), type));
    }
    Tablet tablet = new Tablet(device, schemas, ROWS);
    for (int row = 0; row < ROWS; row++) {
      tablet.addTimestamp(row, START + row);
      List<Object> values = row(row);
      for (int column = 0; column < TYPES.length; column++) {
        boolean isNull = holes && row % TYPES.length == column;
        tablet.addValue(schemas.get(column).getMeasurementName(), row, isNull ? null : values.get(column));
      }
    }
    return tablet;
  }

  static List<Object> row(int row) {
    return Arrays.asList(
        row % 2 == 0,
        row == 0 ? Integer.MIN_VALUE : row,
        row == 0 ? Long.MIN_VALUE + 1 : row * 1_000_000_007L,
        row + 0.5f,
        row == 0 ? -0.0 : row / 3.0,
        new Binary("text \u6c34 " + row, StandardCharsets.UTF_8),
        START + row,
        LocalDate.of(2024, 2, 1 + row % 29),
        new Binary(new byte[] {(byte) row, 0, -1}),
        new Binary("", StandardCharsets.UTF_8));
  }
}
