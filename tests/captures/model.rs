//! The rows of a capture as its expectation tells them, and how to write them.

use penstock::data::DataType;
use penstock::wire::build::{
    self, Cell, Cells, Nulls, RowColumn, Schema, TabletColumn, node_tail, rows_log, rows_node,
};
use penstock::wire::bytes::Writer;
use penstock::wire::node::NodeType;
use penstock::wire::request::RequestType;
use penstock::wire::tablet::Form;
use serde_json::Value;

/// Larger than any capture.
const BYTES_MAX: usize = 1 << 20;

/// Device, measurement, aligned, type, time, value.
pub(crate) type Point = (String, String, bool, u8, i64, Vec<u8>);

/// A data request.
pub(crate) struct Model {
    pub(crate) code: i16,
    logs: Vec<Log>,
    nodes: Vec<(Node, Value)>,
    tablets: Vec<(Tab, Value)>,
}

struct Log {
    head: [u64; 3],
    content: Shape,
    database: Value,
}

struct Node {
    code: i16,
    content: Shape,
    id: String,
}

enum Shape {
    Tablet(Tab),
    Rows(Vec<Line>),
}

struct Tab {
    device: String,
    is_aligned: bool,
    has_schema: bool,
    times: Vec<i64>,
    columns: Vec<Col>,
}

struct Col {
    name: String,
    data_type: DataType,
    schema: Schema,
    category: u8,
    bitmap: Option<(usize, Vec<u8>)>,
    cells: Vec<Option<Vec<u8>>>,
}

struct Line {
    time: i64,
    device: String,
    is_aligned: bool,
    needs_types: bool,
    columns: Vec<LineCol>,
}

struct LineCol {
    name: String,
    schema: Option<(DataType, Schema)>,
    category: u8,
    cell: LineCell,
}

enum LineCell {
    Null,
    TypedNull(DataType),
    Value(DataType, Vec<u8>),
}

impl Model {
    /// The model of either folder's expectation; `None` for a request without rows.
    pub(crate) fn of(expected: &Value) -> Option<Self> {
        let code = i16::try_from(expected["type"].as_i64()?).unwrap();
        let database = |value: &Value| {
            value.get("db").or_else(|| value.get("database")).cloned().unwrap_or_default()
        };
        let list = |keys: &[&str]| -> Vec<Value> {
            keys.iter().find_map(|key| expected[*key].as_array()).cloned().unwrap_or_default()
        };
        let own = database(expected);
        let node = ["n", "node"].iter().find_map(|key| expected.get(key));
        let tablet = ["t", "tablet"].iter().find_map(|key| expected.get(key));
        let mut model = Self { code, logs: vec![], nodes: vec![], tablets: vec![] };
        match code {
            2 | 10 => model.nodes.push((Node::of(node?), own)),
            3 | 11 => model.tablets.push((Tab::of_raw(tablet?, expected), own)),
            7 => model.logs.push(Log::of(&expected["wal"])),
            6 | 13 => {
                model.logs = list(&["binaries"]).iter().map(Log::of).collect();
                model.nodes =
                    list(&["nodes"]).iter().map(|node| (Node::of(node), database(node))).collect();
                model.tablets = list(&["tabs", "tablets"])
                    .iter()
                    .map(|tab| (Tab::of_raw(tab, tab), database(tab)))
                    .collect();
            }
            _ => return None,
        }
        Some(model)
    }

    fn contents(&self) -> impl Iterator<Item = &Shape> {
        let logs = self.logs.iter().map(|log| &log.content);
        let tree = |node: &&(Node, Value)| node.0.code < 2000;
        logs.chain(self.nodes.iter().filter(tree).map(|(node, _)| &node.content))
    }

    pub(crate) fn points(&self) -> Vec<Point> {
        let mut points: Vec<Point> = self
            .contents()
            .flat_map(|content| match content {
                Shape::Tablet(tab) => tab.points(),
                Shape::Rows(lines) => lines.iter().flat_map(Line::points).collect(),
            })
            .collect();
        let tree = self.tablets.iter().filter(|(_, database)| is_tree(database));
        points.extend(tree.flat_map(|(tab, _)| tab.points()));
        points.sort();
        points
    }

