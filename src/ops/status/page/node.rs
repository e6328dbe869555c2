//! What came in, what is stored here, and the node itself.

use std::fmt::{self, Write};

use super::Page;
use super::words::{Count, Html};
use crate::ops::human::Bytes;
use crate::ops::status::report::{IntakeReport, Status};

impl Page {
    pub(super) fn intakes(&mut self, status: &Status) -> fmt::Result {
        self.open("intakes")?;
        if !status.intakes.iter().any(IntakeReport::is_used) {
            return self.none("none-taken");
        }
        let columns = ["kind", "entries", "bytes", "refused", "held", "connections", "last"];
        self.titles("intakes", &columns)?;
        for intake in status.intakes.iter().filter(|intake| intake.is_used()) {
            let kind = self.word(&format!("kind.{}", intake.kind));
            write!(self.out, "<tr><th scope=\"row\">{kind}</th>")?;
            let (entries, bytes) = (Count(intake.accepted_entries), Bytes(intake.accepted_bytes));
            write!(self.out, "<td class=\"n\">{entries}</td><td class=\"n\">{bytes}</td>")?;
            for count in [intake.refused, intake.held, intake.connections] {
                write!(self.out, "<td class=\"n\">{}</td>", Count(count))?;
            }
            let last = self.ago(intake.last_accept_age_seconds);
            writeln!(self.out, "<td class=\"n\">{last}</td></tr>")?;
        }
        self.close()
    }

    pub(super) fn stored(&mut self, status: &Status) -> fmt::Result {
        let spool = &status.spool;
        self.open("stored")?;
        self.out.write_str("<dl>\n")?;
        let state = self.word(&format!("spool.{}", spool.state));
        let (class, sign) =
            if spool.state == "ok" { ("yes", "&#10003;") } else { ("no", "&#9650;") };
        let (of, kept, title) = (self.word("of"), self.word("kept"), self.word("spool"));
        let full = format!(
            "<meter aria-label=\"{title}\" max=\"{}\" value=\"{}\"></meter> {} {of} {}, {} {kept}, \
             <span class=\"{class}\"><span aria-hidden=\"true\">{sign} </span>{state}</span>",
            spool.max_bytes.max(1),
            spool.bytes.min(spool.max_bytes),
            Bytes(spool.bytes),
            Bytes(spool.max_bytes),
            Count(spool.entries),
        );
        self.row("spool", &full)?;
        self.row("quarantine", &self.quarantine(status))?;
        self.row("landing", &self.landing(status))?;
        self.out.write_str("</dl></section>\n")
    }

    pub(super) fn node(&mut self, status: &Status) -> fmt::Result {
        let node = &status.node;
        self.open("node")?;
        self.out.write_str("<dl>\n")?;
        let (now, peak) = (Bytes(node.memory_bytes), Bytes(node.memory_peak_bytes));
        let memory = format!("{now}, {} {peak}", self.word("peak"));
        self.row("memory", &memory)?;
        self.row("uptime", &self.language.age(node.uptime_seconds))?;
        for listener in &status.listeners {
            self.row(&format!("listener.{}", listener.kind), &listener.address)?;
        }
        self.row("identity", &Html::of(&node.origin_id).to_string())?;
        self.row("version", &Html::of(&node.version).to_string())?;
        self.out.write_str("</dl></section>\n")
    }

    fn quarantine(&self, status: &Status) -> String {
        let quarantine = &status.quarantine;
        if quarantine.things == 0 {
            return self.word("nothing").to_string();
        }
        let things = self.word("things");
        format!("{} {things}, {}", Count(quarantine.things), Bytes(quarantine.bytes))
    }

    fn landing(&self, status: &Status) -> String {
        let landing = &status.landing;
        let [files, points, waiting, removed] =
            ["files", "points", "waiting", "removed"].map(|key| self.word(key));
        let mut parts = Vec::new();
        if landing.files > 0 {
            let (count, bytes) = (Count(landing.files), Bytes(landing.bytes));
            parts.push(format!("{count} {files}, {bytes}, {} {points}", Count(landing.points)));
        }
        if landing.pending_entries > 0 {
            parts.push(format!("{} {waiting}", Count(landing.pending_entries)));
        }
        if landing.removed_files > 0 {
            let (count, bytes) = (Count(landing.removed_files), Bytes(landing.removed_bytes));
            parts.push(format!("{count} {files} ({bytes}) {removed}"));
        }
        if parts.is_empty() { self.word("nothing").to_string() } else { parts.join(", ") }
    }

    /// A line of a list; `html` is escaped already.
    fn row(&mut self, key: &str, html: &str) -> fmt::Result {
        let title = self.word(key);
        writeln!(self.out, "<dt>{title}</dt><dd>{html}</dd>")
    }
}
