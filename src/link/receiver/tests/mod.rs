//! Scenarios of one connection with a store in memory, in microseconds.

mod files;
mod frames;
mod handshakes;
mod room;
mod verdicts;
mod wrappers;

use std::collections::{HashMap, VecDeque};

use super::*;
use crate::data::Precision;
use crate::wire::bytes::{Reader, Writer};
use crate::wire::compressed::{Compressor, compress};
use crate::wire::frame;
use crate::wire::piece::PieceHead;
use crate::wire::request::Head;
use crate::wire::seal;
use crate::wire::{handshake, slice};

/// A store that keeps everything in memory and reports outcomes when it is told to.
#[derive(Debug)]
struct TestStore {
    files: HashMap<FileKey, TestFile>,
    room: usize,
    buffers: usize,
    lent: usize,
    precision: Option<Precision>,
    kept: Vec<Kept>,
    quarantine_full: bool,
    /// Files that are sealed turn out to be flawed.
    flawed: bool,
    outcomes: VecDeque<Outcome>,
}

#[derive(Debug, Default)]
struct TestFile {
    bytes: Vec<u8>,
    place: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kept {
    Request(Vec<u8>),
    Seal(Vec<(String, Vec<u8>)>),
    Quarantine(Case, Vec<u8>),
}

impl Default for TestStore {
    fn default() -> Self {
        Self {
            files: HashMap::new(),
            room: usize::MAX,
            buffers: 2,
            lent: 0,
            precision: None,
            kept: Vec::new(),
            quarantine_full: false,
            flawed: false,
            outcomes: VecDeque::new(),
        }
    }
}

impl TestStore {
    fn spend(&mut self, bytes: usize) {
        assert!(bytes <= self.room, "{bytes} bytes written, room is {}", self.room);
        if self.room != usize::MAX {
            self.room -= bytes;
        }
    }
}

/// Bodies that begin so stand for what no decoder understands, or for no rows.
const NONSENSE: u8 = 0xee;
const NOTHING: u8 = 0xdd;

impl Store for TestStore {
    fn room(&self) -> usize {
        self.room
    }

    fn can_lend(&self, _: usize) -> bool {
        self.lent < self.buffers
    }

    fn lend(&mut self, bytes: usize) -> Option<Vec<u8>> {
        self.can_lend(bytes).then(|| {
            self.lent += 1;
            Vec::with_capacity(bytes)
        })
    }

    fn give_back(&mut self, _: Vec<u8>) {
        self.lent -= 1;
    }

    fn precision(&self) -> Option<Precision> {
        self.precision
    }

    fn keep_precision(&mut self, precision: Precision) {
        self.precision.get_or_insert(precision);
    }

    fn cut(&mut self, file: FileKey, length: u64) {
        let file = self.files.entry(file).or_default();
        let length = usize::try_from(length).unwrap();
        assert!([0, file.place, file.bytes.len()].contains(&length), "{file:?} cut to {length}");
        file.bytes.truncate(length);
        file.place = length;
    }

    fn write(&mut self, file: FileKey, bytes: &[u8]) {
        self.spend(bytes.len());
        self.files.entry(file).or_default().bytes.extend_from_slice(bytes);
    }

    fn discard(&mut self, file: FileKey) {
        self.files.remove(&file).expect("a file is discarded once");
    }

    fn submit_request(
        &mut self,
        _: Provenance,
        payload: &mut Vec<u8>,
        hash: u128,
        next_part: &mut u32,
    ) -> Submission {
        if self.room < ROOM_MIN {
            return Submission::NoRoom;
        }
        assert_eq!(hash, request_hash(payload));
        match payload.get(3) {
            Some(&NONSENSE) => return Submission::Undecodable,
            Some(&NOTHING) => return Submission::Nothing,
            _ => {}
        }
        *next_part += 1;
        self.kept.push(Kept::Request(payload.clone()));
        self.outcomes.push_back(Outcome::Stored);
        Submission::Taken
    }

