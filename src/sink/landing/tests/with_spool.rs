//! What a real spool on the same disk hands over.

use super::*;

/// A spool with three files, the second with mods, and tablets between them; they are durable.
pub(super) fn filled_spool(disk: &SimDisk) -> Spool<SimDisk> {
    let mut spool = open_spool(disk);
    for (name, mods) in [("a", None), ("b", Some("DELETION")), ("c", None)] {
        let (ts_file, mods_name) = (format!("{name}.tsfile"), format!("{name}.tsfile.mods"));
        let mods = mods.map(|text: &str| (mods_name.as_str(), text.as_bytes()));
        let files = mods.into_iter().chain([(ts_file.as_str(), TS_FILE)]);
        let files: Vec<_> = files.map(|(name, bytes)| stored(&mut spool, name, bytes)).collect();
        let entry = NewFileEntry {
            source: EntrySource::Own,
            hops: 0,
            precision: None,
            time_range: None,
            request_type: 9,
            files: &files,
            request_crc: None,
            parameters: &[],
        };
        let arrival = Arrival { wall_ms: NOON.0, trusted: true };
        assert!(matches!(spool.seal(entry, arrival), Ok(Outcome::Appended(_))));
        for start in [0, 100] {
            let mut payload = Vec::new();
            let mut writer = Writer::into_vec(&mut payload, 1 << 20);
            build::request(RequestType::TabletInsertNode, &mut writer);
            let sample = Sample::plain(
                &mut Rng::new(start),
                &format!("root.{name}"),
                start.cast_signed(),
                10,
                10,
            );
            sample.with_tablet(false, |tablet| tablet.node(NodeType::InsertTablet, &mut writer));
            writer.finish().expect("it fits");
            let entry = NewEntry {
                kind: Kind::Tablet,
                source: EntrySource::Own,
                hops: 0,
                precision: Some(Precision::Ms),
                time_range: None,
                payload: &payload,
            };
            assert!(matches!(spool.append(entry, arrival), Ok(Outcome::Appended(_))));
        }
    }
    spool.sync().expect("synced");
    spool
}

pub(super) fn open_spool(disk: &SimDisk) -> Spool<SimDisk> {
    let settings = spool::Settings {
        segment_bytes: 64 * 1024,
        reserve_bytes: 0,
        max_bytes: DISK_BYTES,
        ..spool::Settings::default()
    };
    Spool::open(disk.clone(), settings, start(), NOON.0).expect("the spool opens").0
}

pub(super) fn stored<'n>(
    spool: &mut Spool<SimDisk>,
    name: &'n str,
    bytes: &[u8],
) -> SealedFile<'n> {
    let partial = spool.create_partial().expect("a partial");
    spool.write_partial(partial, 0, bytes).expect("written");
    let hash = *blake3::hash(bytes).as_bytes();
    SealedFile { name: Some(name), partial: Some(partial), bytes: bytes.len() as u64, hash }
}

/// Lands what the spool has and tells it how far that came, as the worker does.
pub(super) fn land_spool(disk: &SimDisk, spool: &mut Spool<SimDisk>) -> Result<(), ()> {
    let consumer = spool.create_consumer("landing", spool::Start::Oldest).map_err(drop)?;
    let cursor = spool.cursor(consumer).cloned().ok_or(())?;
    let settings = Settings {
        node: spool.origin(),
        next_sequence: spool.next_sequence(),
        ..settings(Limits::default())
    };
    let source = SpoolSource::new(spool.reader(cursor.position));
    let mut landing = Landing::open(disk.clone(), settings, source, cursor).map_err(drop)?;
    let mut now = start();
    loop {
        match landing.step(now, NOON).map_err(drop)? {
            Step::Idle if landing.due().is_some() => now += DELAY,
            Step::Idle => return Ok(()),
            Step::Unfit { sequence, why, .. } => {
                spool.quarantine_entry(sequence, &why).map_err(drop)?;
                landing.put_aside();
            }
            Step::Full { .. } => return Err(()),
            Step::Worked | Step::Landed(_) => {
                spool.advance(consumer, landing.cursor()).map_err(drop)?;
            }
        }
    }
}

#[test]
fn a_spool_lands_exactly_once_wherever_a_crash_falls() {
    let disk = disk();
    let mut spool = filled_spool(&disk);
    let before = disk.calls().all;
    land_spool(&disk, &mut spool).expect("lands");
    let calls = disk.calls().all - before;
    let expected = landed(&disk);
    assert_eq!(expected.len(), 7);
    for call in 0..=calls {
        let disk = SimDisk::new(call, DISK_BYTES);
        let mut spool = filled_spool(&disk);
        disk.schedule(call, Fault::Io, true);
        let _crashed = land_spool(&disk, &mut spool);
        drop(spool);
        disk.crash();
        disk.heal();
        let mut fetched = landed(&disk);
        for path in &fetched {
            fetch(&disk, path);
        }
        let mut spool = open_spool(&disk);
        land_spool(&disk, &mut spool).expect("lands");
        fetched.extend(landed(&disk));
        fetched.sort();
        assert_eq!(fetched, expected, "call {call}");
    }
}

#[test]
fn a_file_that_the_spool_lost_is_put_aside_and_the_others_land() {
    for left in [None, Some(0), Some(100)] {
        let disk = disk();
        let mut spool = filled_spool(&disk);
        let stored = disk.files().into_iter().map(|(path, _)| path);
        let stored: Vec<_> = stored.filter(|path| path.starts_with("spool/files")).collect();
        match left {
            None => disk.remove(&stored[0]).expect("removed"),
            Some(bytes) => disk.place(&stored[0], &TS_FILE[..bytes]),
        }
        land_spool(&disk, &mut spool).expect("lands");
        assert_eq!(landed(&disk).len(), 6, "{left:?}: b with its mods, c, and the tablets");
        assert_eq!(hidden_files(&disk), [""; 0], "{left:?}");
        assert_eq!(spool.stats().quarantine_things, u64::from(left.is_some()), "{left:?}");
        let consumer = spool.create_consumer("landing", spool::Start::Oldest).expect("there");
        assert_eq!(spool.cursor(consumer).map(|cursor| cursor.position), Some(Sequence(10)));
    }
}