    /// Takes over the bits behind the last row, which mean nothing and are not in the expectation, from
    /// the bitmaps of the request: those of its raw tablets are the last ones.
    pub(crate) fn set_spare_bits(&mut self, bitmaps: &[Vec<Option<&[u8]>>]) {
        let last = &bitmaps[bitmaps.len() - self.tablets.len()..];
        for ((tab, _), bitmaps) in self.tablets.iter_mut().zip(last) {
            let rows = tab.times.len();
            for (column, bitmap) in tab.columns.iter_mut().zip(bitmaps) {
                column.set_spare_bits(rows, *bitmap);
            }
        }
    }

    /// Things of the table model, which are passed on as they are.
    pub(crate) fn opaque(&self) -> usize {
        let nodes = self.nodes.iter().filter(|(node, _)| node.code >= 2000).count();
        nodes + self.tablets.iter().filter(|(_, database)| !is_tree(database)).count()
    }

    pub(crate) fn write(&self, form: Form, out: &mut Writer<'_>) {
        let kind = RequestType::from_code(self.code).unwrap();
        build::request(kind, out);
        let is_batch = matches!(self.code, 6 | 13);
        let end = |database: &Value, out: &mut Writer<'_>| {
            if self.code >= 10 {
                build::database(database.as_str(), out);
            }
        };
        let count = |count: usize, out: &mut Writer<'_>| {
            if is_batch {
                out.count(count);
            }
        };
        count(self.logs.len(), out);
        for log in &self.logs {
            let bytes = log.bytes();
            if self.code == 7 {
                out.put(&bytes);
            } else {
                out.binary(&bytes);
            }
            end(&log.database, out);
        }
        count(self.nodes.len(), out);
        for (node, database) in &self.nodes {
            node.write(out);
            end(database, out);
        }
        count(self.tablets.len(), out);
        for (tab, database) in &self.tablets {
            tab.with(|tablet| tablet.raw(form, out));
            end(database, out);
        }
    }
}

fn is_tree(database: &Value) -> bool {
    database.as_str().is_none_or(|name| name.starts_with("root."))
}

impl Node {
    fn of(value: &Value) -> Self {
        let code = number(value, &["node", "nodeType"]) as i16;
        let id = first(value, &["pnid", "planNodeId"]).as_str().unwrap().to_owned();
        Self { code, content: Shape::of(value, code), id }
    }

    fn write(&self, out: &mut Writer<'_>) {
        let node_type = NodeType::from_code(self.code).unwrap();
        match &self.content {
            Shape::Tablet(tab) => tab.with(|tablet| tablet.node(node_type, out)),
            Shape::Rows(lines) => with_rows(lines, |rows| match self.code {
                14 | 2001 => rows[0].node(node_type, out),
                _ => rows_node(rows, node_type, out),
            }),
        }
        node_tail(self.id.as_bytes(), out);
    }
}

impl Log {
    fn of(value: &Value) -> Self {
        let code = number(value, &["nodeType"]) as i16;
        let head = ["walEntryType", "memTableId", "searchIndex"]
            .map(|key| value[key].as_i64().unwrap().cast_unsigned());
        Self { head, content: Shape::of(value, code), database: Value::Null }
    }

    /// Our entries have no memtable and no index; those of the capture are put in their places.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut out = Writer::into_vec(&mut bytes, BYTES_MAX);
        match &self.content {
            Shape::Tablet(tab) => tab.with(|tablet| tablet.log(NodeType::InsertTablet, &mut out)),
            Shape::Rows(lines) => with_rows(lines, |rows| match self.head[0] {
                4 => rows[0].log(NodeType::InsertRow, &mut out),
                _ => rows_log(rows, NodeType::InsertRows, &mut out),
            }),
        }
        assert_eq!(u64::from(bytes[0]), self.head[0]);
        bytes[1..9].copy_from_slice(&self.head[1].to_be_bytes());
        bytes[11..19].copy_from_slice(&self.head[2].to_be_bytes());
        bytes
    }
}

impl Shape {
    fn of(value: &Value, code: i16) -> Self {
        match code {
            13 | 2000 => Self::Tablet(Tab::of_node(value)),
            14 | 2001 => Self::Rows(vec![Line::of(value)]),
            _ => Self::Rows(value["rows"].as_array().unwrap().iter().map(Line::of).collect()),
        }
    }
}

