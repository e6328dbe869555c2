//! Statements, as people give them at random.

use super::book::{Asked, Book, Life, Wanted};
use super::model::Def;
use crate::random::Random;

const PIPES: [&str; 4] = ["p0", "p1", "p2", "p3"];

/// A statement that may be asked for now; none if the chosen pipe is just going. `last` is the last entry.
pub(crate) fn any(
    book: &mut Book,
    defs: &mut Vec<Def>,
    last: u64,
    random: &mut Random,
) -> Option<Asked> {
    let pipe = PIPES[usize::try_from(random.below(PIPES.len() as u64)).expect("few")];
    let life = book.lives.get(pipe).cloned();
    if life.as_ref().is_some_and(|life| life.is_ending) {
        return None;
    }
    let asked = |text: String, after: Option<Life>, wanted: Wanted| {
        let (pipe, known_below, again) = (pipe.to_owned(), last + 1, Vec::new());
        Some(Asked { pipe, text, after, wanted, known_below, again })
    };
    let Some(life) = life else {
        if random.once_in(5) {
            let verb = ["stop", "start", "drop"][usize::try_from(random.below(3)).expect("few")];
            return asked(format!("{verb} pipe {pipe}"), None, Wanted::Refusal);
        }
        let def = new_def(defs, random);
        let text = format!("create pipe {pipe} {}", def.clauses());
        return asked(text, Some(book.born(def)), Wanted::Success);
    };
    let entry = random.between(life.audited.saturating_sub(1).max(1), last + 1);
    match random.below(20) {
        0..5 => {
            asked(format!("stop pipe {pipe}"), Some(Life { runs: false, ..life }), Wanted::Success)
        }
        5..10 => {
            asked(format!("start pipe {pipe}"), Some(Life { runs: true, ..life }), Wanted::Success)
        }
        10..12 => asked(format!("drop pipe {pipe}"), None, Wanted::Success),
        12..15 => {
            let (def, clauses) = life.def.altered(next_tag(defs), random);
            defs.push(def.clone());
            asked(
                format!("alter pipe {pipe} {clauses}"),
                Some(Life { def, ..life }),
                Wanted::Success,
            )
        }
        15..17 => {
            let mut after = life;
            after.exempt.insert(entry);
            after.skipped.insert(entry);
            // What lies behind it is not skipped, and may be what it did not want before.
            if entry >= after.audited {
                after.unsure.insert(entry);
            }
            let skip =
                asked(format!("skip pipe {pipe} entry {entry}"), Some(after), Wanted::Either);
            skip.map(|asked| Asked { again: vec![entry], ..asked })
        }
        17..19 => {
            let first = random.between(1, last + 1);
            let end = first + random.below(9);
            let text = format!("replay pipe {pipe} from {first} to {end}");
            let replay = asked(text, Some(life), Wanted::Either);
            replay.map(|asked| Asked { again: (first..=end).collect(), ..asked })
        }
        _ => {
            let text = format!("create pipe {pipe} {}", life.def.clauses());
            asked(text, Some(life), Wanted::Refusal)
        }
    }
}

fn next_tag(defs: &[Def]) -> u16 {
    u16::try_from(defs.len()).expect("few")
}

fn new_def(defs: &mut Vec<Def>, random: &mut Random) -> Def {
    let def = Def::new(next_tag(defs), random);
    defs.push(def.clone());
    def
}
