//! Originals that cannot go, and files that cannot leave.

use super::*;

/// Releases what is in the spool.
fn release_all(machine: &Machine) {
    let mut world = machine.world();
    let spool = world.spool.as_mut().expect("open");
    spool.release_unclaimed().expect("released");
    let stats = spool.stats();
    assert_eq!(stats.first_sequence, stats.next_sequence, "nothing is left");
}

fn last_sequence(machine: &Machine) -> u64 {
    machine.world().spool.as_ref().expect("open").next_sequence().0 - 1
}

#[test]
fn a_copied_file_is_taken_once_though_its_entry_was_released_before_the_archive_took_it() {
    let machine = Machine::new();
    machine.world().archive = Some(io::ErrorKind::PermissionDenied);
    machine.write("a.tsfile", TS_FILE_BYTES);
    let steps = lived(&machine, true, 5);
    assert!(steps.iter().all(|step| matches!(step, Step::Blocked { .. })), "{steps:?}");
    assert!(!steps.is_empty());
    release_all(&machine);
    machine.world().archive = None;
    let steps = lived(&machine, true, 100);
    assert!(matches!(&steps[..], [Step::Taken { sequence: Sequence(1), .. }]), "{steps:?}");
    assert_eq!(machine.names("archive"), ["a.tsfile"]);
    assert_eq!(machine.names("inbox"), [""; 0]);
    assert_eq!(last_sequence(&machine), 1, "it was not taken again");
    assert!(!machine.names("data").contains(&"inbox.taking".to_owned()));
}

#[test]
fn an_archive_on_another_file_system_that_is_full_is_left_clean_and_asked_less_and_less() {
    let machine = Machine::new();
    machine.world().archive = Some(io::ErrorKind::CrossesDevices);
    let partial = machine.path("archive/.penstock.partial");
    machine.write("a.tsfile", TS_FILE_BYTES);
    let mut inbox = machine.open(true).expect("opens");
    let mut now = Instant::now();
    let mut attempts = 0;
    let (start, mut steps) = (now, Vec::new());
    while now < start + Duration::from_secs(600) {
        if !partial.is_symlink() {
            std::os::unix::fs::symlink("/dev/full", &partial).expect("made");
        }
        let more = run(&mut inbox, &mut now, 0);
        attempts += more.len();
        steps.extend(more);
        if !partial.is_symlink() {
            assert_eq!(machine.names("archive"), [""; 0], "what was begun is removed");
        }
        now += Duration::from_millis(500);
    }
    assert!(steps.iter().all(|step| matches!(step, Step::Blocked { .. })), "{steps:?}");
    assert!((10..=20).contains(&attempts), "{attempts} in ten minutes");
    fs::remove_file(&partial).expect("removed");
    let steps = run(&mut inbox, &mut now, 100);
    assert!(matches!(&steps[..], [Step::Taken { .. }]), "{steps:?}");
    assert_eq!(machine.names("archive"), ["a.tsfile"]);
    assert_eq!(fs::read(machine.path("archive/a.tsfile")).expect("there"), TS_FILE_BYTES);
    assert_eq!(machine.names("inbox"), [""; 0]);
}

#[test]
fn a_large_file_goes_to_an_archive_of_another_file_system_in_steps() {
    let machine = Machine::new();
    machine.world().archive = Some(io::ErrorKind::CrossesDevices);
    let mut mods = vec![7; 28 << 20];
    mods[27 << 20] = 8;
    machine.write("a.tsfile.mods", &mods);
    machine.write("a.tsfile", TS_FILE_BYTES);
    let mut inbox = machine.open(true).expect("opens");
    let (mut now, mut steps) = (Instant::now(), 0);
    while !matches!(inbox.step(now), Step::Taken { .. }) {
        now += Duration::from_millis(100);
        steps += usize::from(machine.names("archive").contains(&".penstock.partial".to_owned()));
    }
    assert!(steps >= 3, "{steps} steps with a part of it there");
    assert_eq!(machine.names("archive"), ["a.tsfile", "a.tsfile.mods"]);
    assert!(fs::read(machine.path("archive/a.tsfile.mods")).expect("there") == mods);
}

#[test]
fn a_flawed_file_without_room_in_quarantine_stays_and_the_others_go_on() {
    let machine = Machine::new();
    machine.world().quarantine_bytes = Some(1000);
    machine.put("bad.tsfile", &[b'x'; 2000]);
    let mut inbox = machine.open(false).expect("opens");
    let mut now = Instant::now();
    run(&mut inbox, &mut now, 61);
    machine.put("good.tsfile", TS_FILE_BYTES);
    let mut left = 0;
    for step in run(&mut inbox, &mut now, 600) {
        if let Step::Left { name, full, .. } = step {
            assert_eq!((name.as_str(), full.limit), ("bad.tsfile", 1000));
            left += 1;
        } else {
            assert!(matches!(step, Step::Taken { .. }), "{step:?}");
        }
    }
    assert!((1..=20).contains(&left), "{left} times in ten minutes");
    assert_eq!(machine.entries(), [["good.tsfile"]]);
    assert_eq!(machine.names("inbox"), ["bad.tsfile"]);
    assert_eq!((machine.quarantine().len(), machine.adopted()), (0, 0));
}

