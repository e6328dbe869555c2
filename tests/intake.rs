//! The gate thread and the spool thread over loopback, with a spool on a real disk.
//!
//! ```text
//!  Peer --- loopback --- Gate --- Stage --- SpoolThread --- Spool<RealDisk> in a directory of its own
//!                                                                  ^
//!                                      what the test looks at -----+
//! ```

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "what fails here fails the test")]

#[path = "intake/captures.rs"]
mod captures;
#[path = "intake/crash.rs"]
mod crash;
#[path = "intake/world.rs"]
#[expect(dead_code, reason = "the tests of sessions use the rest")]
mod world;

use std::io::ErrorKind;
use std::time::Duration;

use penstock::config::Network;
use penstock::data::DataType;
use penstock::limits;
use penstock::ops::board::TroubleKind;
use penstock::ops::clock;
use penstock::spool::{Kind, Settings as SpoolSettings, Start};
use penstock::wire::build::{self, Cell, Row, RowColumn};
use penstock::wire::bytes::Writer;
use penstock::wire::node::NodeType;
use penstock::wire::request::RequestType;
use penstock_test_support::peer::Peer;
use penstock_test_support::{frames, wait};
use world::{World, reset_kind, ts_file};

fn tablet(number: i64) -> Vec<u8> {
    frames::tablet_of("root.sg.d1", 400, number * 1000, number.unsigned_abs())
}

#[test]
fn a_tablet_is_in_the_spool_when_it_is_answered() {
    let world = World::new();
    let mut peer = world.peer("theirs");
    for number in 0..3 {
        assert_eq!(peer.ask(&tablet(number)).unwrap(), 0);
        assert_eq!(world.entries().len(), usize::try_from(number).unwrap() + 1);
    }
    let entries = world.entries();
    // The spool has put its own plan node id behind the body.
    let stored = &entries[0].payload;
    let sent = tablet(0);
    assert_eq!(entries[0].kind, Kind::Tablet);
    let body = sent.len() - 9;
    assert_eq!(stored[..body], sent[..body]);
    assert!(stored[body..].windows(3).any(|window| window == b"P1:"));
    world.stop();
}

/// One request of rows of several devices, each of which is a part of its own.
fn rows_of(devices: usize, rows: usize) -> Vec<u8> {
    let names: Vec<String> = (0..devices).map(|number| format!("root.sg.d{number}")).collect();
    let value = 7_i32.to_be_bytes();
    let columns = [RowColumn {
        name: b"s",
        schema: None,
        category: 0,
        cell: Cell::Value(DataType::Int32, &value),
    }];
    let row = |number: usize| Row {
        time: i64::try_from(number).unwrap(),
        device: names[number % devices].as_bytes(),
        is_aligned: false,
        needs_types: false,
        columns: &columns,
    };
    let rows: Vec<Row<'_>> = (0..rows).map(row).collect();
    let mut payload = Vec::new();
    let mut out = Writer::into_vec(&mut payload, limits::REQUEST_MEMORY_BYTES_MAX);
    build::request(RequestType::TabletInsertNode, &mut out);
    build::rows_node(&rows, NodeType::InsertRows, &mut out);
    build::node_tail(b"1", &mut out);
    out.finish().unwrap();
    payload
}

/// Both hold a large buffer and wait for room, which nobody tells them of but the gate's own turn.
#[test]
fn requests_of_more_parts_than_a_batch_holds_do_not_keep_each_other() {
    let world = World::new();
    let payload = rows_of(7, 10 * limits::STAGE_RECORDS);
    let began = clock::now();
    std::thread::scope(|scope| {
        for name in ["one", "two"] {
            let mut peer = world.peer(name);
            let payload = &payload;
            scope.spawn(move || assert_eq!(peer.ask(payload).unwrap(), 0));
        }
    });
    // At a turn of the gate a batch it would be a minute.
    assert!(began.elapsed() < limits::TURN_PERIOD_MAX * 8, "{:?}", began.elapsed());
    assert_eq!(world.entries().len(), 2 * 10 * limits::STAGE_RECORDS);
    world.stop();
}

