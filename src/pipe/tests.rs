//! Verbs against the drawing, stanzas against the table, and the directory on a disk that fails anywhere.

use std::collections::BTreeSet;
use std::path::Path;

use super::*;
use crate::limits::{DEFINITION_BYTES_MAX, PIPE_REASON_BYTES_MAX, PIPES_MAX};
use crate::spool::{Fault, RealDisk, SimDisk};
use crate::statement::{AlterPipe, CreatePipe, Statement, parse};

const BIRTH: Birth = Birth { now_ms: 1_000, next: Sequence(17) };

fn statement(text: &str) -> Statement {
    parse(text).expect(text).remove(0).statement
}

fn create(text: &str) -> CreatePipe {
    let Statement::CreatePipe(create) = statement(text) else { panic!("{text}") };
    create
}

fn alter(text: &str) -> AlterPipe {
    let Statement::AlterPipe(alter) = statement(text) else { panic!("{text}") };
    alter
}

fn name(text: &str) -> PipeName {
    PipeName::new(text)
}

fn stanza(text: &str) -> Stanza {
    let CreatePipe { name, definition, .. } = create(text);
    Stanza { name, definition }
}

const A: &str = "create pipe a with sink ('sink'='iotdb-air-gap-sink','ip'='h','port'='1')";
const A_MOVED: &str = "create pipe a with sink ('sink'='iotdb-air-gap-sink','ip'='h','port'='2')";

fn created(text: &str) -> Pipe {
    Registry::default().create(&create(text), BIRTH).unwrap().unwrap()
}

fn in_state(desired: Desired) -> Registry {
    Registry::new(vec![Pipe { desired, ..created(A) }])
}

/// Carries steps out without a disk.
fn settle(registry: &mut Registry, stanzas: &[&str]) -> Vec<Step> {
    let stanzas: Vec<_> = stanzas.iter().map(|text| stanza(text)).collect();
    let steps = registry.reconcile(&stanzas, Birth { now_ms: 2_000, next: Sequence(99) });
    for step in &steps {
        match step {
            Step::Keep(pipe) => registry.put(pipe.clone()),
            Step::Forget(name) => registry.remove(name),
            Step::Refuse(..) => {}
        }
    }
    steps
}

#[test]
fn every_verb_in_every_state_leads_where_the_drawing_says() {
    use Desired::{Dropped, Orphaned, Running, Stopped};
    type Verb = fn(&Registry) -> Result<Option<Pipe>, Refusal>;
    let verbs: [(&str, Verb); 5] = [
        ("create", |registry| registry.create(&create(A), BIRTH)),
        ("alter", |registry| registry.alter(&alter("alter pipe a"), 5)),
        ("start", |registry| registry.start(&name("a")).map(Some)),
        ("stop", |registry| registry.stop(&name("a")).map(Some)),
        ("drop", |registry| registry.drop_pipe(&name("a"), false)),
    ];
    let table = [
        (Running, [None, Some(Running), Some(Running), Some(Stopped), Some(Dropped)]),
        (Stopped, [None, Some(Stopped), Some(Running), Some(Stopped), Some(Dropped)]),
        (Orphaned, [None, Some(Stopped), Some(Running), Some(Stopped), Some(Dropped)]),
        (Dropped, [Some(Running), None, None, None, None]),
    ];
    for (desired, ends) in table {
        let registry = in_state(desired);
        for ((verb, act), end) in verbs.iter().zip(ends) {
            let reached = act(&registry).ok().flatten().map(|pipe| pipe.desired);
            assert_eq!(reached, end, "{verb} in {desired:?}");
        }
    }
}

