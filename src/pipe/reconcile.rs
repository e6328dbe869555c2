//! Stanzas of the configuration file against the pipes that are there.
//!
//! | pipe | stanza | becomes |
//! |---|---|---|
//! | none | there | created |
//! | any | as last applied | untouched: what a person altered, stopped or dropped, or an error stopped, stays so |
//! | live | changed, or never applied | altered, progress kept, running |
//! | dropped | changed | created |
//! | live, had one | gone | orphaned: stopped and reported |
//! | dropped, had one | gone | forgotten |
//! | live, never had one | none | untouched |

use super::registry::{Birth, check_length};
use super::{Desired, Pipe, Refusal, Registry, StanzaHash};
use crate::statement::{Definition, PipeName, Side};

/// A pipe of the configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stanza {
    /// Its name.
    pub name: PipeName,
    /// What it says.
    pub definition: Definition,
}

/// What has to be done about one pipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// It becomes this.
    Keep(Pipe),
    /// Its tombstone goes.
    Forget(PipeName),
    /// The stanza cannot be applied.
    Refuse(PipeName, Refusal),
}

impl Stanza {
    /// Of what it says; the order of attributes, and how the file writes them, does not matter.
    pub fn hash(&self) -> StanzaHash {
        let mut hasher = blake3::Hasher::new();
        let mut add = |text: &str| {
            let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
            hasher.update(&bytes.to_le_bytes());
            hasher.update(text.as_bytes());
        };
        add(self.name.as_str());
        for side in [Side::Source, Side::Processor, Side::Sink] {
            let mut attributes: Vec<_> = self
                .definition
                .side(side)
                .iter()
                .map(|each| (each.spelled.as_str(), each.value.reveal()))
                .collect();
            attributes.sort_unstable();
            add(side.name());
            for (key, value) in attributes {
                add(key);
                add(value);
            }
        }
        let mut short = [0; 16];
        hasher.finalize_xof().fill(&mut short);
        StanzaHash(short)
    }
}

impl Registry {
    /// What the stanzas of the file change; names among them are unique.
    pub fn reconcile(&self, stanzas: &[Stanza], birth: Birth) -> Vec<Step> {
        let went = self
            .all()
            .filter(|pipe| pipe.stanza.is_some())
            .filter(|pipe| !stanzas.iter().any(|stanza| stanza.name == pipe.name))
            .map(|pipe| match pipe.desired {
                Desired::Dropped => Step::Forget(pipe.name.clone()),
                Desired::Running | Desired::Stopped | Desired::Orphaned => {
                    Step::Keep(Pipe { desired: Desired::Orphaned, stanza: None, ..pipe.clone() })
                }
            });
        let came = stanzas.iter().filter_map(|stanza| self.apply(stanza, birth));
        went.chain(came).collect()
    }

    fn apply(&self, stanza: &Stanza, birth: Birth) -> Option<Step> {
        let known = self.kept(&stanza.name);
        let hash = stanza.hash();
        if known.is_some_and(|pipe| pipe.stanza == Some(hash)) {
            return None;
        }
        if let Err(refusal) = check_length(&stanza.name, &stanza.definition) {
            return Some(Step::Refuse(stanza.name.clone(), refusal));
        }
        let (born_ms, border) = known
            .filter(|pipe| pipe.is_live())
            .map_or((Some(birth.now_ms), birth.next), |pipe| (pipe.born_ms, pipe.border));
        Some(Step::Keep(Pipe {
            name: stanza.name.clone(),
            definition: stanza.definition.clone(),
            created_ms: birth.now_ms,
            born_ms,
            border,
            desired: Desired::Running,
            why: None,
            stanza: Some(hash),
        }))
    }
}