impl Tab {
    /// A node or log entry.
    fn of_node(value: &Value) -> Self {
        let rows = size(value, &["n", "rows"]);
        let types = value["types"].as_array().unwrap();
        let has_schema = value.get("hasSchema").is_none_or(is_true);
        let columns =
            value.get("meas").or_else(|| value.get("schemas")).unwrap().as_array().unwrap();
        let columns = columns.iter().enumerate().map(|(index, column)| {
            let (name, _, schema) = schema_of(column);
            let data_type = type_of(&types[index]);
            let bitmap = bitmap_of(value, index, rows);
            let category = value["cats"][index].as_u64().unwrap_or(0) as u8;
            let cells = cells_of(value, index, &name, data_type);
            Col { name, data_type, schema, category, bitmap, cells }
        });
        let columns = columns.collect();
        Self::new(value, value, has_schema, columns)
    }

    /// A raw tablet; `isAligned` may stand outside.
    fn of_raw(value: &Value, outside: &Value) -> Self {
        let rows = size(value, &["n", "rowSize"]);
        let columns = first(value, &["cols", "schemas"]).as_array().unwrap();
        let columns = columns.iter().enumerate().map(|(index, column)| {
            let (name, data_type, schema) = schema_of(column);
            let data_type = data_type.unwrap();
            let bitmap = bitmap_of(value, index, rows);
            let category = column["cat"].as_u64().unwrap_or(1) as u8;
            let cells = cells_of(value, index, &name, data_type);
            Col { name, data_type, schema, category, bitmap, cells }
        });
        let columns = columns.collect();
        let flag = if outside.get("isAligned").is_some() { outside } else { value };
        Self::new(value, flag, true, columns)
    }

    fn new(value: &Value, flag: &Value, has_schema: bool, columns: Vec<Col>) -> Self {
        let times = value.get("times").or_else(|| value["table"].get("time")).unwrap();
        Self {
            device: first(value, &["dev", "device"]).as_str().unwrap().to_owned(),
            is_aligned: is_true(first(flag, &["aligned", "isAligned"])),
            has_schema,
            times: times.as_array().unwrap().iter().map(|time| time.as_i64().unwrap()).collect(),
            columns,
        }
    }

    fn points(&self) -> Vec<Point> {
        let column = |column: &Col| -> Vec<Point> {
            let rows = self.times.iter().zip(&column.cells).enumerate();
            rows.filter(|(row, _)| !column.is_null(*row))
                .map(|(_, (time, cell))| {
                    let (device, name) = (self.device.clone(), column.name.clone());
                    let value = cell.clone().unwrap_or_default();
                    (device, name, self.is_aligned, column.data_type.code(), *time, value)
                })
                .collect()
        };
        self.columns.iter().flat_map(column).collect()
    }

    fn with(&self, write: impl FnOnce(&build::Tablet<'_>)) {
        let fixed: Vec<Vec<u8>> = self
            .columns
            .iter()
            .map(|column| column.cells.iter().flatten().flatten().copied().collect())
            .collect();
        let texts: Vec<Vec<Option<&[u8]>>> = self
            .columns
            .iter()
            .map(|column| column.cells.iter().map(Option::as_deref).collect())
            .collect();
        let columns: Vec<TabletColumn<'_>> = self
            .columns
            .iter()
            .enumerate()
            .map(|(index, column)| TabletColumn {
                name: column.name.as_bytes(),
                data_type: column.data_type,
                schema: self.has_schema.then_some(column.schema),
                category: column.category,
                nulls: column.bitmap.as_ref().map(|(bits, bytes)| Nulls { bits: *bits, bytes }),
                cells: if column.data_type.is_binary() {
                    Cells::Texts(&texts[index])
                } else {
                    Cells::Fixed(&fixed[index])
                },
            })
            .collect();
        let (device, is_aligned) = (self.device.as_bytes(), self.is_aligned);
        write(&build::Tablet { device, is_aligned, times: &self.times, columns: &columns });
    }
}

impl Col {
    fn set_spare_bits(&mut self, rows: usize, bitmap: Option<&[u8]>) {
        let Some((_, bytes)) = &mut self.bitmap else { return };
        for row in rows..bytes.len() * 8 {
            bytes[row / 8] |= bitmap.unwrap()[row / 8] & 1 << (row % 8);
        }
    }