#[test]
fn what_an_error_stopped_stays_so_until_start_alter_or_a_changed_stanza() {
    let running = in_state(Desired::Running);
    let long = format!("gone:\n{}", "\u{fc}".repeat(PIPE_REASON_BYTES_MAX));
    for why in ["the program is gone", &long] {
        let failed = running.fail(&name("a"), why).unwrap();
        let kept = failed.why.clone().unwrap();
        assert!(kept.starts_with(why.get(..5).unwrap()) && kept.len() <= PIPE_REASON_BYTES_MAX);
        assert_eq!(record::decode(record::encode(&failed).as_bytes()), Ok(failed.clone()));
    }
    let stanza = Stanza { name: name("a"), definition: created(A).definition };
    let failed = Pipe {
        stanza: Some(stanza.hash()),
        ..running.fail(&name("a"), "the program is gone").unwrap()
    };
    let registry = Registry::new(vec![failed]);
    assert_eq!(registry.reconcile(&[stanza], BIRTH), Vec::new());
    assert_eq!(registry.fail(&name("a"), "again"), None, "it does not run");
    let started = registry.start(&name("a")).unwrap();
    let altered = registry.alter(&alter("alter pipe a"), 5).unwrap().unwrap();
    let stopped = registry.stop(&name("a")).unwrap();
    let end = |pipe: Pipe| (pipe.desired, pipe.why);
    assert_eq!(end(started), (Desired::Running, None));
    assert_eq!(end(altered), (Desired::Running, None));
    assert_eq!(end(stopped), (Desired::Stopped, None), "it is a person's word now");
    let other =
        Stanza { name: name("a"), definition: created(&A.replace("'h'", "'i'")).definition };
    let steps = registry.reconcile(&[other], BIRTH);
    let [Step::Keep(pipe)] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!((pipe.desired, pipe.why.clone()), (Desired::Running, None));
    for desired in [Desired::Stopped, Desired::Orphaned, Desired::Dropped] {
        assert_eq!(in_state(desired).fail(&name("a"), "late"), None, "{desired:?}");
    }
}

#[test]
fn refusals_have_stock_words_and_codes() {
    let (none, one) = (Registry::default(), in_state(Desired::Running));
    let said = |refusal: Refusal| format!("{} {refusal}", refusal.code());
    assert_eq!(
        said(one.create(&create(A), BIRTH).unwrap_err()),
        "1107 Failed to create pipe a, the pipe with the same name has been created"
    );
    assert_eq!(
        said(none.start(&name("nope")).unwrap_err()),
        "1107 Failed to start pipe nope, the pipe does not exist"
    );
    assert_eq!(
        said(none.stop(&name("nope")).unwrap_err()),
        "1107 Failed to stop pipe nope, the pipe does not exist"
    );
    assert_eq!(
        said(none.alter(&alter("alter pipe nope"), 0).unwrap_err()),
        "1107 Failed to alter pipe nope, the pipe does not exist"
    );
    assert_eq!(
        said(none.drop_pipe(&name("nope"), false).unwrap_err()),
        "1806 Failed to drop pipe nope. Failures: nope does not exist."
    );
    assert_eq!(none.drop_pipe(&name("nope"), true), Ok(None));
    assert_eq!(none.alter(&alter("alter pipe if exists nope"), 0), Ok(None));
    let again = create(&A.replace("create pipe", "create pipe if not exists"));
    assert_eq!(one.create(&again, BIRTH), Ok(None));
    assert!(one.start(&name("A")).is_err(), "upper and lower case differ");
}

#[test]
fn pipes_and_their_length_are_limited() {
    let mut registry = Registry::default();
    for number in 0..PIPES_MAX {
        let text = A.replace("pipe a", &format!("pipe p{number}"));
        let pipe = registry.create(&create(&text), BIRTH).unwrap().unwrap();
        registry.put(pipe);
    }
    let refusal = registry.create(&create(A), BIRTH).unwrap_err();
    assert_eq!(refusal.to_string(), "Failed to create pipe a, a node has no more than 64 pipes");
    let first = registry.live().next().unwrap().clone();
    registry.put(Pipe { desired: Desired::Dropped, ..first });
    assert!(registry.create(&create(A), BIRTH).is_ok(), "one that was dropped does not count");
    let long = A.replace("'h'", &format!("'{}'", "h".repeat(DEFINITION_BYTES_MAX)));
    let refusal = Registry::default().create(&create(&long), BIRTH).unwrap_err();
    assert_eq!(refusal, Refusal::TooLong("a".to_owned()));
    let longer = alter(&format!("alter pipe a modify sink ('x'='{}')", "x".repeat(9_000)));
    assert!(in_state(Desired::Running).alter(&longer, 0).is_err());
}