#[test]
fn files_arrive_whole_and_flawed_ones_go_to_quarantine() {
    let world = World::new();
    let mut peer = world.peer("theirs");
    let file = ts_file(3 << 20);
    assert_eq!(peer.send_file("a-1-0-0.tsfile", &file, 1 << 20).unwrap(), 0);
    let mods = b"DELETION,root.sg.d1.s1,0,1,2\n";
    let mods_piece = frames::piece(frames::PIECE_WITH_MODS, "b.tsfile.mods", 0, mods);
    assert_eq!(peer.ask(&mods_piece).unwrap(), 0);
    assert_eq!(peer.ask(&frames::piece(frames::PIECE_WITH_MODS, "b.tsfile", 0, &file)).unwrap(), 0);
    let named = [("b.tsfile.mods", mods.len() as u64), ("b.tsfile", file.len() as u64)];
    assert_eq!(peer.ask(&frames::seal_with_mods(&named)).unwrap(), 0);
    let half = &file[..file.len() / 2];
    assert_eq!(peer.send_file("c.tsfile", half, 1 << 20).unwrap(), 0);

    let entries = world.entries();
    assert_eq!(entries.len(), 2);
    assert!(entries[0].files == [("a-1-0-0.tsfile".to_owned(), file.clone())]);
    let both = [("b.tsfile.mods".to_owned(), mods.to_vec()), ("b.tsfile".to_owned(), file.clone())];
    assert!(entries[1].files == both);
    assert_eq!(world.stats().quarantine_things, 1);
    assert_eq!(world.stats().partials, 0);
    world.stop();
}

#[test]
fn a_repetition_whose_answer_was_lost_is_taken_once() {
    let world = World::new();
    let mut first = world.peer("theirs");
    first.send(&frames::frame(&tablet(1))).unwrap();
    world.wait_for(|stats| stats.appended_entries == 1);
    drop(first);
    let mut again = world.peer("theirs");
    assert_eq!(again.ask(&tablet(1)).unwrap(), 0);
    assert_eq!(world.entries().len(), 1);
    // Once its answer was seen, the same again is another write.
    assert_eq!(again.ask(&tablet(1)).unwrap(), 0);
    assert_eq!(world.entries().len(), 2);

    let file = ts_file(100_000);
    let mut first = world.peer("theirs");
    assert_eq!(first.ask(&frames::piece(frames::PIECE, "a.tsfile", 0, &file)).unwrap(), 0);
    first.send(&frames::frame(&frames::seal("a.tsfile", file.len() as u64))).unwrap();
    world.wait_for(|stats| stats.appended_entries == 3);
    drop(first);
    let mut again = world.peer("theirs");
    assert_eq!(again.send_file("a.tsfile", &file, 30_000).unwrap(), 0);
    assert_eq!(world.entries().len(), 3);
    world.wait_for(|stats| stats.partials == 0);
    world.stop();
}

#[test]
fn what_another_node_took_in_first_keeps_its_identity_and_is_taken_once() {
    let world = World::new();
    let origin = "00112233445566778899aabbccddeeff";
    let name = format!("P1-{origin}-00000000000000000042-a.tsfile");
    let file = ts_file(10_000);
    for cluster in ["theirs", "theirs", "another"] {
        let mut peer = world.peer(cluster);
        assert_eq!(peer.send_file(&name, &file, 4096).unwrap(), 0);
        // Confirmed or not.
        assert_eq!(peer.ask(&frames::payload(13, &[0; 12])).unwrap(), 0);
    }
    let entries = world.entries();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].identity, format!("P1:{origin}:00000000000000000042"));
    assert!(entries[0].files == [("a.tsfile".to_owned(), file)]);
    world.stop();
}

