use thrift::protocol::TMessageType;

use super::result::{Cell, Column, ColumnKind, Form, ResultSet};
use super::status::Code;
use super::transfer::{Found, HEAD_BYTES_MAX, METHOD, TAIL, TransferHead};
use super::*;
use crate::limits;

const BOTH: [Protocol; 2] = [Protocol::Binary, Protocol::Compact];

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<char> = hex.chars().filter(|digit| !digit.is_whitespace()).collect();
    let pair = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

const NAME: &str = "70 69 70 65 54 72 61 6e 73 66 65 72";

fn call_bytes(protocol: Protocol) -> Vec<u8> {
    bytes(&match protocol {
        Protocol::Binary => format!(
            "00 00 00 2f 80 01 00 01 00 00 00 0c {NAME} 00 00 00 01 0c ff ff 03 00 01 01
             06 00 02 00 02 0b 00 03 00 00 00 02 aa bb 00 00"
        ),
        Protocol::Compact => {
            format!("00 00 00 1c 82 21 01 0c {NAME} 0c 01 13 01 14 04 18 02 aa bb 00 00")
        }
    })
}

fn reply_bytes(protocol: Protocol) -> Vec<u8> {
    bytes(&match protocol {
        Protocol::Binary => format!(
            "00 00 00 28 80 01 00 02 00 00 00 0c {NAME} 00 00 00 01 0c 00 00 0c 00 01
             08 00 01 00 00 00 c8 00 00 00"
        ),
        Protocol::Compact => {
            format!("00 00 00 19 82 41 01 0c {NAME} 0c 00 1c 15 90 03 00 00 00")
        }
    })
}

/// A frame without its length.
fn message(frame: &[u8]) -> &[u8] {
    assert_eq!(frame[..4], u32::try_from(frame.len() - 4).unwrap().to_be_bytes());
    &frame[4..]
}

#[test]
fn a_call_of_pipe_transfer_is_read_and_written_in_both_ways() {
    for protocol in BOTH {
        let frame = call_bytes(protocol);
        let whole = message(&frame);
        assert_eq!(Protocol::of(whole[0]), Some(protocol));
        let head = TransferHead { sequence: 1, version: 1, request_type: 2, body_bytes: 2 };
        let Found::Transfer(found, used) = TransferHead::find(protocol, whole) else {
            panic!("{protocol:?}")
        };
        assert_eq!((found, &whole[used..]), (head, &[0xAA, 0xBB, 0, 0][..]));
        assert!(used <= HEAD_BYTES_MAX);
        let mut written = Vec::new();
        head.write(protocol, &mut written).unwrap();
        written.extend_from_slice(&[0xAA, 0xBB]);
        written.extend_from_slice(&TAIL);
        assert_eq!(written, frame);
        // The codec's way comes to the same.
        let call = Incoming::read(protocol, whole).unwrap();
        assert_eq!(call.head.kind, TMessageType::Call);
        let request: TPipeTransferReq = call.argument(UNNUMBERED).unwrap();
        assert_eq!(request, TPipeTransferReq::new(1, 2, vec![0xAA, 0xBB]));
        let mut again = Vec::new();
        write_call(protocol, METHOD, 1, (UNNUMBERED, &request), &mut again).unwrap();
        assert_eq!(again, frame);
    }
}

#[test]
fn a_head_may_come_in_any_pieces_and_with_any_numbers() {
    for protocol in BOTH {
        for (sequence, request_type, body_bytes) in
            [(0, 2, 0), (-1, 51, 127), (i32::MAX, -32768, 128), (300, 302, i32::MAX as u32 - 64)]
        {
            let head = TransferHead { sequence, version: -1, request_type, body_bytes };
            let mut frame = Vec::new();
            head.write(protocol, &mut frame).unwrap();
            let written = &frame[4..];
            for count in 0..written.len() {
                assert_eq!(TransferHead::find(protocol, &written[..count]), Found::More);
            }
            assert_eq!(TransferHead::find(protocol, written), Found::Transfer(head, written.len()));
        }
        let most = TransferHead { sequence: 1, version: 1, request_type: 2, body_bytes: 1 << 31 };
        assert_eq!(most.write(protocol, &mut Vec::new()), None);
    }
}

#[test]
fn what_is_no_call_of_pipe_transfer_is_told() {
    let other = |protocol, hex| TransferHead::find(protocol, &bytes(hex)) == Found::Other;
    // A reply; another method; a negative length; a varint without an end.
    assert!(other(Protocol::Binary, "80 01 00 02"));
    assert!(other(Protocol::Binary, "80 01 00 01 00 00 00 0b"));
    let mut negative = call_bytes(Protocol::Binary);
    let place = negative.len() - 8;
    negative[place] = 0x80;
    assert_eq!(TransferHead::find(Protocol::Binary, &negative[4..]), Found::Other);
    assert!(other(Protocol::Compact, "82 21 ff ff ff ff ff"));
    assert_eq!(Protocol::of(0x47), None);
}