#[test]
fn alter_keeps_what_it_does_not_name() {
    let registry = in_state(Desired::Running);
    let change =
        alter("alter pipe a replace source ('path'='root.h') modify sink ('sink.port'='7')");
    let altered = registry.alter(&change, 5).unwrap().unwrap();
    assert_eq!((altered.created_ms, altered.border), (5, BIRTH.next));
    assert_eq!(registry.find(&altered.name).map(Pipe::mark), Some(altered.mark()));
    let expected = create(
        "create pipe a with source ('path'='root.h') with sink ('sink'='iotdb-air-gap-sink','ip'='h','sink.port'='7')",
    );
    assert_eq!(altered.definition, expected.definition);
}

#[test]
fn pipes_that_use_one_sink_have_the_same_attributes() {
    let other_order = "create pipe b with source ('path'='root.x') with sink ('port'='1','ip'='h','sink'='iotdb-air-gap-sink')";
    let registry = Registry::new(vec![
        created(A),
        created(other_order),
        created(&A_MOVED.replace("pipe a", "pipe c")),
    ]);
    let names = |text: &str| -> Vec<_> {
        registry
            .using_sink_of(&name(text))
            .iter()
            .map(|pipe| pipe.name.as_str().to_owned())
            .collect()
    };
    assert_eq!(names("b"), ["a", "b"]);
    assert_eq!(names("c"), ["c"]);
    assert!(names("d").is_empty());
}

#[test]
fn a_stanza_as_last_applied_undoes_nothing() {
    for desired in [Desired::Running, Desired::Stopped, Desired::Dropped] {
        let mut registry = Registry::default();
        assert_eq!(settle(&mut registry, &[A]).len(), 1);
        let pipe = registry.find(&name("a")).unwrap().clone();
        assert_eq!((pipe.desired, pipe.border), (Desired::Running, Sequence(99)));
        let altered = registry.alter(&alter("alter pipe a modify sink ('ip'='g')"), 3).unwrap();
        let altered = Pipe { desired, ..altered.unwrap() };
        registry.put(altered.clone());
        // The order and the spelling of the file's attributes do not matter.
        let same = "create pipe a with sink ('port'='1','ip'='h','sink'='iotdb-air-gap-sink')";
        assert_eq!(settle(&mut registry, &[same]), []);
        assert_eq!(registry.kept(&name("a")), Some(&altered));
    }
}

#[test]
fn a_changed_stanza_is_applied_and_keeps_the_progress() {
    for desired in [Desired::Running, Desired::Stopped] {
        let mut registry = Registry::default();
        settle(&mut registry, &[A]);
        let pipe =
            Pipe { desired, border: Sequence(3), ..registry.find(&name("a")).unwrap().clone() };
        registry.put(pipe);
        settle(&mut registry, &[A_MOVED]);
        let pipe = registry.find(&name("a")).unwrap();
        assert_eq!(pipe.definition, create(A_MOVED).definition);
        assert_eq!((pipe.desired, pipe.border), (Desired::Running, Sequence(3)));
    }
    // One that was dropped begins anew.
    let mut registry = Registry::default();
    settle(&mut registry, &[A]);
    let dropped = registry.drop_pipe(&name("a"), false).unwrap().unwrap();
    registry.put(Pipe { border: Sequence(3), ..dropped });
    settle(&mut registry, &[A_MOVED]);
    assert_eq!(registry.find(&name("a")).unwrap().border, Sequence(99));
}

