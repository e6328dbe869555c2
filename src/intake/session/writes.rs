//! What clients write: checked where it lies, measured, made in one buffer, and passed on; one wait for all of a call.
//!
//! ```text
//!  a call's bytes ---- read where they lie ----> the request it becomes ----> door ----> the gate thread's buffers
//!  a share of SESSION_MEMORY_BYTES               one of SESSION_MADE_BYTES,
//!  for as long as the call                       until the gate thread has it
//! ```
//!
//! So whatever clients write takes no more than these two, and the second waits for nobody's disk.

use std::ops::Range;
use std::rc::Rc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::SemaphorePermit;
use tokio::time::timeout;

use super::Shared;
use super::conversation::{Conversation, try_again};
use super::dispatch::{success, too_many};
use super::encoded::write_encoded;
use super::frames::Over;
use super::insert_sql::{Insert, Zone, is_insert};
use super::statements::Outcome;
use crate::limits::{
    KIB, REQUEST_MEMORY_BYTES_MAX, SESSION_HOLD_MAX, SESSION_LIST_MAX, SESSION_MADE_BYTES,
    SESSION_SMALL_BYTES, SESSION_TABLETS_MAX,
};
use crate::ops::clock;
use crate::statement::Clock;
use crate::wire::bytes::Writer;
use crate::wire::thrift::calls::{RecordsCall, TabletCall, TabletsCall};
use crate::wire::thrift::inserts::{
    BATCH_BYTES, Packing, Refusal, TabletOf, check_size, measured, put_batch, put_records,
    put_request,
};
use crate::wire::thrift::status::Code;
use crate::wire::thrift::view::{ListOf, View};
use crate::wire::thrift::{Head, TSStatus, ThriftError};

/// One of several things that are written with one wait.
struct Part<T> {
    what: T,
    /// What it comes to: a refusal for now, or that of the batch that it is in.
    status: Option<TSStatus>,
    bytes: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Conversation<S> {
    /// Carries a call that writes out.
    pub(super) async fn insert(
        &mut self,
        head: &Head,
        view: Result<View<'_>, ThriftError>,
    ) -> Result<(), Over> {
        let status = match view {
            Ok(view) => self.inserted(&head.method, view).await,
            Err(error) => return self.not_read(head, &error.to_string()),
        };
        match status {
            Ok(status) => self.answer(head, &status),
            Err(refusal) => self.answer(head, &*refusal.0),
        }
    }

    async fn inserted(&mut self, method: &str, view: View<'_>) -> Result<TSStatus, Refusal> {
        match method {
            "insertTablet" => {
                let call = TabletCall::read(view)?;
                let tablet = call.tablet()?;
                match call.packing {
                    None => {
                        let end = tablet.check()?;
                        self.put(|out| put_request(out, |out| tablet.put_node(end, out))).await
                    }
                    Some(packing) => self.put_encoded(tablet, packing).await,
                }
            }
            "insertTablets" => {
                let call = TabletsCall::read(view)?;
                if call.count()? > SESSION_TABLETS_MAX {
                    return Ok(too_many(SESSION_TABLETS_MAX));
                }
                self.put_tablets(call).await
            }
            _ => {
                let call = RecordsCall::read(method, view)?;
                let count = call.count()?;
                call.records().try_for_each(|record| record.check())?;
                let node = |out: &mut Writer<'_>| put_records(count, call.records(), out);
                self.put(|out| put_request(out, node)).await
            }
        }
    }

    /// Several statements, of which those that insert share a wait.
    pub(super) async fn batch(&mut self, texts: ListOf<'_, &str>) -> TSStatus {
        if texts.len() > SESSION_LIST_MAX {
            return too_many(SESSION_LIST_MAX);
        }
        let mut parts = Vec::with_capacity(texts.len());
        for text in texts.iter() {
            if !is_insert(text) {
                // They are carried out in their order.
                self.put_parts(&mut parts, node_of_text).await;
                let status = match self.carry_out(text).await {
                    Outcome::Done(status) => status,
                    Outcome::Shown(_) => success(),
                };
                parts.push(Part { what: (text, self.zone()), status: Some(status), bytes: 0 });
                continue;
            }
            let read = Insert::read(text, self.zone());
            let (status, bytes) = match read {
                Ok(insert) => (None, measured(|out| insert.put_node(out))),
                Err(refusal) => (Some(*refusal.0), 0),
            };
            parts.push(Part { what: (text, self.zone()), status, bytes });
        }
        self.put_parts(&mut parts, node_of_text).await;
        of_several(parts.into_iter().filter_map(|part| part.status))
    }

    /// A statement that inserts.
    pub(super) async fn insert_statement(&mut self, text: &str) -> TSStatus {
        let put = match Insert::read(text, self.zone()) {
            Ok(insert) => self.put(|out| put_request(out, |out| insert.put_node(out))).await,
            Err(refusal) => Err(refusal),
        };
        put.unwrap_or_else(|refusal| *refusal.0)
    }

    fn zone(&self) -> Zone {
        let now_millis = clock::wall().0;
        let precision = self.node_precision();
        Zone::of(&self.time_zone, Clock { precision, offset_seconds: 0, now_millis })
    }

    /// Tablets are gone through again for each step, so that thousands of them take no more than their call.
    async fn put_tablets(&mut self, call: TabletsCall<'_>) -> Result<TSStatus, Refusal> {
        let count = call.count()?;
        let mut failed = Failed::default();
        for (number, tablet) in call.tablets().enumerate() {
            if let Err(refusal) = tablet.check() {
                failed.list.push((number, *refusal.0));
            }
        }
        let mut from = 0;
        while from < count {
            let fresh = || call.tablets().enumerate().skip(from).filter(|(it, _)| !failed.has(*it));
            let (nodes, end) = batch_of_tablets(fresh());
            let each = |out: &mut Writer<'_>| {
                fresh().take(nodes).for_each(|(_, tablet)| put_tablet(&tablet, out));
            };
            let put = match nodes {
                0 => Ok(success()),
                _ => self.put(|out| put_batch(out, nodes, each)).await,
            };
            let status = put.unwrap_or_else(|refusal| *refusal.0);
            if nodes == count {
                return Ok(status);
            }
            let to = end.unwrap_or(count);
            failed.note(from..to, &status);
            from = to;
        }
        Ok(failed.status(count))
    }

