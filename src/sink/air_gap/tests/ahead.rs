//! Tablets that go before the answers to earlier ones.

use std::collections::{BTreeMap, BTreeSet};

use super::calls::{END, OK_STATUS, SILENCE, Service, THRIFT};
use super::*;

/// A request each, over so many connections.
const fn several(connections: usize) -> AheadPlan {
    AheadPlan { connections, batch: None }
}

/// Requests of so many bytes, over one connection.
const fn batches(bytes: usize, max_delay: Option<Duration>) -> AheadPlan {
    AheadPlan { connections: 1, batch: Some(Batching { max_delay, bytes }) }
}

fn ahead(plan: AheadPlan) -> impl FnOnce(&mut AirGapSettings) {
    move |settings| {
        settings.envelope = THRIFT;
        settings.ahead = Some(plan);
    }
}

/// Tablets `range` of five devices that take turns.
fn put(shelves: &Shelves, range: std::ops::Range<u32>) {
    for number in range {
        shelves.put_tablet(number % 5 + 1, &format!("<d{} n{number:04}>", number % 5 + 1));
    }
}

/// The tablets of a call, by their texts: device and number.
fn tablets_of(call: &Seen) -> Vec<(u32, u32)> {
    let text = String::from_utf8_lossy(&call.payload);
    let parts = text.split('<').skip(1);
    let tablets = parts.map(|part| {
        let (device, rest) = part.strip_prefix('d').unwrap().split_once(" n").unwrap();
        let (number, _) = rest.split_once('>').unwrap();
        (device.parse().unwrap(), number.parse().unwrap())
    });
    tablets.collect()
}

/// The numbers of each device, in the order in which they came.
fn by_device(calls: &[Seen]) -> BTreeMap<u32, Vec<u32>> {
    let mut by_device = BTreeMap::<u32, Vec<u32>>::new();
    for (device, number) in calls.iter().flat_map(tablets_of) {
        by_device.entry(device).or_default().push(number);
    }
    by_device
}

fn all(count: u64) -> Vec<u64> {
    (1..=count).collect()
}

#[tokio::test]
async fn a_device_keeps_its_order_over_several_connections() {
    let far = Service::new(|_, _, _| OK_STATUS).await;
    let shelves = Shelves::default();
    put(&shelves, 0..200);
    let running = Running::new(&[far.port], &shelves, ahead(several(4)));
    running.until_advanced(&all(200)).await;
    put(&shelves, 200..220);
    running.until_advanced(&all(220)).await;
    let by_device = by_device(&far.calls());
    for (device, numbers) in &by_device {
        let expected: Vec<u32> = (0..220).filter(|number| number % 5 + 1 == *device).collect();
        assert_eq!(*numbers, expected);
    }
    let connections: BTreeSet<usize> = far.codes().iter().map(|(one, _)| *one).collect();
    assert_eq!((by_device.len(), connections.len()), (5, 5), "one of them goes the ordinary way");
    assert!(far.codes().iter().all(|(_, code)| [51, 2].contains(code)));
    assert_eq!(running.row.sent_frames.get(), 220);
    assert!(running.stop().await < SECOND * 3);
}

#[tokio::test]
async fn connections_go_to_different_nodes_and_past_one_that_is_away() {
    let nodes = [Service::new(|_, _, _| OK_STATUS).await, Service::new(|_, _, _| OK_STATUS).await];
    let nobody = penstock_test_support::ports::Port::take().unwrap();
    let shelves = Shelves::default();
    let ports = [nodes[0].port, nobody.address().port(), nodes[1].port];
    let running = Running::new(&ports, &shelves, ahead(several(3)));
    put(&shelves, 0..50);
    running.until_advanced(&all(50)).await;
    assert!(nodes.iter().all(|node| node.calls().len() > 10), "both take their part");
    assert_eq!(running.row.retries.get(), 0);
}

#[tokio::test]
async fn several_tablets_are_one_request_of_nodes() {
    let far = Service::new(|_, _, _| OK_STATUS).await;
    let shelves = Shelves::default();
    put(&shelves, 0..100);
    let plan = batches(2000, Some(Duration::from_millis(20)));
    let running = Running::new(&[far.port], &shelves, ahead(plan));
    running.until_advanced(&all(100)).await;
    let calls = far.calls();
    let numbers: Vec<u32> = calls.iter().flat_map(tablets_of).map(|(_, number)| number).collect();
    assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    let batches: Vec<&Seen> = calls.iter().filter(|call| call.code() == 6).collect();
    assert!((4..12).contains(&batches.len()), "{} requests", batches.len());
    for batch in batches {
        let count = u32::try_from(tablets_of(batch).len()).unwrap();
        assert_eq!(batch.payload[..7], [1, 0, 6, 0, 0, 0, 0]);
        assert_eq!(batch.payload[7..11], count.to_be_bytes());
        assert_eq!(batch.payload[11..13], [0, 13], "a node without version and type");
        assert_eq!(batch.payload[batch.payload.len() - 8..], [0; 8], "no children, and no tablets");
        assert!(batch.payload.len() <= 2000);
        // Each but the first three bytes of its payload.
        assert_eq!(batch.payload.len(), 11 + tablets_of(batch).len() * (2 + 10 + 56 + 4) + 4);
    }
}