    fn submit(&mut self, job: Job, payload: &[u8]) -> Submission {
        if self.room < ROOM_MIN {
            return Submission::NoRoom;
        }
        let outcome = match job {
            Job::RequestFile { file, .. } if self.files[&file].bytes[3] == NONSENSE => {
                Outcome::Undecodable
            }
            Job::RequestFile { file, .. } => {
                self.kept.push(Kept::Request(self.files.remove(&file).unwrap().bytes));
                Outcome::Stored
            }
            Job::Seal { .. } if self.flawed && self.quarantine_full => Outcome::QuarantineFull,
            Job::Seal { files, .. } => {
                let mut reader = Reader::new(payload);
                let request_type = Head::read(&mut reader).unwrap().known().unwrap();
                let seal = seal::Seal::read(request_type, &mut reader).unwrap();
                let files = files.iter().zip(&seal.files).filter_map(|(file, sealed)| {
                    let bytes = self.files.remove(&(*file)?).unwrap().bytes;
                    assert_eq!(bytes.len() as u64, sealed.bytes);
                    Some((sealed.name?.to_owned(), bytes))
                });
                self.kept.push(Kept::Seal(files.collect()));
                Outcome::Stored
            }
            Job::Quarantine { .. } if self.quarantine_full => Outcome::QuarantineFull,
            Job::Quarantine { file, case } => {
                let bytes = self.files.remove(&file).unwrap().bytes;
                self.kept.push(Kept::Quarantine(case, bytes));
                Outcome::Quarantined(case)
            }
            Job::Inflate { file, into } => {
                let payload = &self.files[&file].bytes;
                let mut out = Vec::new();
                let read =
                    crate::wire::compressed::Compressed::read(&mut Reader::new(&payload[3..]))
                        .unwrap();
                match read.undo(&mut out, &mut Vec::new(), usize::MAX) {
                    Ok(inner) => {
                        let inner = inner.to_vec();
                        self.files.remove(&file);
                        self.files.insert(into, TestFile { bytes: inner, place: 0 });
                        self.show(into)
                    }
                    Err(_) => Outcome::Undecodable,
                }
            }
            Job::Show { file } => self.show(file),
            Job::Move { file, offset, bytes, into } => {
                let offset = usize::try_from(offset).unwrap();
                let bytes = usize::try_from(bytes).unwrap();
                let from = self.files.remove(&file).unwrap().bytes;
                let part = &from[offset..offset + bytes];
                self.files.entry(into).or_default().bytes.extend_from_slice(part);
                Outcome::Stored
            }
        };
        self.outcomes.push_back(outcome);
        Submission::Taken
    }
}

impl TestStore {
    fn show(&self, file: FileKey) -> Outcome {
        let bytes = &self.files[&file].bytes;
        let mut head = [0; HEAD_BYTES];
        for (to, from) in head.iter_mut().zip(bytes) {
            *to = *from;
        }
        Outcome::Unwrapped { file, bytes: bytes.len() as u64, head }
    }
}

/// A connection, its store and its clock.
struct Link {
    machine: Receiver,
    store: TestStore,
    now: Instant,
    /// Bytes of one read at most.
    read_bytes: usize,
}

/// What a frame came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Got {
    Byte(u8),
    Reset(Case),
    /// Neither, for now.
    Waits,
}
use Got::{Byte, Waits};

const OK: Got = Byte(0x00);
const FAIL: Got = Byte(0xff);

fn policy() -> Policy {
    Policy {
        max_frame_bytes: 8 << 20,
        cluster_id: "ours".to_owned(),
        login: None,
        assumed: None,
        local: vec!["beside".to_owned()],
        plans: Plans::default(),
        hold_max: Duration::from_secs(600),
    }
}

impl Link {
    fn stranger(policy: Policy) -> Self {
        Self {
            machine: Receiver::new(LinkId(1), Arc::new(policy)),
            store: TestStore::default(),
            now: crate::ops::clock::now(),
            read_bytes: usize::MAX,
        }
    }

    fn greeted() -> Self {
        let mut link = Self::stranger(policy());
        assert_eq!(link.send(&greeting("theirs", "ms")), OK);
        link.events();
        link
    }

    fn send(&mut self, payload: &[u8]) -> Got {
        self.send_bytes(&framed(payload))
    }