#[test]
fn replies_repeat_method_and_sequence() {
    for protocol in BOTH {
        let head = Head { method: METHOD.to_owned(), kind: TMessageType::Call, sequence: 1 };
        let status = TSStatus::new(200, None, None, None, None);
        let reply = TPipeTransferResp::new(status, None);
        let mut frame = Vec::new();
        write_reply(protocol, &head, &reply, &mut frame).unwrap();
        assert_eq!(frame, reply_bytes(protocol));
        let read = || Incoming::read(protocol, message(&frame)).unwrap();
        assert_eq!(read().result::<TPipeTransferResp>(METHOD, 1).unwrap(), reply);
        let error = read().result::<TPipeTransferResp>(METHOD, 2).unwrap_err();
        assert_eq!(
            error.to_string(),
            "expected a reply to pipeTransfer 2, got one to pipeTransfer 1"
        );
    }
}

#[test]
fn a_number_and_an_exception_are_results_too() {
    for protocol in BOTH {
        let head =
            Head { method: "requestStatementId".to_owned(), kind: TMessageType::Call, sequence: 7 };
        let mut frame = Vec::new();
        write_number(protocol, &head, 42, &mut frame).unwrap();
        assert_eq!(Incoming::read(protocol, message(&frame)).unwrap().number(0).unwrap(), 42);
        frame.clear();
        let kind = ApplicationErrorKind::UnknownMethod;
        write_exception(protocol, &head, kind, "no such method", &mut frame).unwrap();
        let read = Incoming::read(protocol, message(&frame)).unwrap();
        let error = read.result::<TSStatus>("requestStatementId", 7).unwrap_err();
        assert_eq!(error.to_string(), "the far side answered: no such method");
    }
}

#[test]
fn a_request_within_its_budget_is_read_and_one_beyond_is_not() {
    for protocol in BOTH {
        let measurements = |count: usize| vec![vec![String::new(); 1000]; count];
        let request = |count: usize| {
            TSInsertRecordsReq::new(1, vec![], measurements(count), vec![], vec![], None)
        };
        let read = |count: usize| {
            let mut frame = Vec::new();
            write_call(protocol, "insertRecords", 1, (ARGUMENT, &request(count)), &mut frame)
                .unwrap();
            let call = Incoming::read(protocol, message(&frame)).unwrap();
            call.argument::<TSInsertRecordsReq>(ARGUMENT)
        };
        let fits = limits::THRIFT_MEMORY_BYTES_MAX / (1001 * size_of::<String>());
        assert_eq!(read(fits).unwrap(), request(fits));
        let error = read(fits + 1).unwrap_err().to_string();
        assert!(error.contains("request in memory of more than"), "{error}");
    }
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().copied().map(str::to_owned).collect()
}

#[test]
fn calls_are_read_where_they_lie_as_the_codec_reads_them() {
    for protocol in BOTH {
        let mut frame = Vec::new();
        let mut request = TSInsertTabletReq::new(
            -1,
            "root.\u{6c34}".to_owned(),
            texts(&["a", ""]),
            vec![1, 2, 3],
            vec![4; 8],
            vec![1, 5],
            -7,
            true,
            None,
            // Fields that are stepped over, of an element each way.
            vec![1_i8, -2],
            true,
            vec![4_i8, -1, 127],
            9_i8,
        );
        write_call(protocol, "insertTablet", 1, (ARGUMENT, &request), &mut frame).unwrap();
        let view = View::argument(protocol, message(&frame), ARGUMENT).unwrap();
        let read = calls::TabletCall::read(view).unwrap();
        let (tablet, packing) = (read.tablet, read.packing.unwrap());
        assert_eq!((tablet.device, tablet.rows, tablet.is_aligned), ("root.\u{6c34}", -7, true));
        assert_eq!(tablet.measurements.iter().collect::<Vec<_>>(), ["a", ""]);
        assert_eq!((tablet.values, tablet.times), (&[1, 2, 3][..], &[4; 8][..]));
        assert_eq!(tablet.types.iter().collect::<Vec<_>>(), [1, 5]);
        assert_eq!(packing.encodings.unwrap().iter().collect::<Vec<_>>(), [4, -1, 127]);
        assert_eq!(packing.compressor, 9);
        request.write_to_table = Some(true);
        frame.clear();
        write_call(protocol, "insertTablet", 1, (ARGUMENT, &request), &mut frame).unwrap();
        let view = View::argument(protocol, message(&frame), ARGUMENT).unwrap();
        let read = calls::TabletCall::read(view).unwrap();
        assert_eq!(read.tablet().unwrap_err().0.code, 300);
        // More elements than fit into the head of a compact list.
        let many = (0..20).map(|number| format!("s{number}")).collect::<Vec<_>>();
        let rows = TSInsertStringRecordsReq::new(
            1,
            texts(&["d1", "d2"]),
            vec![many.clone(), vec![]],
            vec![many.clone(), vec![]],
            vec![i64::MIN, 2],
            true,
        );
        frame.clear();
        write_call(protocol, "insertStringRecords", 1, (ARGUMENT, &rows), &mut frame).unwrap();
        let view = View::argument(protocol, message(&frame), ARGUMENT).unwrap();
        let read = calls::RecordsCall::read("insertStringRecords", view).unwrap();
        assert_eq!(read.count().unwrap(), 2);
        let records: Vec<_> = read.records().collect();
        assert_eq!((records[0].device, records[0].time), ("d1", i64::MIN));
        assert_eq!((records[1].device, records[1].measurements.len()), ("d2", 0));
        let inserts::Cells::Texts(cells) = records[0].cells else { panic!("texts") };
        assert!(cells.iter().eq(many.iter()) && records[0].is_aligned);
        // Whatever is cut off, it is an error, and nothing else.
        for end in 0..message(&frame).len() {
            let cut = View::argument(protocol, &message(&frame)[..end], ARGUMENT);
            assert!(cut.is_err(), "{end}");
        }
    }
}

