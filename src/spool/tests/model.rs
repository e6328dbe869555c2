//! Random runs with crashes against a simple model: a map of what was promised.

use std::collections::BTreeMap;

use super::*;
use crate::spool::{ConsumerId, Start};
use crate::wire::sample::Rng;

/// Seeds of a normal run; `PENSTOCK_SEEDS` asks for more, `PENSTOCK_SEED` for one.
const SEEDS: u64 = 1000;
const STEPS: u64 = 60;

#[test]
fn random_runs_with_crashes_keep_every_promise() {
    let asked = |name| std::env::var(name).ok().and_then(|text: String| text.parse().ok());
    if let Some(seed) = asked("PENSTOCK_SEED") {
        return Run::new(seed).all_steps();
    }
    for seed in 0..asked("PENSTOCK_SEEDS").unwrap_or(SEEDS) {
        let run = std::panic::catch_unwind(|| Run::new(seed).all_steps());
        assert!(run.is_ok(), "replay with PENSTOCK_SEED={seed}");
    }
}

/// What an entry holds: its payload, and the bytes of its file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Content {
    payload: Option<Vec<u8>>,
    file: Option<Vec<u8>>,
    source: Source,
}

struct Run {
    dice: Rng,
    disk: SimDisk,
    spool: Option<Spool<SimDisk>>,
    now: Instant,
    /// Appended, by sequence; what is not durable may be gone after a crash.
    entries: BTreeMap<u64, Content>,
    durable_below: u64,
    consumers: Vec<(ConsumerId, String)>,
    /// As last advanced, and as certainly durable.
    cursors: BTreeMap<String, (u64, u64)>,
    next_peer: u64,
    next_request: u128,
    adopted: u64,
}

impl Run {
    fn new(seed: u64) -> Self {
        let (disk, spool) = fresh(seed);
        Self {
            dice: Rng::new(seed),
            disk,
            spool: Some(spool),
            now: beginning(),
            entries: BTreeMap::new(),
            durable_below: 1,
            consumers: Vec::new(),
            cursors: BTreeMap::new(),
            next_peer: 1,
            next_request: 1,
            adopted: 0,
        }
    }

    fn spool(&mut self) -> &mut Spool<SimDisk> {
        self.spool.as_mut().unwrap()
    }

    fn all_steps(mut self) {
        for _ in 0..STEPS {
            match self.dice.number_below(20) {
                0..=7 => self.append_some(),
                8 => self.seal_some(),
                9 => self.adopt_some(),
                10..=12 => self.sync(),
                13 | 14 => self.advance_some(),
                15 | 16 => self.maintain(),
                17 => self.create_some(),
                18 => self.crash(),
                _ => self.end_in_order(),
            }
        }
        self.crash();
        self.sync();
        self.check();
    }

    fn some_bytes(&mut self) -> Vec<u8> {
        let bytes = if self.dice.number_below(4) == 0 { 3000 } else { 200 };
        let count = self.dice.number_below(bytes);
        (0..count).map(|_| u8::try_from(self.dice.number_below(256)).unwrap()).collect()
    }

    fn some_source(&mut self) -> Source {
        match self.dice.number_below(3) {
            0 => Source::Own,
            1 => {
                self.next_peer += 1 + self.dice.number_below(2);
                peer(self.next_peer)
            }
            _ => {
                self.next_request += 1;
                let link = LinkId::new(self.spool().boot(), 1);
                stock(self.next_request, link, 0)
            }
        }
    }

    fn append_some(&mut self) {
        let (payload, source) = (self.some_bytes(), self.some_source());
        let outcome = self.spool().append(opaque(&payload, source), ARRIVAL).unwrap();
        let Outcome::Appended(sequence) = outcome else { panic!("{source:?} is new") };
        let content = Content { payload: Some(payload), file: None, source };
        assert!(self.entries.insert(sequence.0, content).is_none());
        if self.dice.number_below(4) == 0 {
            self.repeat_last();
        }
    }

    /// What a peer sends again is known, even before it is durable.
    fn repeat_last(&mut self) {
        let Some((sequence, content)) = self.entries.last_key_value() else { return };
        let (sequence, source) = (*sequence, content.source);
        let (payload, file) = (content.payload.clone(), content.file.clone());
        if source == Source::Own {
            return;
        }
        let outcome = match (payload, file) {
            (Some(payload), _) => self.spool().append(opaque(&payload, source), ARRIVAL).unwrap(),
            (None, Some(bytes)) => seal(self.spool(), "f", &bytes, source).unwrap(),
            (None, None) => return,
        };
        let Outcome::Duplicate(known) = outcome else { panic!("{source:?} was taken twice") };
        assert!(known.0 >= sequence && known < self.spool().next_sequence());
    }

    fn seal_some(&mut self) {
        let (bytes, source) = (self.some_bytes(), self.some_source());
        let Outcome::Appended(sequence) = seal(self.spool(), "f", &bytes, source).unwrap() else {
            panic!("{source:?} is new")
        };
        self.entries.insert(sequence.0, Content { payload: None, file: Some(bytes), source });
    }

    fn adopt_some(&mut self) {
        self.adopted += 1;
        let path = format!("/inbox/{}.tsfile", self.adopted);
        self.disk.place(Path::new(&path), path.as_bytes());
        self.spool().adopt(Path::new(&path)).unwrap();
        if self.dice.number_below(2) == 0 {
            self.seal_adopted();
        }
    }