    /// Plays the driver until all is read, or nothing more is wanted.
    fn send_bytes(&mut self, mut bytes: &[u8]) -> Got {
        loop {
            self.settle();
            let got = self.got();
            if got != Waits || bytes.is_empty() {
                return got;
            }
            let wanted = self.machine.wanted(self.now, &mut self.store);
            if wanted == 0 {
                self.settle();
                return self.got();
            }
            let (part, rest) = bytes.split_at(wanted.min(self.read_bytes).min(bytes.len()));
            self.machine.handle_input(self.now, part, &mut self.store);
            bytes = rest;
        }
    }

    fn settle(&mut self) {
        while let Some(outcome) = self.store.outcomes.pop_front() {
            self.machine.handle_stored(self.now, &outcome, &mut self.store);
        }
    }

    fn got(&mut self) -> Got {
        if let Some(case) = self.machine.poll_reset() {
            return Got::Reset(case);
        }
        self.machine.poll_answer().map_or(Waits, |answer| Byte(answer.byte()))
    }

    fn wait(&mut self, time: Duration) -> Got {
        self.now += time;
        self.machine.handle_timeout(self.now, &mut self.store);
        self.settle();
        self.got()
    }

    fn give_room(&mut self, room: usize) -> Got {
        self.store.room = room;
        self.machine.handle_room(self.now, &mut self.store);
        self.settle();
        self.got()
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.machine.poll_event()).collect()
    }
}

fn framed(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::emit(&[payload], false, &mut out).unwrap();
    out
}

fn wrapped(payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::emit(&[payload], true, &mut out).unwrap();
    out
}

fn written(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::into_vec(&mut out, usize::MAX);
    write(&mut writer);
    writer.finish().unwrap();
    out
}

fn request(request_type: i16, body: &[u8]) -> Vec<u8> {
    let [high, low] = request_type.to_be_bytes();
    [&[1, high, low], body].concat()
}

fn greeting(cluster_id: &str, precision: &str) -> Vec<u8> {
    greeting_with(cluster_id, precision, "root", "root")
}

fn greeting_with(cluster_id: &str, precision: &str, username: &str, password: &str) -> Vec<u8> {
    let offer = handshake::Offer {
        cluster_id,
        precision,
        username,
        password,
        convert_on_type_mismatch: true,
        load_asynchronously: false,
        validate_ts_file: true,
        mark_as_pipe_request: true,
        skip_if_no_privileges: false,
    };
    request(51, &written(|writer| offer.write(writer)))
}

fn old_greeting(precision: &str) -> Vec<u8> {
    request(1, &written(|writer| handshake::write_v1(writer, precision)))
}

fn tablet(bytes: usize) -> Vec<u8> {
    request(2, &vec![7; bytes])
}

fn piece_of(request_type: RequestType, name: &str, start: u64, bytes: &[u8]) -> Vec<u8> {
    let count = u32::try_from(bytes.len()).unwrap();
    let head = written(|writer| PieceHead::new(request_type, name, start, count).write(writer));
    [&head, bytes].concat()
}

fn piece(name: &str, start: u64, bytes: &[u8]) -> Vec<u8> {
    piece_of(RequestType::TsFilePiece, name, start, bytes)
}

fn seal_of(name: &str, bytes: u64) -> Vec<u8> {
    request(5, &written(|writer| seal::write_v1(writer, name, bytes)))
}

fn seals_of(files: &[(&str, u64)]) -> Vec<u8> {
    let files: Vec<_> = files
        .iter()
        .map(|(name, bytes)| seal::SealedFile {
            name: Some(*name).filter(|name| !name.is_empty()),
            bytes: *bytes,
        })
        .collect();
    request(9, &written(|writer| seal::write_v2(writer, &files, &[])))
}

fn compressed(compressor: Compressor, payload: &[u8]) -> Vec<u8> {
    let (mut out, mut spare) = (Vec::new(), Vec::new());
    compress(&[compressor], payload, &mut out, &mut spare).unwrap();
    request(300, &out)
}

fn sealed(files: &[(&str, &[u8])]) -> Kept {
    Kept::Seal(files.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect())
}

fn nested(depth: usize) -> Vec<u8> {
    (0..depth).fold(tablet(10), |inner, _| compressed(Compressor::Snappy, &inner))
}
