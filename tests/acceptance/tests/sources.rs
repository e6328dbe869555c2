//! Rows about what a pipe takes: paths, times, history and what comes after it, forwarding.

use penstock_acceptance::{SOON, Site, to};
use penstock_test_support::{frames, wait};

/// A pipe `p` with these attributes of its source.
fn create(inner: &Site, outer: &Site, source: &str) {
    inner.done(&format!("create pipe p with source ({source}) {}", to(outer.gate)));
}

/// `DELETE FROM root.<database>.d1.s0`, as 1.3 sends it.
fn deletion(database: &str) -> Vec<u8> {
    let mut body = b"\0\x2c\0\0\0\x01\x02\0\0\0\0\0\0\x04".to_vec();
    for node in ["root", database, "d1", "s0"] {
        body.extend(u32::try_from(node.len()).unwrap_or(0).to_be_bytes());
        body.extend(node.as_bytes());
    }
    body.extend([[0; 8], [0, 0, 0, 0, 0, 0, 0, 9]].concat());
    body.extend(b"\0\0\0\x011\0\0\0\0");
    frames::payload(100, &body)
}

/// Whether entry `sequence` of the far side has these times.
fn has_times(outer: &Site, sequence: u64, first: i64, last: i64) -> bool {
    outer.shown(sequence).contains(&format!("times {first} to {last} ms"))
}

#[test]
fn a_40_history_bounds_are_inclusive() {
    let (inner, outer) = (Site::inner(), Site::outer());
    // Row by row, and a tablet across both bounds.
    for time in [9, 10, 20, 21] {
        inner.take_rows("root.plant.d1", 2, time, 1);
    }
    inner.take_rows("root.plant.d2", 2, 5, 30);
    let next = outer.taken();
    create(&inner, &outer, "'history.start-time'='10','history.end-time'='20'");
    outer.wait_taken(next + 3);
    inner.wait_done("p");
    assert!(has_times(&outer, next, 10, 10) && has_times(&outer, next + 1, 20, 20));
    assert!(has_times(&outer, next + 2, 10, 20), "{}", outer.shown(next + 2));
    // What comes afterwards is no history.
    inner.take_rows("root.plant.d1", 2, 99, 1);
    outer.wait_taken(next + 4);
    inner.wait_done("p");
    assert_eq!(outer.taken(), next + 4);
}

#[test]
fn a_41_a_date_with_dots_is_a_bound() {
    let (inner, outer) = (Site::inner(), Site::outer());
    inner.take_rows("root.plant.d1", 1, 1_692_777_599_999, 2);
    let next = outer.taken();
    create(&inner, &outer, "'history.start-time'='2023.08.23T08:00:00+00:00'");
    outer.wait_taken(next + 1);
    assert!(has_times(&outer, next, 1_692_777_600_000, 1_692_777_600_000));
}

#[test]
fn a_42_without_realtime_only_the_history_is_sent() {
    let (inner, outer) = (Site::inner(), Site::outer());
    inner.take(1);
    let next = outer.taken();
    create(&inner, &outer, "'source.realtime.enable'='false'");
    outer.wait_taken(next + 1);
    inner.take(2);
    inner.wait_done("p");
    assert_eq!(outer.taken(), next + 1);
    assert_eq!(inner.cell("p", "State"), "RUNNING");
}

#[test]
fn a_43_a_49_a_81_history_is_what_arrived_before_create_whatever_its_times() {
    let (inner, outer) = (Site::inner(), Site::outer());
    inner.take(5);
    let next = outer.taken();
    create(&inner, &outer, "'source.history.enable'='false'");
    // Older than what was there, but it comes later.
    inner.take(1);
    outer.wait_taken(next + 1);
    inner.wait_done("p");
    assert_eq!(outer.taken(), next + 1);
    assert!(outer.shown(next).contains("times 1000 to"), "{}", outer.shown(next));
}

#[test]
fn a_48_a_51_a_52_a_80_what_came_by_a_pipe_goes_on_unless_forwarding_is_off() {
    let (inner, outer) = (Site::inner(), Site::outer());
    let next = outer.taken();
    create(&inner, &outer, "'source.forwarding-pipe-requests'='false'");
    inner.take(1);
    inner.wait_done("p");
    assert_eq!(outer.taken(), next, "a stock node sent it by a pipe");
    inner.done(&format!("create pipe q {}", to(outer.gate)));
    outer.wait_taken(next + 1);

    let local = Site::inner_of_theirs();
    create(&local, &outer, "'source.forwarding-pipe-requests'='false'");
    local.take(1);
    outer.wait_taken(next + 2);
}

#[test]
fn a_73_a_prefix_may_end_within_a_node() {
    let (inner, outer) = (Site::inner(), Site::outer());
    for device in ["root.aligned.1TS", "root.aligned.`1`", "root.aligned.2", "root.aligned.100TS"] {
        inner.take_rows(device, 1, 1, 1);
    }
    let next = outer.taken();
    create(&inner, &outer, "'source.pattern'='root.aligned.1'");
    outer.wait_taken(next + 2);
    inner.wait_done("p");
    assert_eq!(outer.taken(), next + 2);
}