    fn is_null(&self, row: usize) -> bool {
        self.bitmap.as_ref().is_some_and(|(_, bytes)| bytes[row / 8] >> (row % 8) & 1 == 1)
    }
}

impl Line {
    fn of(value: &Value) -> Self {
        let cells = value["cells"].as_array().unwrap();
        let has_schema = value.get("hasSchema").is_none_or(is_true);
        let columns = cells.iter().enumerate().map(|(index, cell)| {
            // 1.3.3: [schema, type, value]; 2.0.10: [type, value], the names in a list of their own
            let named = value.get("meas").map_or(&cell[0], |names| &names[index]);
            let (name, data_type, schema) = schema_of(named);
            let cell = if value.get("meas").is_some() { cell.clone() } else { tail(cell) };
            let category = value["cats"][index].as_u64().unwrap_or(0) as u8;
            let schema = has_schema.then(|| (data_type.unwrap(), schema));
            LineCol { name, schema, category, cell: LineCell::of(&cell) }
        });
        Self {
            time: value["time"].as_i64().unwrap(),
            columns: columns.collect(),
            device: first(value, &["dev", "device"]).as_str().unwrap().to_owned(),
            is_aligned: is_true(&value["aligned"]),
            needs_types: false,
        }
    }

    fn points(&self) -> Vec<Point> {
        let point = |column: &LineCol| {
            let LineCell::Value(data_type, value) = &column.cell else { return None };
            let (device, name) = (self.device.clone(), column.name.clone());
            Some((device, name, self.is_aligned, data_type.code(), self.time, value.clone()))
        };
        self.columns.iter().filter_map(point).collect()
    }
}

fn with_rows(lines: &[Line], write: impl FnOnce(&[build::Row<'_>])) {
    let columns: Vec<Vec<RowColumn<'_>>> =
        lines.iter().map(|line| line.columns.iter().map(LineCol::column).collect()).collect();
    let rows: Vec<build::Row<'_>> = lines
        .iter()
        .zip(&columns)
        .map(|(line, columns)| build::Row {
            time: line.time,
            device: line.device.as_bytes(),
            is_aligned: line.is_aligned,
            needs_types: line.needs_types,
            columns,
        })
        .collect();
    write(&rows);
}

impl LineCol {
    fn column(&self) -> RowColumn<'_> {
        let cell = match &self.cell {
            LineCell::Null => Cell::Null,
            LineCell::TypedNull(data_type) => Cell::TypedNull(*data_type),
            LineCell::Value(data_type, bytes) => Cell::Value(*data_type, bytes),
        };
        let (name, schema) = (self.name.as_bytes(), self.schema);
        RowColumn { name, schema, category: self.category, cell }
    }
}

impl LineCell {
    fn of(cell: &Value) -> Self {
        if cell.is_null() {
            return Self::Null;
        }
        if cell[0] == "null" {
            return Self::TypedNull(type_of(&cell[1]));
        }
        let data_type = type_of(&cell[0]);
        Self::Value(data_type, bytes_of(&cell[1], data_type))
    }
}

// ---- reading of JSON ------------------------------------------------------------------------

/// Name, type and schema of a column; 2.0.10: a name or an object, 1.3.3: a list.
fn schema_of(column: &Value) -> (String, Option<DataType>, Schema) {
    if let Some(name) = column.as_str() {
        return (name.to_owned(), None, Schema::default());
    }
    let field =
        |key: &str, index: usize| if column.is_array() { &column[index] } else { &column[key] };
    let byte = |value: &Value| value.as_u64().unwrap() as u8;
    let schema = Schema { encoding: byte(field("enc", 2)), compressor: byte(field("comp", 3)) };
    let name = field("name", 0).as_str().unwrap().to_owned();
    (name, Some(type_of(field("type", 1))), schema)
}

fn type_of(value: &Value) -> DataType {
    let named = || {
        let name = value.as_str().unwrap();
        let found = DataType::ALL
            .into_iter()
            .find(|data_type| format!("{data_type:?}").to_uppercase() == name);
        found.unwrap_or_else(|| panic!("{name}"))
    };
    value.as_u64().map_or_else(named, |code| DataType::from_code(code as u8).unwrap())
}

/// Bits and bytes of a bitmap. 2.0.10 (`bm`): digits of bits, in a raw tablet with both sizes; 1.3.3
/// (`bitmaps`): hex.
fn bitmap_of(tablet: &Value, column: usize, rows: usize) -> Option<(usize, Vec<u8>)> {
    let bits = |text: &str, length: usize| {
        let mut bytes = vec![0_u8; length];
        for (row, digit) in text.bytes().enumerate() {
            bytes[row / 8] |= (digit - b'0') << (row % 8);
        }
        bytes
    };
    let size = |value: &Value| value.as_u64().map(|size| size as usize);
    match &tablet["bm"][column] {
        Value::Null => {
            let bytes = unhex(tablet["bitmaps"][column].as_str()?);
            Some((size(&tablet["bitmapSizes"][column]).unwrap_or(rows), bytes))
        }
        Value::Array(parts) => {
            let length = size(&parts[1]).unwrap();
            Some((size(&parts[0]).unwrap(), bits(parts[2].as_str().unwrap(), length)))
        }
        Value::String(digits) => Some((rows, bits(digits, rows / 8 + 1))),
        other @ (Value::Bool(_) | Value::Number(_) | Value::Object(_)) => {
            panic!("a bitmap: {other}")
        }
    }
}

/// What stands in the cells of a column, also in those that are null. 2.0.10: `vals`; 1.3.3: `table`,
/// with the contents of the null cells in `rawnullcells`.
fn cells_of(tablet: &Value, index: usize, name: &str, data_type: DataType) -> Vec<Option<Vec<u8>>> {
    let cell = |value: &Value| (!value.is_null()).then(|| bytes_of(value, data_type));
    if let Some(columns) = tablet["vals"].as_array() {
        return columns[index].as_array().unwrap().iter().map(cell).collect();
    }
    let empty = Vec::new();
    let mut nulls = tablet["rawnullcells"][name].as_array().unwrap_or(&empty).iter();
    let values = tablet["table"][name].as_array().unwrap();
    values
        .iter()
        .map(|value| cell(if value.is_null() { nulls.next().unwrap() } else { value }))
        .collect()
}

/// The bytes of a value.
fn bytes_of(value: &Value, data_type: DataType) -> Vec<u8> {
    let integer = || value.as_i64().unwrap();
    match data_type {
        DataType::Boolean => vec![u8::from(value.as_bool().unwrap())],
        DataType::Int32 | DataType::Date => {
            i32::try_from(integer()).unwrap().to_be_bytes().to_vec()
        }
        DataType::Int64 | DataType::Timestamp => integer().to_be_bytes().to_vec(),
        DataType::Float => (value.as_f64().unwrap() as f32).to_be_bytes().to_vec(),
        DataType::Double => value.as_f64().unwrap().to_be_bytes().to_vec(),
        DataType::Text | DataType::String => value.as_str().unwrap().as_bytes().to_vec(),
        DataType::Blob | DataType::Object => {
            let text = value.as_str().unwrap();
            unhex(text.strip_prefix("0x").unwrap_or(text))
        }
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let pair = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    text.as_bytes().chunks(2).map(pair).collect()
}

fn is_true(value: &Value) -> bool {
    value == 1 || value == true
}

fn size(value: &Value, keys: &[&str]) -> usize {
    usize::try_from(number(value, keys)).unwrap()
}

fn number(value: &Value, keys: &[&str]) -> i64 {
    first(value, keys).as_i64().unwrap()
}

/// All but the first of a list.
fn tail(list: &Value) -> Value {
    Value::Array(list.as_array().unwrap()[1..].to_vec())
}

/// The value of the first of `keys` that there is.
pub(crate) fn first<'v>(value: &'v Value, keys: &[&str]) -> &'v Value {
    let found = keys.iter().map(|key| &value[*key]).find(|value| !value.is_null());
    found.unwrap_or_else(|| panic!("none of {keys:?} in {value}"))
}