#[test]
fn a_connection_goes_on_after_an_entry_that_is_refused_as_a_clones() {
    let world = World::new();
    let ours = world.spool.call_blocking(|spool| spool.origin()).unwrap();
    let mut peer = world.peer("theirs");
    let mut cloned = tablet(1);
    // Its plan node id and its child count make way for an identity that we never gave.
    cloned.truncate(cloned.len() - 9);
    let id = format!("P1:{}:00000000000000000999", ours.text().as_str());
    cloned.extend(u32::try_from(id.len()).unwrap().to_be_bytes());
    cloned.extend(id.as_bytes());
    cloned.extend([0; 4]);
    assert_eq!(peer.ask(&cloned).unwrap(), 0xff);
    // All of these go on in files: nothing of them is a new request in memory.
    let file = ts_file(100_000);
    assert_eq!(peer.send_file("a.tsfile", &file, 30_000).unwrap(), 0);
    assert_eq!(peer.ask(&frames::tablet_of("root.sg.d1", 3 << 20, 0, 1)).unwrap(), 0);
    assert!(world.entries()[0].files == [("a.tsfile".to_owned(), file)]);
    assert!(world.entries().len() > 2);
    world.stop();
}

#[test]
fn a_large_request_goes_over_disk_and_is_cut_into_entries() {
    let world = World::new();
    let mut peer = world.peer("theirs");
    let large = frames::tablet_of("root.sg.d1", 10 << 20, 0, 1);
    assert_eq!(peer.ask(&large).unwrap(), 0);
    let entries = world.entries();
    assert!(entries.len() >= 10, "{} entries", entries.len());
    assert!(entries.iter().all(|entry| entry.payload.len() <= limits::ENTRY_BYTES_MAX));
    world.wait_for(|stats| stats.partials == 0);
    // Its repetition on another connection leaves nothing.
    let mut again = world.peer("theirs");
    assert_eq!(again.ask(&large).unwrap(), 0);
    assert_eq!(world.entries().len(), entries.len());
    world.stop();
}

#[test]
fn sixteen_connections_are_served_at_once() {
    let world = World::new();
    std::thread::scope(|scope| {
        for number in 0..16_i64 {
            let mut peer = world.peer(&format!("cluster-{number}"));
            scope.spawn(move || {
                let device = format!("root.sg.d{number}");
                let tablet = |round: i64| frames::tablet_of(&device, 4096, round * 1000, 1);
                assert!((0..20).all(|round| peer.ask(&tablet(round)).unwrap() == 0));
                let file = ts_file(1 << 20);
                let name = format!("{number}.tsfile");
                assert_eq!(peer.send_file(&name, &file, 256 << 10).unwrap(), 0);
            });
        }
    });
    assert_eq!(world.entries().len(), 16 * 21);
    let stats = world.stats();
    assert!(stats.syncs < stats.appended_entries, "{} syncs", stats.syncs);
    world.stop();
}

#[test]
fn two_stock_peers_are_served_while_forty_strangers_sit_in_the_table() {
    let world = World::new();
    let strangers: Vec<_> = (0..40)
        .map(|number| {
            let mut stranger = Peer::connect(world.address).unwrap();
            // Some say nothing, some half a header, some half a handshake.
            let hello = frames::frame(&frames::handshake("stranger", "ms"));
            stranger.send(&hello[..[0, 9, 40][number % 3]]).unwrap();
            stranger
        })
        .collect();
    let mut peers: Vec<_> = (0..21).map(|_| world.peer("theirs")).collect();
    for round in 0..3 {
        for (number, peer) in (0..).zip(&mut peers) {
            assert_eq!(peer.ask(&tablet(round * 100 + number)).unwrap(), 0);
        }
    }
    assert_eq!(world.entries().len(), 63);
    drop(strangers);
    world.stop();
}

#[test]
fn a_full_table_makes_way_for_newcomers_and_never_for_a_reason_of_address() {
    let world = World::with(|settings| settings.gate.max_connections = 4);
    let silent = Peer::connect(world.address).unwrap();
    world.wait_for_connections(1);
    let mut peers: Vec<_> = (0..3).map(|_| world.peer("theirs")).collect();
    // The silent one makes way, then the one that spoke first.
    let mut fourth = world.peer("theirs");
    let mut silent = silent;
    assert!(matches!(silent.answer().unwrap_err().kind(), ErrorKind::ConnectionReset));
    for (number, peer) in (0..).zip(&mut peers) {
        assert_eq!(peer.ask(&tablet(number)).unwrap(), 0);
    }
    assert_eq!(fourth.ask(&tablet(9)).unwrap(), 0);
    world.stop();
}

