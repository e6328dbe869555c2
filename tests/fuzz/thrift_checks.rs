//! What holds for any bytes taken for a call of a client: shared as `checks.rs` is.

use penstock::wire::bytes::Writer;
use penstock::wire::thrift::calls::{self, RecordsCall, TabletCall, TabletsCall};
use penstock::wire::thrift::inserts::{measured, put_batch, put_records, put_request};
use penstock::wire::thrift::transfer::TransferHead;
use penstock::wire::thrift::view::{ListOf, View};
use penstock::wire::thrift::{
    ARGUMENT, Incoming, Protocol, TSOpenSessionReq, TSSetTimeZoneReq, TSStatus, UNNUMBERED,
};

/// Largest request that is put.
const PUT_BYTES_MAX: usize = 1 << 20;

/// A message is refused, or its argument is read; what is checked is put in as many bytes as were measured.
pub(crate) fn message(bytes: &[u8]) {
    for protocol in [Protocol::Binary, Protocol::Compact] {
        let _head = TransferHead::find(protocol, bytes);
        let read = || Incoming::read(protocol, bytes);
        if let Ok(call) = read() {
            let _status = call.result::<TSStatus>("a", 1);
        }
        let _login = read().and_then(|call| call.argument::<TSOpenSessionReq>(ARGUMENT));
        let _zone = read().and_then(|call| call.argument::<TSSetTimeZoneReq>(ARGUMENT));
        let _number = read().and_then(|call| call.number(ARGUMENT));
        let _transfer = View::argument(protocol, bytes, UNNUMBERED).and_then(calls::transfer);
        if let Ok(view) = View::argument(protocol, bytes, ARGUMENT) {
            argument(view);
        }
    }
}

fn argument(view: View<'_>) {
    let _statement = calls::statement::<&str>(view);
    if let Ok(list) = calls::statement::<ListOf<'_, &str>>(view) {
        assert_eq!(list.iter().count(), list.len());
    }
    let tablet = TabletCall::read(view).map(|call| call.tablet());
    if let Ok(Ok(tablet)) = tablet
        && let Ok(end) = tablet.check()
    {
        put(|out| put_request(out, |out| tablet.put_node(end, out)));
    }
    if let Ok(call) = TabletsCall::read(view)
        && let Ok(count) = call.count()
    {
        assert_eq!(call.tablets().count(), count);
        let sound = || call.tablets().filter_map(|it| it.check().ok().map(|end| (it, end)));
        let nodes = sound().count();
        put(|out| {
            put_batch(out, nodes, |out| sound().for_each(|(it, end)| it.put_node(end, out)));
        });
    }
    for method in
        ["insertRecord", "insertStringRecord", "insertRecords", "insertStringRecordsOfOneDevice"]
    {
        let Ok(call) = RecordsCall::read(method, view) else { continue };
        let Ok(count) = call.count() else { continue };
        assert_eq!(call.records().count(), count);
        if call.records().all(|record| record.check().is_ok()) {
            put(|out| put_request(out, |out| put_records(count, call.records(), out)));
        }
    }
}

fn put(request: impl Fn(&mut Writer<'_>)) {
    let bytes = measured(&request);
    if bytes > PUT_BYTES_MAX {
        return;
    }
    let mut made = vec![0; bytes];
    let mut out = Writer::into_slice(&mut made);
    request(&mut out);
    assert_eq!(out.finish(), Ok(bytes));
}