#[test]
fn a_73_paths_take_columns_and_exclusions_leave_some_out() {
    let (inner, outer) = (Site::inner(), Site::outer());
    inner.take_rows("root.plant.d1", 6, 1, 10);
    inner.take_rows("root.plant.d2", 6, 1, 10);
    inner.take_rows("root.other.d1", 6, 1, 10);
    let next = outer.taken();
    create(&inner, &outer, "'path'='root.plant.*.s1','path.exclusion'='root.*.d2.**'");
    outer.wait_taken(next + 1);
    inner.wait_done("p");
    assert_eq!(outer.taken(), next + 1);
    // Head, device, one name and type, ten times and doubles, and an identity.
    let bytes = 3 + 2 + 17 + 4 + 1 + 6 + 1 + 4 + 80 + 1 + 80 + 1 + 64;
    assert!(
        outer.shown(next).contains(&format!("payload    {bytes} bytes")),
        "{}",
        outer.shown(next)
    );
}

#[test]
fn a_77_a_78_bounds_of_all_data_hold_for_history_and_what_comes_after() {
    let (inner, outer) = (Site::inner(), Site::outer());
    inner.take_rows("root.plant.d1", 1, 1, 30);
    let next = outer.taken();
    create(&inner, &outer, "'start-time'='10','end-time'='20'");
    outer.wait_taken(next + 1);
    inner.take_rows("root.plant.d1", 1, 15, 30);
    inner.take_rows("root.plant.d1", 1, 21, 30);
    outer.wait_taken(next + 2);
    inner.wait_done("p");
    assert!(has_times(&outer, next, 10, 20) && has_times(&outer, next + 1, 15, 20));
    assert_eq!(outer.taken(), next + 2);
}

#[test]
fn a_snapshot_is_sent_once_and_its_pipe_goes() {
    let (inner, outer) = (Site::inner(), Site::outer());
    inner.take(1);
    let next = outer.taken();
    create(&inner, &outer, "'mode'='snapshot'");
    outer.wait_taken(next + 1);
    let is_gone = || inner.done("show pipes").rows().is_empty();
    wait::until("the pipe to go", SOON, is_gone).unwrap();
    inner.take(2);
    assert_eq!(outer.taken(), next + 1);
}

#[test]
fn what_is_not_taken_is_passed_without_traffic_and_for_good() {
    let (mut inner, outer) = (Site::inner(), Site::outer());
    let next = outer.taken();
    create(&inner, &outer, "'path'='root.nothing.**'");
    for at in 0..20 {
        inner.take(at);
    }
    inner.wait_done("p");
    assert_eq!(inner.node.number("/pipes/0/sent_frames").unwrap(), 0);
    inner.kill_and_restart();
    inner.wait_done("p");
    assert_eq!(outer.taken(), next);
}

#[test]
fn two_pipes_that_part_a_tablet_lose_nothing_at_one_far_side() {
    let (inner, outer) = (Site::inner(), Site::outer());
    let next = outer.taken();
    for (name, path) in [("a", "root.*.*.s0"), ("b", "root.*.*.s1")] {
        inner.done(&format!("create pipe {name} with source ('path'='{path}') {}", to(outer.gate)));
    }
    inner.take_rows("root.plant.d1", 2, 1, 10);
    outer.wait_taken(next + 2);
    let identity = |sequence| {
        let shown = outer.shown(sequence);
        shown.lines().find(|line| line.starts_with("identity")).map(str::to_owned)
    };
    assert_ne!(identity(next), identity(next + 1));
}

#[test]
fn inclusion_tells_deletions_from_data() {
    let (inner, outer) = (Site::inner(), Site::outer());
    let next = outer.taken();
    create(&inner, &outer, "'inclusion'='data.delete','path'='root.plant.**'");
    inner.take_rows("root.plant.d1", 1, 1, 1);
    // `DELETE FROM root.plant.d1.s0` and the same of root.other, as 1.3 sends it.
    for database in ["plant", "other"] {
        inner.take_payload("theirs", &deletion(database));
    }
    outer.wait_taken(next + 1);
    inner.wait_done("p");
    assert_eq!(outer.taken(), next + 1);
    assert!(outer.shown(next).contains("type 100"), "{}", outer.shown(next));
}

/// A tablet, a file, a deletion, a schema plan, and a row whose type is not known.
fn take_one_of_each(site: &Site) {
    site.take(1);
    site.take_file_as_peer();
    site.take_payload("theirs", &deletion("plant"));
    site.take_payload("theirs", &frames::payload(200, b"\0\x2cany plan"));
    site.take_payload("theirs", &frames::untyped_row("root.plant.d2", 5, "7"));
}

#[test]
fn a_48_nodes_that_send_to_each_other_have_everything_once_and_come_to_rest() {
    const KINDS: u64 = 5;
    let sites = [Site::outer(), Site::outer()];
    let next = sites.each_ref().map(Site::taken);
    for (site, far) in [(&sites[0], &sites[1]), (&sites[1], &sites[0])] {
        site.done(&format!("create pipe p {}", to(far.gate)));
    }
    sites.iter().for_each(take_one_of_each);
    for (site, next) in sites.iter().zip(next) {
        site.wait_taken(next + 2 * KINDS);
    }
    // What has come from the other one goes back, and ends there.
    for (site, next) in sites.iter().zip(next).chain(sites.iter().zip(next)) {
        site.wait_done("p");
        assert_eq!(site.taken(), next + 2 * KINDS);
        assert!(site.troubles().is_empty(), "{:?}", site.troubles());
    }
}