#[tokio::test]
async fn a_lone_tablet_leaves_when_it_has_waited() {
    const DELAY: Duration = Duration::from_millis(300);
    let far = Service::new(|_, _, _| OK_STATUS).await;
    let shelves = Shelves::default();
    put(&shelves, 0..1);
    let running = Running::new(&[far.port], &shelves, ahead(batches(2000, Some(DELAY))));
    running.until_advanced(&[1]).await;
    let start = clock::now();
    put(&shelves, 1..2);
    running.until_advanced(&[1, 2]).await;
    let waited = clock::now() - start;
    assert!(waited >= DELAY && waited < DELAY * 5, "{waited:?}");
    assert_eq!(far.codes().last().unwrap().1, 6);
}

#[tokio::test]
async fn of_a_refused_request_only_what_is_refused_alone_is_put_aside() {
    let is_culprit = |call: &Seen| tablets_of(call).iter().any(|(_, number)| *number == 33);
    let far = Service::new(
        move |_, _, call| {
            if is_culprit(call) { (1810, "another type") } else { OK_STATUS }
        },
    )
    .await;
    let shelves = Shelves::default();
    put(&shelves, 0..60);
    let running = Running::new(&[far.port], &shelves, |settings| {
        ahead(batches(2000, Some(Duration::ZERO)))(settings);
        settings.give_up_after = Some(Duration::ZERO);
    });
    running.until_advanced(&all(60)).await;
    let put_aside = shelves.shelf.lock().unwrap().put_aside.clone();
    assert_eq!(put_aside.iter().map(|(entry, _)| *entry).collect::<Vec<_>>(), [34]);
    assert!(far.codes().iter().filter(|(_, code)| *code == 6).count() >= 3);
}

#[tokio::test]
async fn what_ends_a_connection_loses_nothing() {
    // Each ends at its tenth call, without an answer, as the node goes down and comes again.
    let far = Service::new(|_, count, _| if count == 10 { END } else { OK_STATUS }).await;
    let shelves = Shelves::default();
    put(&shelves, 0..150);
    let running = Running::new(&[far.port], &shelves, ahead(several(3)));
    running.until_advanced(&all(150)).await;
    for (device, numbers) in by_device(&far.calls()) {
        // The last time that each came: nothing that is newer is overtaken by it.
        let mut last = Vec::new();
        for number in numbers {
            last.retain(|other| *other < number);
            last.push(number);
        }
        let expected: Vec<u32> = (0..150).filter(|number| number % 5 + 1 == device).collect();
        assert_eq!(last, expected);
    }
}

#[tokio::test]
async fn what_is_no_tablet_waits_for_those_before_it_and_those_behind_it_wait() {
    let far = Service::new(|_, _, _| OK_STATUS).await;
    let shelves = Shelves::default();
    put(&shelves, 0..40);
    shelves.put_payload(OTHER);
    put(&shelves, 40..80);
    let running = Running::new(&[far.port], &shelves, ahead(several(4)));
    running.until_advanced(&all(81)).await;
    let calls = far.calls();
    let at = calls.iter().position(|call| call.code() == 100).unwrap();
    let numbers = |calls: &[Seen]| -> BTreeSet<u32> {
        calls.iter().flat_map(tablets_of).map(|(_, number)| number).collect()
    };
    assert_eq!(numbers(&calls[..at]), (0..40).collect());
    assert_eq!(numbers(&calls[at..]), (40..80).collect());
}

#[tokio::test]
async fn nothing_more_is_read_while_no_answer_comes_and_a_stop_takes_all_back() {
    // The first one goes the ordinary way.
    let far = Service::new(|_, _, call| match tablets_of(call).first() {
        Some((_, 1..)) => SILENCE,
        _ => OK_STATUS,
    })
    .await;
    let shelves = Shelves::default();
    put(&shelves, 0..1);
    let running = Running::new(&[far.port], &shelves, ahead(several(2)));
    running.until_advanced(&[1]).await;
    put(&shelves, 1..100);
    running.until(|running| running.shelves.on_way() == 2).await;
    running.until(|_| far.codes().iter().filter(|(_, code)| *code == 2).count() == 3).await;
    assert_eq!(shelves.on_way(), 2);
    assert!(running.stop().await < limits::STOP_GRACE * 2);
    assert_eq!((shelves.on_way(), shelves.advanced()), (0, vec![1]));
}

#[test]
fn progress_is_told_up_to_the_first_tablet_that_is_not_delivered() {
    let bench = spool::Bench::new();
    for _ in 0..4 {
        bench.append(b"\x01\0\x02\0\x0dany tablet");
    }
    let (mut feed, cursor) = bench.feed();
    let mut next = || feed.next_entry().unwrap().unwrap();
    let (first, told) = (next(), || cursor.borrow().position.0);
    assert!(feed.may_go_ahead());
    feed.go_ahead(&first);
    let second = feed.next_entry().unwrap().unwrap();
    feed.go_ahead(&second);
    let third = feed.next_entry().unwrap().unwrap();
    assert_eq!([first, second, third].map(|header| header.sequence.0), [1, 2, 3]);
    // A filter goes past it.
    feed.pass_over(&third);
    feed.tell_passed();
    assert_eq!(told(), 1);
    feed.settle(Some(second.sequence));
    assert_eq!(told(), 2);
    feed.go_back();
    assert_eq!(feed.next_entry().unwrap().unwrap(), second);
    feed.go_ahead(&second);
    feed.settle(None);
    assert_eq!(told(), 3);
    let again = feed.next_entry().unwrap().unwrap();
    feed.advance(&again);
    assert_eq!(told(), 4);
}