#[test]
fn a_pipe_whose_stanza_went_stops_and_comes_back_with_it() {
    let mut registry = Registry::default();
    settle(&mut registry, &[A]);
    settle(&mut registry, &[]);
    assert_eq!(registry.find(&name("a")).unwrap().desired, Desired::Orphaned);
    assert_eq!(settle(&mut registry, &[]), []);
    settle(&mut registry, &[A]);
    assert_eq!(registry.find(&name("a")).unwrap().desired, Desired::Running);
    // Started by a person meanwhile, it is that person's.
    settle(&mut registry, &[]);
    let started = registry.start(&name("a")).unwrap();
    registry.put(started);
    assert_eq!(settle(&mut registry, &[]), []);
    assert_eq!(registry.find(&name("a")).unwrap().desired, Desired::Running);
    // A tombstone goes with its stanza.
    settle(&mut registry, &[A]);
    let dropped = registry.drop_pipe(&name("a"), false).unwrap().unwrap();
    registry.put(dropped);
    assert_eq!(settle(&mut registry, &[]), [Step::Forget(name("a"))]);
}

#[test]
fn what_a_person_made_in_the_place_of_a_stanza_s_pipe_stays() {
    let mut registry = Registry::default();
    settle(&mut registry, &[A]);
    let dropped = registry.drop_pipe(&name("a"), false).unwrap().unwrap();
    registry.put(dropped);
    let own = registry.create(&create(A_MOVED), BIRTH).unwrap().unwrap();
    registry.put(own.clone());
    assert_eq!(settle(&mut registry, &[A]), []);
    assert_eq!(registry.find(&name("a")), Some(&own));
    // And one that only statements made is nobody's business.
    registry.put(created(&A.replace("pipe a", "pipe b")));
    assert_eq!(settle(&mut registry, &[A]), []);
}

#[test]
fn a_pipe_that_is_created_again_is_told_from_the_one_that_was_dropped() {
    let pipes: Vec<Pipe> = [("a", 1_000, 1), ("a", 1_001, 1), ("a", 1_000, 2), ("b", 1_000, 1)]
        .into_iter()
        .map(|(name, now_ms, next)| {
            let text = A.replace("pipe a", &format!("pipe {name}"));
            let birth = Birth { now_ms, next: Sequence(next) };
            Registry::default().create(&create(&text), birth).unwrap().unwrap()
        })
        .collect();
    let marks: BTreeSet<u32> = pipes.iter().map(Pipe::mark).collect();
    assert_eq!(marks.len(), pipes.len());
    // The files of an upgraded node's pipes stay what they were.
    let old = Pipe { born_ms: None, ..pipes[0].clone() };
    assert_eq!(old.mark(), crc32fast::hash(b"1 a"));
}

#[test]
fn records_are_read_back_whatever_the_attributes() {
    let odd = "create pipe `p ``1` with source ('a'='it''s\n\"x\"') with sink ('password'='hunter2','k'='\u{7ba1} ; -- no')";
    let of_an_older_version = Pipe { born_ms: None, ..created(odd) };
    let text = record::encode(&of_an_older_version);
    assert_eq!(record::decode(text.as_bytes()), Ok(of_an_older_version));
    for desired in Desired::ALL {
        for stanza in [None, Some(StanzaHash([0xab; 16])), Some(StanzaHash([0; 16]))] {
            let pipe = Pipe { desired, stanza, created_ms: -5, ..created(odd) };
            let text = record::encode(&pipe);
            assert_eq!(record::decode(text.as_bytes()), Ok(pipe));
        }
    }
    let text = record::encode(&created(odd));
    assert!(text.contains("hunter2"), "a secret that is not kept is lost");
    for bit in 0..text.len() * 8 {
        let mut bytes = text.clone().into_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(record::decode(&bytes).is_err(), "bit {bit}");
    }
    for end in 0..text.len() {
        assert!(record::decode(&text.as_bytes()[..end]).is_err(), "{end}");
    }
}