    /// Puts what has no status yet, as few requests, and gives all of it one.
    async fn put_parts<T>(&mut self, parts: &mut [Part<T>], node: impl Fn(&T, &mut Writer<'_>)) {
        let mut rest = parts;
        while !rest.is_empty() {
            let count = batch_of(rest);
            let (batch, behind) = std::mem::take(&mut rest).split_at_mut(count);
            rest = behind;
            let fresh = || batch.iter().filter(|part| part.status.is_none());
            let nodes = fresh().count();
            if nodes == 0 {
                continue;
            }
            let each = |out: &mut Writer<'_>| fresh().for_each(|part| node(&part.what, out));
            let put = self.put(|out| put_batch(out, nodes, each)).await;
            let status = put.unwrap_or_else(|refusal| *refusal.0);
            for part in batch {
                part.status.get_or_insert_with(|| status.clone());
            }
        }
    }

    /// Makes the request that `put` puts, and stores it.
    async fn put(&mut self, put: impl Fn(&mut Writer<'_>)) -> Result<TSStatus, Refusal> {
        let bytes = measured(&put);
        check_size(bytes)?;
        let shared = Rc::clone(&self.shared);
        let made = match shared.to_make(bytes).await {
            Ok(made) => made,
            Err(status) => return Ok(*status),
        };
        self.payload.reserve_exact(bytes);
        put(&mut Writer::into_vec(&mut self.payload, bytes));
        Ok(self.stored(made).await)
    }

    async fn put_encoded(
        &mut self,
        tablet: TabletOf<'_>,
        packing: Packing<'_>,
    ) -> Result<TSStatus, Refusal> {
        let shared = Rc::clone(&self.shared);
        // How large it becomes is known when it is decoded.
        let most = if is_small(&tablet) { SESSION_SMALL_BYTES } else { REQUEST_MEMORY_BYTES_MAX };
        let made = match shared.to_make(most).await {
            Ok(made) => made,
            Err(status) => return Ok(*status),
        };
        write_encoded(&tablet, packing, &mut self.payload)?;
        Ok(self.stored(made).await)
    }

    async fn stored(&mut self, made: SemaphorePermit<'_>) -> TSStatus {
        self.store(made).await.map_or_else(|status| status, |()| success())
    }
}

impl Shared {
    /// Room for a request that is made.
    async fn to_make(&self, bytes: usize) -> Result<SemaphorePermit<'_>, Box<TSStatus>> {
        // Small ones wait for nobody who writes much.
        let wanted = if bytes <= SESSION_SMALL_BYTES { 0 } else { bytes.div_ceil(KIB) };
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        match timeout(SESSION_HOLD_MAX, self.made.acquire_many(wanted)).await {
            Ok(Ok(made)) => Ok(made),
            _ => Err(Box::new(try_again("others write as much as there is memory for"))),
        }
    }
}

fn node_of_text((text, zone): &(&str, Zone), out: &mut Writer<'_>) {
    // It was checked.
    if let Ok(insert) = Insert::read(text, *zone) {
        insert.put_node(out);
    }
}

/// What failed of several, by number: mostly nothing.
#[derive(Default)]
struct Failed {
    list: Vec<(usize, TSStatus)>,
}

impl Failed {
    fn has(&self, number: usize) -> bool {
        self.list.binary_search_by_key(&number, |(it, _)| *it).is_ok()
    }