#[test]
fn structs_within_structs_have_an_end() {
    for (protocol, deeper) in [(Protocol::Binary, &[12_u8, 0, 1][..]), (Protocol::Compact, &[0x1c])]
    {
        let head = match protocol {
            Protocol::Binary => bytes("80 01 00 01 00 00 00 01 61 00 00 00 01"),
            Protocol::Compact => bytes("82 21 01 01 61"),
        };
        let mut message = [&head[..], &deeper.repeat(10), &[0; 10]].concat();
        message.push(0);
        assert!(View::argument(protocol, &message, ARGUMENT).is_ok(), "{protocol:?}");
        let message = [&head[..], &deeper.repeat(100_000), &vec![0; 100_001]].concat();
        let error = View::argument(protocol, &message, ARGUMENT).unwrap_err();
        assert_eq!(error.to_string(), "structs lie too deep within each other");
    }
}

#[test]
fn what_a_message_claims_is_not_reserved() {
    // A list of 2^31 - 1 texts in a frame of some bytes.
    let call = "80 01 00 01 00 00 00 01 61 00 00 00 01 0c 00 01 0f 00 02 0b 7f ff ff ff";
    let call = bytes(call);
    let read = Incoming::read(Protocol::Binary, &call).unwrap();
    assert!(read.argument::<TSExecuteBatchStatementReq>(ARGUMENT).is_err());
    let missing = bytes("80 01 00 01 00 00 00 01 61 00 00 00 01 00");
    let read = Incoming::read(Protocol::Binary, &missing).unwrap();
    assert_eq!(read.number(ARGUMENT).unwrap_err().to_string(), "field 1 is missing");
}

/// The table of which a client of each kind has shown to read these bytes.
fn two_pipes() -> ResultSet {
    let row = |cells: [Option<&str>; 3]| cells.map(|cell| cell.map(str::to_owned)).to_vec();
    ResultSet::of_texts(
        &["ID", "State", "ExceptionMessage"],
        vec![
            row([Some("p1"), Some("RUNNING"), Some("")]),
            row([Some("p2"), Some("STOPPED"), None]),
        ],
    )
}

#[test]
fn a_block_is_what_clients_read() {
    let reply = two_pipes().reply(5, Form::Block);
    let block = "00 00 00 03 05 05 05 00 00 00 02 02 03 03 03
        00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
        00 00 00 00 02 70 31 00 00 00 02 70 32
        00 00 00 00 07 52 55 4e 4e 49 4e 47 00 00 00 07 53 54 4f 50 50 45 44
        01 40 00 00 00 00";
    assert_eq!(reply.query_result, Some(vec![bytes(block)]));
    assert_eq!(reply.ignore_time_stamp, Some(true));
    assert_eq!(reply.data_type_list, Some(vec!["TEXT".to_owned(); 3]));
    assert_eq!(reply.status, Code::SUCCESS.status("Success"));
}

#[test]
fn a_data_set_is_what_older_clients_read() {
    let set = two_pipes().reply(5, Form::DataSet).query_data_set.unwrap();
    assert_eq!(set.time, [0; 16]);
    assert_eq!(set.value_list[0], bytes("00 00 00 02 70 31 00 00 00 02 70 32"));
    assert_eq!(set.value_list[2], [0; 4]);
    assert_eq!(set.bitmap_list, [[0xC0], [0xC0], [0x80]]);
}

#[test]
fn a_table_without_rows_has_columns() {
    let columns = [("RpcAddress", ColumnKind::Text), ("RpcPort", ColumnKind::Int32)];
    let columns = columns.map(|(name, kind)| Column { name: name.to_owned(), kind }).to_vec();
    let mut table = ResultSet { columns, rows: vec![] };
    assert_eq!(table.reply(1, Form::Block).query_result, Some(vec![]));
    let set = table.reply(1, Form::DataSet).query_data_set.unwrap();
    assert_eq!(set, TSQueryDataSet::new(vec![], vec![vec![]; 2], vec![vec![]; 2]));
    table.rows.push(vec![Cell::Text("a".to_owned()), Cell::Int32(6667)]);
    let block = table.reply(1, Form::Block).query_result.unwrap().remove(0);
    let expected = "00 00 00 02 05 01 00 00 00 01 02 03 01 00 00 00 00 00 00 00 00 00
        00 00 00 00 01 61 00 00 00 1a 0b";
    assert_eq!(block, bytes(expected));
}