    fn seal_adopted(&mut self) {
        let adopted: Vec<_> =
            self.spool().adopted().map(|(id, name, bytes)| (id, name.to_owned(), bytes)).collect();
        for (id, name, bytes) in adopted {
            let content = format!("/inbox/{name}").into_bytes();
            assert_eq!(bytes, content.len() as u64);
            let file =
                SealedFile { name: Some(&name), partial: Some(id), bytes, hash: hash(&content) };
            let entry = file_entry(std::slice::from_ref(&file), Source::Own);
            let Outcome::Appended(sequence) = self.spool().seal(entry, ARRIVAL).unwrap() else {
                panic!("own entries are never repetitions")
            };
            let content = Content { payload: None, file: Some(content), source: Source::Own };
            self.entries.insert(sequence.0, content);
        }
    }

    fn sync(&mut self) {
        self.durable_below = self.spool().sync().unwrap().0;
        let next = self.spool().next_sequence().0;
        assert_eq!(self.durable_below, next);
        if self.dice.number_below(4) == 0 {
            self.check();
        }
    }

    fn create_some(&mut self) {
        let name = format!("consumer {}", self.dice.number_below(3));
        let start =
            [Start::Oldest, Start::Next][usize::try_from(self.dice.number_below(2)).unwrap()];
        let id = self.spool().create_consumer(&name, start).unwrap();
        let position = self.spool().cursor(id).unwrap().position.0;
        // Making one at the end syncs what is there.
        self.durable_below = self.durable_below.max(self.spool().synced().0);
        if !self.cursors.contains_key(&name) {
            self.consumers.push((id, name.clone()));
            self.cursors.insert(name, (position, position));
        }
    }

    fn advance_some(&mut self) {
        let synced = self.spool().synced().0;
        for (id, name) in self.consumers.clone() {
            let position = self.cursors[&name].0;
            let to = position + self.dice.number_below(1 + synced.saturating_sub(position).min(20));
            self.spool().advance(id, &at(to)).unwrap();
            self.cursors.get_mut(&name).unwrap().0 = to;
        }
    }

    fn maintain(&mut self) {
        self.now += Duration::from_millis(100 + self.dice.number_below(2) * 40_000);
        let now = self.now;
        self.spool().maintain(now).unwrap();
        self.durable_below = self.durable_below.max(self.spool().synced().0);
        for cursor in self.cursors.values_mut() {
            cursor.1 = cursor.0;
        }
    }

    fn crash(&mut self) {
        drop(self.spool.take());
        if self.dice.number_below(2) == 0 {
            self.disk.kill();
        } else {
            self.disk.crash();
        }
        self.reopen(true);
    }

    fn end_in_order(&mut self) {
        self.durable_below = self.spool().next_sequence().0;
        self.cursors.values_mut().for_each(|cursor| cursor.1 = cursor.0);
        self.spool.take().unwrap().close(self.now).unwrap();
        self.reopen(false);
    }

    fn reopen(&mut self, crashed: bool) {
        let opened = Spool::open(self.disk.clone(), settings(), self.now, ARRIVAL.wall_ms);
        let (spool, recovery) = opened.unwrap();
        assert_eq!(recovery.crashed, crashed);
        // A crash is no flaw of the medium: nothing may be said to be corrupt.
        assert_eq!((recovery.corrupt_entries, recovery.cursors_lost), (0, 0), "{recovery:?}");
        assert_eq!(spool.stats().quarantine_things, 0);
        self.spool = Some(spool);
        self.recover_consumers();
        let found = read(self.spool());
        let next = self.spool().next_sequence().0;
        let durable = self.durable_below;
        assert!(next >= durable);
        self.entries.retain(|sequence, _| {
            *sequence < durable || found.iter().any(|(there, _)| there == sequence)
        });
        self.durable_below = next;
        self.seal_adopted();
        self.check();
    }

    fn recover_consumers(&mut self) {
        let found: Vec<_> = self
            .spool()
            .consumers()
            .map(|(id, name, cursor)| (id, name.to_owned(), cursor.position.0))
            .collect();
        assert_eq!(found.len(), self.cursors.len());
        self.consumers = found.iter().map(|(id, name, _)| (*id, name.clone())).collect();
        for (_, name, position) in found {
            let (latest, durable) = self.cursors[&name];
            assert!((durable..=latest).contains(&position), "{durable} {position} {latest}");
            self.cursors.insert(name, (position, position));
        }
    }

    /// Everything that is durable and not released is there, in order, and nothing else.
    fn check(&mut self) {
        let synced = self.spool().synced().0;
        let first = self.spool().stats().first_sequence.0;
        let floor = self.cursors.values().map(|cursor| cursor.0).min();
        assert!(first == 1 || floor.is_some_and(|floor| first <= floor), "{first} {floor:?}");
        let found = read(self.spool());
        let files = read_files(self.spool());
        let expected: Vec<(u64, Content)> = self
            .entries
            .range(first..synced)
            .map(|(key, content)| (*key, content.clone()))
            .collect();
        let sequences: Vec<u64> = found.iter().map(|(sequence, _)| *sequence).collect();
        assert_eq!(sequences, expected.iter().map(|(key, _)| *key).collect::<Vec<_>>());
        for ((sequence, payload), (_, content)) in found.iter().zip(&expected) {
            assert!(content.payload.as_ref().is_none_or(|expected| expected == payload));
            let file = files.iter().find(|(of, _, _)| of == sequence).map(|(_, _, bytes)| bytes);
            assert!(file == content.file.as_ref(), "file of {sequence}: {:?}", file.map(Vec::len));
        }
        assert_eq!(names_in(&self.disk, "spool/files").len(), self.files_expected(first));
    }

    /// Files whose entry is not durable yet are there too.
    fn files_expected(&self, first: u64) -> usize {
        self.entries.range(first..).filter(|(_, content)| content.file.is_some()).count()
    }
}