#[test]
fn an_adopted_file_that_cannot_be_read_is_stepped_over_and_taken_later() {
    let machine = Machine::new();
    for name in ["evil.tsfile", "other.tsfile"] {
        machine.put(name, TS_FILE_BYTES);
        machine.start();
        let path = machine.path("inbox").join(name);
        machine.world().spool.as_mut().expect("open").adopt(&path).expect("adopted");
    }
    machine.put("new.tsfile", TS_FILE_BYTES);
    machine.world().unreadable = Some("evil.tsfile");
    let mut inbox = machine.open(false).expect("opens");
    let mut now = Instant::now();
    let steps = run(&mut inbox, &mut now, 3);
    let is_evil =
        |step: &&Step| matches!(step, Step::Unreadable { name, .. } if name == "evil.tsfile");
    assert_eq!((steps.iter().filter(is_evil).count(), steps.len()), (1, 3), "{steps:?}");
    assert_eq!(machine.entries(), [["other.tsfile"], ["new.tsfile"]]);
    assert!(inbox.awaits("evil.tsfile") && !inbox.awaits("other.tsfile"));
    let again = run(&mut inbox, &mut now, 300);
    assert!((4..=6).contains(&again.len()), "{again:?}");
    machine.world().unreadable = None;
    let steps = run(&mut inbox, &mut now, 61);
    assert!(matches!(&steps[..], [Step::Taken { name, .. }] if name == "evil.tsfile"));
    assert!(!inbox.awaits("evil.tsfile"));
}

#[test]
fn a_second_node_is_kept_out_of_the_inbox() {
    let machine = Machine::new();
    let inbox = machine.open(false).expect("opens");
    let store = Fussy { store: SpoolStore::new(machine.clone()), machine: machine.clone() };
    let second = Inbox::open(machine.clone(), store, machine.settings(false));
    assert!(matches!(second, Err(InboxError::Locked { .. })));
    drop(inbox);
    machine.open(false).expect("opens");
}

#[test]
fn an_inbox_that_was_removed_is_made_and_locked_anew() {
    let machine = Machine::new();
    let mut inbox = machine.open(false).expect("opens");
    let mut now = Instant::now();
    run(&mut inbox, &mut now, 3);
    fs::remove_dir_all(machine.path("inbox")).expect("removed");
    run(&mut inbox, &mut now, 3);
    machine.put("a.tsfile", TS_FILE_BYTES);
    run(&mut inbox, &mut now, 3);
    assert_eq!(machine.entries(), [["a.tsfile"]]);
    let other = lock_dir(&machine.disk, &machine.path("inbox"));
    assert_eq!(other.err().map(|error| error.kind()), Some(io::ErrorKind::WouldBlock));
}

#[test]
fn an_inbox_that_another_node_has_taken_meanwhile_is_left_to_it() {
    let machine = Machine::new();
    let mut inbox = machine.open(false).expect("opens");
    let mut now = Instant::now();
    run(&mut inbox, &mut now, 3);
    fs::remove_dir_all(machine.path("inbox")).expect("removed");
    fs::create_dir(machine.path("inbox")).expect("a directory");
    let other = lock_dir(&machine.disk, &machine.path("inbox")).expect("locked");
    machine.put("a.tsfile", TS_FILE_BYTES);
    let steps = run(&mut inbox, &mut now, 3);
    let is_kept_out =
        |step: &Step| matches!(step, Step::Blocked { error: InboxError::Locked { .. }, .. });
    assert!(steps.iter().any(is_kept_out), "{steps:?}");
    assert_eq!(machine.entries(), Vec::<Vec<String>>::new());
    drop(other);
    run(&mut inbox, &mut now, 3);
    assert_eq!(machine.entries(), [["a.tsfile"]]);
}

#[test]
fn files_are_copied_though_somebody_removed_the_directory_of_the_copies() {
    let machine = Machine::new();
    let mut inbox = machine.open(true).expect("opens");
    let mut now = Instant::now();
    run(&mut inbox, &mut now, 3);
    fs::remove_dir_all(machine.path("data/inbox.copy")).expect("removed");
    machine.put("a.tsfile", TS_FILE_BYTES);
    run(&mut inbox, &mut now, 3);
    assert_eq!(machine.entries(), [["a.tsfile"]]);
    assert_eq!(machine.names("archive"), ["a.tsfile"]);
}

#[test]
fn a_directory_of_copies_that_cannot_be_made_is_told() {
    let machine = Machine::new();
    let mut inbox = machine.open(true).expect("opens");
    let mut now = Instant::now();
    run(&mut inbox, &mut now, 3);
    fs::remove_dir_all(machine.path("data/inbox.copy")).expect("removed");
    fs::write(machine.path("data/inbox.copy"), b"in the way").expect("written");
    machine.put("a.tsfile", TS_FILE_BYTES);
    let steps = run(&mut inbox, &mut now, 3);
    assert!(steps.iter().any(|step| matches!(step, Step::Blocked { .. })), "{steps:?}");
}

#[test]
fn the_inbox_opens_though_a_refused_file_finds_no_room_in_quarantine() {
    let machine = Machine::new();
    drop(machine.open(false).expect("opens"));
    fs::write(machine.path("data/inbox.copy").join(super::super::away::REFUSED), [7; 100])
        .expect("written");
    machine.world().quarantine_bytes = Some(10);
    let mut inbox = machine.open(false).expect("opens");
    let mut now = Instant::now();
    machine.put("a.tsfile", TS_FILE_BYTES);
    let steps = run(&mut inbox, &mut now, 3);
    assert_eq!(machine.entries(), [["a.tsfile"]]);
    let is_told = |step: &Step| matches!(step, Step::Left { .. });
    assert!(steps.iter().any(is_told), "{steps:?}");
    drop(inbox);
    machine.world().quarantine_bytes = None;
    lived(&machine, false, 3);
    assert_eq!(machine.quarantine().len(), 1);
}