#[test]
fn damaged_files_are_named_and_left_alone() {
    let disk = SimDisk::new(1, 1 << 20);
    let (store, _) = Store::open(disk.clone()).unwrap();
    store.keep(&created(A)).unwrap();
    store.keep(&created(&A.replace("pipe a", "pipe `b c`"))).unwrap();
    disk.flip(Path::new("pipes/b%20c.pipe"), 700);
    let (_, opened) = Store::open(disk.clone()).unwrap();
    assert_eq!(opened.pipes, [created(A)]);
    let damaged = Damaged { name: "b c".to_owned(), why: RecordError::Checksum };
    assert_eq!(opened.damaged, [damaged]);
    assert!(disk.contents(Path::new("pipes/b%20c.pipe")).is_some());
}

#[test]
fn nobody_but_the_owner_reads_the_secrets_of_pipes() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(RealDisk::new(dir.path())).unwrap();
    store.keep(&created(A)).unwrap();
    let mode = dir.path().join("pipes/a.pipe").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(Store::look(&RealDisk::new(dir.path())).unwrap().pipes, [created(A)]);
    store.forget(&name("a")).unwrap();
    store.forget(&name("a")).unwrap();
    assert!(Store::look(&RealDisk::new(dir.path())).unwrap().pipes.is_empty());
}

/// The states that a pipe goes through in a run; none is no file.
fn history() -> Vec<Option<Pipe>> {
    let running = created(A);
    let stopped = Pipe { desired: Desired::Stopped, ..running.clone() };
    let altered = Pipe { definition: create(A_MOVED).definition, ..stopped.clone() };
    let dropped = Pipe { desired: Desired::Dropped, ..altered.clone() };
    vec![None, Some(running), Some(stopped), Some(altered), Some(dropped), None]
}

/// Brings the pipe from each state to the next; returns how many states were reached for sure.
fn live_through(disk: &SimDisk, history: &[Option<Pipe>]) -> std::io::Result<usize> {
    let (store, _) = Store::open(disk.clone())?;
    for (reached, state) in history.iter().enumerate().skip(1) {
        let done = match state {
            Some(pipe) => store.keep(pipe),
            None => store.forget(&name("a")),
        };
        if done.is_err() {
            return Ok(reached - 1);
        }
    }
    Ok(history.len() - 1)
}

#[test]
fn what_was_answered_is_there_after_a_failure_of_any_call_and_a_crash() {
    let history = history();
    let calls = {
        let disk = SimDisk::new(1, 1 << 20);
        live_through(&disk, &history).unwrap();
        disk.calls().all
    };
    assert!(calls > 20, "{calls}");
    for seed in 0..4 {
        for call in 0..=calls {
            for (fault, lasts) in
                [(Fault::Io, true), (Fault::NoSpace, false), (Fault::Short, false)]
            {
                let disk = SimDisk::new(seed, 1 << 20);
                disk.schedule(call, fault, lasts);
                let reached = live_through(&disk, &history).unwrap_or(0);
                disk.heal();
                // The process dies first, and the next one goes by what it sees; then the power fails.
                disk.kill();
                let seen = Store::open(disk.clone()).unwrap().1;
                disk.crash();
                let opened = Store::open(disk).unwrap().1;
                assert_eq!(opened.damaged, [], "call {call} {fault:?}");
                let found = opened.pipes.first().cloned();
                assert_eq!(found, seen.pipes.first().cloned(), "call {call} {fault:?}");
                let allowed = &history[reached..(reached + 2).min(history.len())];
                assert!(allowed.contains(&found), "call {call} {fault:?}: {found:?}");
            }
        }
    }
}
