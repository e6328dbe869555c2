//! The pipes: one row each, with pictures of the last hours, and one more for what a pipe has to say.

use std::fmt::{self, Write};

use super::Page;
use super::picture::{Picture, Shape};
use super::words::{Count, Html, Utc};
use crate::ops::board::{HISTORY_HOURS, HISTORY_SLOTS, PipeState};
use crate::ops::human::{Bytes, Rate};
use crate::ops::status::report::{PipeReport, Status};

/// What a pipe is doing, in a word, and a sign that needs no colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Stopped,
    InTrouble,
    UpToDate,
    Sending,
    Waiting,
}

impl Mood {
    fn of(pipe: &PipeReport, status: &Status) -> Self {
        let has_trouble = || status.trouble.iter().any(|trouble| trouble.subject == pipe.id);
        if pipe.state == PipeState::Stopped.name() {
            Self::Stopped
        } else if has_trouble() {
            Self::InTrouble
        } else if pipe.remaining_entries == 0 {
            Self::UpToDate
        } else if pipe.bytes_per_second > 0 {
            Self::Sending
        } else {
            Self::Waiting
        }
    }

    /// Class, sign and word.
    fn shown(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Stopped => ("no", "&#9632;", "mood.stopped"),
            Self::InTrouble => ("no", "&#9650;", "mood.trouble"),
            Self::UpToDate => ("yes", "&#10003;", "mood.done"),
            Self::Sending => ("yes", "&#9654;", "mood.sending"),
            Self::Waiting => ("soft", "&#9675;", "mood.waiting"),
        }
    }
}

impl Page {
    pub(super) fn pipes(&mut self, status: &Status) -> fmt::Result {
        self.open("pipes")?;
        if status.pipes.is_empty() {
            return self.none("no-pipes");
        }
        self.titles("pipes", &COLUMNS)?;
        for (index, pipe) in status.pipes.iter().enumerate() {
            self.pipe(index, pipe, Mood::of(pipe, status))?;
            // What is said above need not be said again.
            let is_told = status
                .trouble
                .iter()
                .any(|trouble| trouble.subject == pipe.id && trouble.what.contains(&pipe.message));
            if !is_told {
                self.message(index, pipe)?;
            }
        }
        self.out.write_str("</tbody></table>")?;
        let legend = self.word("legend");
        writeln!(self.out, "<p class=\"soft small\">{legend}</p></section>")
    }

    fn pipe(&mut self, index: usize, pipe: &PipeReport, mood: Mood) -> fmt::Result {
        let (id, target) = (Html::of(&pipe.id), Html::of(&pipe.target));
        writeln!(
            self.out,
            "<tr><th scope=\"row\" id=\"p{index}\">{id}<br><span class=\"soft\">{target}</span></th>"
        )?;
        self.state(pipe, mood)?;
        self.rate(index, pipe)?;
        self.behind(index, pipe)?;
        let left = self.age(pipe.estimated_remaining_seconds, "unknown");
        writeln!(self.out, "<td class=\"n\">{left}</td>")?;
        self.answer(pipe)?;
        self.out.write_str("</tr>\n")
    }

    /// What it has to say, in a row of its own.
    fn message(&mut self, index: usize, pipe: &PipeReport) -> fmt::Result {
        if pipe.message.is_empty() {
            return Ok(());
        }
        let (message, columns) = (self.foreign(&pipe.message), COLUMNS.len());
        writeln!(
            self.out,
            "<tr class=\"message\"><td colspan=\"{columns}\" headers=\"p{index}\">{message}</td></tr>"
        )
    }

    fn state(&mut self, pipe: &PipeReport, mood: Mood) -> fmt::Result {
        let (class, sign, word) = mood.shown();
        let (word, since) = (self.word(word), self.word("since"));
        write!(
            self.out,
            "<td class=\"state\"><span class=\"{class}\"><span aria-hidden=\"true\">{sign} </span>{word}</span>"
        )?;
        if mood == Mood::Stopped {
            write!(self.out, "<br><span class=\"soft\">{since} {}</span>", Utc(&pipe.since))?;
        }
        self.out.write_str("</td>\n")
    }

    fn rate(&mut self, index: usize, pipe: &PipeReport) -> fmt::Result {
        let now = Rate(pipe.bytes_per_second);
        write!(self.out, "<td>{now}")?;
        let values: Vec<_> = pipe.history.iter().map(|sample| sample.bytes_per_second).collect();
        let id = format!("r{index}");
        self.picture(Shape::Bars, &id, &pipe.id, &values, |value| Rate(value).to_string())?;
        self.out.write_str("</td>\n")
    }

    fn behind(&mut self, index: usize, pipe: &PipeReport) -> fmt::Result {
        let (entries, bytes) = (Count(pipe.remaining_entries), Bytes(pipe.remaining_bytes));
        let kept = self.word("kept");
        write!(self.out, "<td>{bytes} <span class=\"soft\">{entries} {kept}</span>")?;
        let values: Vec<_> = pipe.history.iter().map(|sample| sample.behind_bytes).collect();
        let id = format!("b{index}");
        self.picture(Shape::Steps, &id, &pipe.id, &values, |value| Bytes(value).to_string())?;
        self.out.write_str("</td>\n")
    }

    /// A picture of `values`, and the most of them in words, which is its scale.
    fn picture(
        &mut self,
        shape: Shape,
        id: &str,
        pipe: &str,
        values: &[u64],
        text: impl Fn(u64) -> String,
    ) -> fmt::Result {
        let (title, most_key) = match shape {
            Shape::Bars => ("picture.rate", "most.rate"),
            Shape::Steps => ("picture.behind", "most.behind"),
        };
        let title = self.language.word(title).replace('%', pipe);
        let newest_first = values.iter().copied().rev().zip(0_u64..);
        let (most, slots_ago) =
            newest_first.max_by_key(|(value, age)| (*value, u64::MAX - age)).unwrap_or_default();
        let most_text = format!("{} {}", self.language.word(most_key), text(most));
        let slot_seconds = HISTORY_HOURS * 3600 / HISTORY_SLOTS;
        let when = match slots_ago {
            0 => self.language.word("just-now").to_owned(),
            slots => {
                let age = self.language.age(slots * slot_seconds);
                format!("{age} {}", self.language.word("ago"))
            }
        };
        let now = values.last().copied().unwrap_or_default();
        let description =
            format!("{} {}; {most_text}, {when}", self.language.word("now"), text(now));
        let picture = Picture { shape, id, title: &title, description: &description, values };
        picture.write(&mut self.out)?;
        if most == 0 {
            return Ok(());
        }
        write!(self.out, "<span class=\"soft\">{}</span>", Html::of(&most_text))
    }

    fn answer(&mut self, pipe: &PipeReport) -> fmt::Result {
        let (ago, sent) = (self.ago(pipe.last_answer_age_seconds), self.word("sent"));
        let bytes = Bytes(pipe.sent_bytes);
        write!(self.out, "<td class=\"n\">{ago}<br><span class=\"soft\">{sent} {bytes}</span>")?;
        for (count, key) in [(pipe.refused_frames, "refused"), (pipe.retries, "retries")] {
            if count > 0 {
                let word = self.word(key);
                write!(self.out, "<br><span class=\"soft\">{word} {}</span>", Count(count))?;
            }
        }
        self.out.write_str("</td>\n")
    }
}

const COLUMNS: [&str; 6] = ["pipe", "state", "pace", "remaining", "left", "answer"];