#[test]
fn wrong_frames_are_reset_and_others_go_on() {
    let world = World::new();
    let mut witness = world.peer("witness");
    let good = frames::frame(&tablet(1));
    let changed = |at: usize| {
        let mut frame = good.clone();
        frame[at] ^= 0x10;
        frame
    };
    let with_length = |length: u32| {
        let mut frame = good.clone();
        frame[..4].copy_from_slice(&length.to_be_bytes());
        frame[4..8].copy_from_slice(&length.to_be_bytes());
        frame
    };
    let wrong = [
        changed(0),
        changed(5),
        changed(9),
        changed(14),
        changed(50),
        with_length(0x7fff_ffff),
        with_length(2),
        with_length(0),
        frames::frame(&frames::piece(frames::PIECE, "a.tsfile", 7, b"x")),
        frames::frame(&frames::seal("a.tsfile", 7)),
    ];
    for (number, bytes) in (0..).zip(&wrong) {
        let mut peer = world.peer("theirs");
        peer.send(bytes).unwrap();
        assert_eq!(reset_kind(&mut peer), ErrorKind::ConnectionReset, "frame {number}");
        assert_eq!(witness.ask(&tablet(100 + number)).unwrap(), 0);
    }
    let mut stranger = Peer::connect(world.address).unwrap();
    stranger.send(&good).unwrap();
    assert_eq!(reset_kind(&mut stranger), ErrorKind::ConnectionReset);
    assert_eq!(world.entries().len(), wrong.len());
    assert_eq!(world.stats().quarantine_things, 0);
    world.stop();
}

#[test]
fn every_prefix_of_a_frame_leaves_nothing_behind() {
    let world = World::new();
    let frame = frames::frame(&frames::piece(frames::PIECE, "a.tsfile", 0, &[1; 3000]));
    for cut in [1, 8, 16, 17, 30, 500, 1100, frame.len() - 1] {
        let mut peer = world.peer("theirs");
        peer.send(&frame[..cut]).unwrap();
        drop(peer);
    }
    world.wait_for_connections(0);
    world.wait_for(|stats| stats.partials == 0);
    assert_eq!(world.entries().len(), 0);
    world.stop();
}

#[test]
fn an_unknown_request_is_refused_after_a_second_and_nothing_is_lost() {
    let world = World::new();
    let mut peer = world.peer("theirs");
    let begun = penstock_test_support::clock::now();
    assert_eq!(peer.ask(&frames::payload(99, b"what is this")).unwrap(), 0xff);
    assert!(begun.elapsed() >= limits::REFUSAL_DELAY);
    assert_eq!(peer.ask(&tablet(1)).unwrap(), 0);
    assert_eq!(peer.ask(&frames::payload(frames::TABLET, b"no node")).unwrap(), 0);
    assert_eq!(world.stats().quarantine_things, 1);
    world.stop();
}