    /// All of these that had not failed yet came to this.
    fn note(&mut self, numbers: Range<usize>, status: &TSStatus) {
        if status.is_success() {
            return;
        }
        let known = self.list.len();
        for number in numbers {
            let before = self.list.get(..known).unwrap_or_default();
            if before.binary_search_by_key(&number, |(it, _)| *it).is_err() {
                self.list.push((number, status.clone()));
            }
        }
        self.list.sort_unstable_by_key(|(number, _)| *number);
    }

    fn status(self, count: usize) -> TSStatus {
        if self.list.is_empty() {
            return success();
        }
        let mut failed = self.list.into_iter().peekable();
        of_several((0..count).map(|number| {
            failed.next_if(|(it, _)| *it == number).map_or_else(success, |(_, status)| status)
        }))
    }
}

/// How many of the first tablets make one request, and the number of the one behind them.
fn batch_of_tablets<'a>(
    tablets: impl Iterator<Item = (usize, TabletOf<'a>)>,
) -> (usize, Option<usize>) {
    let (mut bytes, mut nodes) = (BATCH_BYTES, 0);
    for (number, tablet) in tablets {
        bytes += measured(|out| put_tablet(&tablet, out));
        if nodes > 0 && check_size(bytes).is_err() {
            return (nodes, Some(number));
        }
        nodes += 1;
    }
    (nodes, None)
}

/// Puts a tablet that was checked.
fn put_tablet(tablet: &TabletOf<'_>, out: &mut Writer<'_>) {
    if let Ok(end) = tablet.check() {
        tablet.put_node(end, out);
    }
}

/// How many of the first parts make one request.
fn batch_of<T>(parts: &[Part<T>]) -> usize {
    let mut bytes = BATCH_BYTES;
    let mut fits = |part: &Part<T>| {
        let is_first = bytes == BATCH_BYTES;
        bytes += if part.status.is_none() { part.bytes } else { 0 };
        is_first || check_size(bytes).is_ok()
    };
    parts.iter().take_while(|part| fits(part)).count()
}

/// Whether an encoded tablet takes little however well it was compressed: no text, and few values.
fn is_small(tablet: &TabletOf<'_>) -> bool {
    const WIDEST: usize = size_of::<i64>();
    let rows = usize::try_from(tablet.rows).unwrap_or(usize::MAX);
    let values = rows.saturating_mul(tablet.types.len().saturating_add(1));
    let wire = tablet.values.len() + tablet.times.len();
    let has_text = tablet.types.iter().any(|code| code == 5 || code > 9);
    !has_text && values.saturating_mul(WIDEST).saturating_add(wire) <= SESSION_SMALL_BYTES / 2
}

/// Clients take the status of several for an error if it is 302, so it is that only if one of them failed.
fn of_several(statuses: impl Iterator<Item = TSStatus>) -> TSStatus {
    let within = statuses.map(Box::new).collect::<Vec<_>>();
    if within.iter().all(|status| status.is_success()) {
        return success();
    }
    let retry = within.iter().any(|status| status.need_retry == Some(true));
    TSStatus {
        sub_status: Some(within),
        need_retry: retry.then_some(true),
        ..Code::MULTIPLE_ERROR.status("some of the request failed")
    }
}

const _: () = assert!(SESSION_MADE_BYTES >= REQUEST_MEMORY_BYTES_MAX);
const _: () = assert!(SESSION_MADE_BYTES.is_multiple_of(KIB));