#[test]
fn a_full_spool_holds_answers_until_a_consumer_has_gone_on() {
    let world = World::with(|settings| settings.spool = small_spool());
    let consumer =
        world.spool.call_blocking(|spool| spool.create_consumer("pipe", Start::Oldest).unwrap());
    let consumer = consumer.unwrap();
    let mut peer = world.peer("theirs");
    peer.socket().set_read_timeout(Some(Duration::from_millis(700))).unwrap();
    let mut taken = 0;
    let held = loop {
        let tablet = frames::tablet_of("root.sg.d1", 200 << 10, taken * 100_000, 1);
        match peer.ask(&tablet) {
            Ok(answer) => assert_eq!(answer, 0),
            Err(error) => break error.kind(),
        }
        taken += 1;
        assert!(taken < 100);
    };
    assert!(matches!(held, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{held:?}");
    let synced = *world.spool.synced().borrow();
    let cursor = penstock::spool::Cursor { position: synced, ..Default::default() };
    world.spool.advance(consumer, &cursor);
    peer.socket().set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    assert_eq!(peer.answer().unwrap(), 0);
    world.stop();
}

#[test]
fn closed_peers_make_way_though_their_answers_are_held() {
    let world = World::with(|settings| {
        settings.spool = small_spool();
        settings.gate.max_connections = 4;
    });
    let large = |number: i64| frames::tablet_of("root.sg.d1", 200 << 10, number * 100_000, 1);
    let mut waiting = world.peer("waits");
    waiting.socket().set_read_timeout(Some(Duration::from_millis(700))).unwrap();
    let held = (0..100).find_map(|number| waiting.ask(&large(number)).err()).unwrap();
    assert!(matches!(held.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{held:?}");
    for number in 0..20 {
        // It gives up at once, as a peer does that was told to stop.
        world.peer("gives up").send(&frames::frame(&large(number))).unwrap();
    }
    waiting.socket().set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let held = waiting.answer().unwrap_err().kind();
    assert!(matches!(held, ErrorKind::WouldBlock | ErrorKind::TimedOut), "it is kept: {held:?}");
    world.stop();
}

#[test]
fn an_answer_is_held_no_longer_than_allowed() {
    let world = World::with(|settings| {
        settings.spool = small_spool();
        settings.gate.policy.hold_max = Duration::from_secs(1);
    });
    let mut peer = world.peer("theirs");
    let tablet = |number: i64| frames::tablet_of("root.sg.d1", 200 << 10, number * 100_000, 1);
    let held = (0..100).find_map(|number| peer.ask(&tablet(number)).err()).unwrap();
    assert_eq!(held.kind(), ErrorKind::ConnectionReset);
    world.wait_for_connections(0);
    // Others may still come and be heard.
    let mut other = world.peer("theirs");
    other.send(&frames::frame(&tablet(0))).unwrap();
    assert_eq!(reset_kind(&mut other), ErrorKind::ConnectionReset);
    world.stop();
}

#[test]
fn a_full_spool_is_full_until_what_was_needed_is_free_though_nobody_waits_for_it() {
    let world = World::with(|settings| {
        settings.spool = small_spool();
        settings.gate.policy.hold_max = Duration::from_secs(1);
    });
    let consumer =
        world.spool.call_blocking(|spool| spool.create_consumer("pipe", Start::Oldest).unwrap());
    let consumer = consumer.unwrap();
    let tablet = |number: i64| frames::tablet_of("root.sg.d1", 200 << 10, number * 100_000, 1);
    let mut peer = world.peer("theirs");
    let held = (0..100).find_map(|number| peer.ask(&tablet(number)).err()).unwrap();
    assert_eq!(held.kind(), ErrorKind::ConnectionReset);
    world.wait_for_connections(0);
    let is_full = || world.board.troubles.has(TroubleKind::SpoolFull, "");
    let turn = || {
        for _ in 0..3 {
            let _turned = world.spool.call_blocking(|_| ());
        }
    };
    turn();
    assert!(is_full(), "what did not fit would not fit now");
    for _ in 0..2 {
        let mut other = world.peer("theirs");
        other.send(&frames::frame(&tablet(0))).unwrap();
        assert_eq!(reset_kind(&mut other), ErrorKind::ConnectionReset);
        turn();
        assert!(is_full());
    }
    let synced = *world.spool.synced().borrow();
    let cursor = penstock::spool::Cursor { position: synced, ..Default::default() };
    world.spool.advance(consumer, &cursor);
    wait::until("room", Duration::from_secs(20), || !is_full()).unwrap();
    assert_eq!(world.peer("theirs").ask(&tablet(1)).unwrap(), 0);
    world.stop();
}

#[test]
fn a_file_that_is_larger_than_the_spool_is_given_up_and_said_so() {
    let world = World::with(|settings| settings.spool = small_spool());
    let mut peer = world.peer("theirs");
    let bytes = vec![7; 1 << 20];
    let piece = |start: u64| frames::piece(frames::PIECE, "a.tsfile", start << 20, &bytes);
    let given_up = (0..10).find_map(|start| peer.ask(&piece(start)).err()).unwrap();
    assert_eq!(given_up.kind(), ErrorKind::ConnectionReset);
    let troubles = world.board.troubles.all();
    assert!(troubles.iter().any(|trouble| trouble.kind == TroubleKind::FileTooLarge));
    // Its bytes are free again.
    world.wait_for(|stats| stats.partials == 0);
    let mut other = world.peer("theirs");
    assert_eq!(other.ask(&tablet(1)).unwrap(), 0);
    world.stop();
}

#[test]
fn a_stop_answers_what_is_whole_and_resets_the_rest() {
    let world = World::new();
    let mut idle = world.peer("theirs");
    let mut half = world.peer("theirs");
    half.send(&frames::frame(&tablet(1))[..100]).unwrap();
    let mut whole = world.peer("theirs");
    assert_eq!(whole.ask(&tablet(2)).unwrap(), 0);
    whole.send(&frames::frame(&tablet(3))).unwrap();
    world.wait_for(|stats| stats.appended_entries >= 2);
    let begun = penstock_test_support::clock::now();
    world.stop();
    assert!(begun.elapsed() < Duration::from_secs(4));
    assert_eq!(whole.answer().unwrap(), 0);
    assert_eq!(reset_kind(&mut whole), ErrorKind::ConnectionReset);
    assert_eq!(reset_kind(&mut half), ErrorKind::ConnectionReset);
    assert_eq!(reset_kind(&mut idle), ErrorKind::ConnectionReset);
}

#[test]
fn only_allowed_addresses_are_served() {
    let elsewhere: Network = serde_json::from_str("\"10.0.0.0/8\"").unwrap();
    let world = World::with(|settings| settings.gate.allow = vec![elsewhere]);
    // The reset may come before the connection is set up here.
    if let Ok(mut peer) = Peer::connect(world.address) {
        assert_eq!(reset_kind(&mut peer), ErrorKind::ConnectionReset);
    }
    world.stop();
}

fn small_spool() -> SpoolSettings {
    SpoolSettings {
        segment_bytes: 1 << 20,
        max_bytes: 4 << 20,
        reserve_bytes: 0,
        ..SpoolSettings::default()
    }
}

/// What a peer sends of its entry with this number.
fn named(payload: &[u8], origin: &str, sequence: u64) -> Vec<u8> {
    [payload, format!("P1:{origin}:{sequence:020}").as_bytes()].concat()
}

#[test]
fn requests_without_a_plan_node_id_are_told_by_their_trailers() {
    const THEIRS: &str = "000102030405060708090a0b0c0d0e0f";
    let world = World::new();
    let mut peer = world.peer("theirs");
    let plan = frames::payload(200, b"\0\x2cany plan");
    let row = frames::untyped_row("root.sg.d1", 5, "7");
    let large = frames::payload(100, &[&[0, 19][..], &vec![7; 2 << 20]].concat());
    let requests = [plan, row, large];
    for _ in 0..2 {
        for (number, request) in (1..).zip(&requests) {
            assert_eq!(peer.ask(&named(request, THEIRS, number)).unwrap(), 0);
        }
    }
    let snapshot = frames::piece(201, "cluster_schema.bin", 0, b"schema");
    let list = b"\0\0\0\x01\0\0\0\x12cluster_schema.bin\0\0\0\x01\0\0\0\0\0\0\0\x06\0\0\0\0";
    for _ in 0..2 {
        assert_eq!(peer.ask(&snapshot).unwrap(), 0);
        assert_eq!(peer.ask(&named(&frames::payload(202, list), THEIRS, 4)).unwrap(), 0);
    }
    let entries = world.entries();
    let identities: Vec<_> = entries.iter().map(|entry| entry.identity.clone()).collect();
    assert_eq!(identities, [1, 2, 3, 4].map(|number| format!("P1:{THEIRS}:{number:020}")));
    assert_eq!((&entries[0].payload, &entries[1].payload), (&requests[0], &requests[1]));
    assert!(entries[2].files[0].1 == requests[2]);
    assert_eq!(entries[3].files, [("cluster_schema.bin".to_owned(), b"schema".to_vec())]);
    // A stock peer's request gets this node's identity, and ends here when it comes back.
    assert_eq!(peer.ask(&requests[0]).unwrap(), 0);
    let own = world.entries()[4].identity.clone();
    assert_eq!(peer.ask(&[requests[0].as_slice(), own.as_bytes()].concat()).unwrap(), 0);
    assert_eq!(world.entries().len(), 5);
    let stats = world.stats();
    assert_eq!((stats.duplicates, stats.reused_entries, stats.quarantine_things), (5, 0, 0));
    assert!(world.board.troubles.all().is_empty());
    world.stop();
}
