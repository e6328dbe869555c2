//! The page: one HTML document that needs nothing else, no script included. It is written here,
//! reloads itself every few seconds, and speaks English and Chinese.
//!
//! The words lie in `words.tsv`, the style in `page.css`. All text of the board is escaped: names of
//! files and peers are chosen by others.

use std::fmt::{self, Write};

use super::report::{IntakeReport, PipeReport, Status, TroubleReport};
use crate::ops::board::TroubleKind;
use crate::ops::human::{Age, Bytes, Rate};

/// What the page speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    English,
    Chinese,
}

impl Language {
    /// By `?lang=`, else by what the browser prefers, else English.
    pub(super) fn of(query: &str, accepted: &str) -> Self {
        let asked = query.split('&').find_map(|pair| pair.strip_prefix("lang="));
        let first = accepted.split(',').next().unwrap_or_default();
        if asked.unwrap_or(first).trim().starts_with("zh") { Self::Chinese } else { Self::English }
    }

    /// The word for `key` in this language; the key itself if there is none.
    fn word(self, key: &str) -> &str {
        let line = WORDS.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('\t'));
        let pair = line.and_then(|words| words.split_once('\t'));
        match (pair, self) {
            (Some((english, _)), Self::English) => english,
            (Some((_, chinese)), Self::Chinese) => chinese,
            (None, _) => key,
        }
    }
}

/// The page of this report.
pub(super) fn render(status: &Status, language: Language) -> String {
    let mut page = Page { out: String::with_capacity(PAGE_BYTES), language };
    // Writing into a text cannot fail.
    if page.whole(status).is_err() {
        page.out.clear();
    }
    page.out
}

struct Page {
    out: String,
    language: Language,
}

impl Page {
    fn whole(&mut self, status: &Status) -> fmt::Result {
        self.head(status)?;
        self.troubles(status)?;
        self.crossing(status)?;
        self.pipes(status)?;
        self.intakes(status)?;
        self.rest(status)?;
        self.out.write_str("</body>\n</html>\n")
    }

    fn word(&self, key: &str) -> Html<'static> {
        Html(self.language.word(key).to_owned().into())
    }

    fn head(&mut self, status: &Status) -> fmt::Result {
        let (lang, other) = (self.word("lang"), self.word("other-name"));
        let link = if self.language == Language::English { "zh" } else { "en" };
        let role = self.word(&format!("role.{}", status.node.role));
        let phase = self.word(&format!("phase.{}", status.node.phase));
        let name = Html::of(&status.node.name);
        write!(
            self.out,
            "<!DOCTYPE html>\n<html lang=\"{lang}\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"refresh\" content=\"{REFRESH_SECONDS}\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{name} - Penstock</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
             <header><h1>{name}</h1><span class=\"soft\">{role}</span><span>{phase}</span>\
             <a href=\"/?lang={link}\">{other}</a></header>\n"
        )
    }

    fn troubles(&mut self, status: &Status) -> fmt::Result {
        if status.trouble.is_empty() && status.trouble_unshown == 0 {
            let calm = self.word("calm");
            return writeln!(self.out, "<section class=\"yes\">{calm}</section>");
        }
        let class = if status.needs_person() { " class=\"bad\"" } else { "" };
        let (needs, what, remedy) = (self.word("needs"), self.word("what"), self.word("do"));
        writeln!(
            self.out,
            "<section{class}><h2>{needs}</h2><table><tr><th></th><th>{what}</th><th>{remedy}</th></tr>"
        )?;
        status.trouble.iter().try_for_each(|trouble| self.trouble(trouble))?;
        self.out.write_str("</table>")?;
        if status.trouble_unshown > 0 {
            let (count, unshown) = (status.trouble_unshown, self.word("unshown"));
            write!(self.out, "<p>+ {count} {unshown}</p>")?;
        }
        self.out.write_str("</section>\n")
    }

    fn trouble(&mut self, trouble: &TroubleReport) -> fmt::Result {
        let title = self.word(&format!("trouble.{}", trouble.kind));
        let (subject, since) = (Html::of(&trouble.subject), self.word("since"));
        let seen = if trouble.acknowledged { self.word("seen") } else { Html::of("") };
        let (at, what) = (Html::of(&trouble.since), Html::of(&trouble.what));
        let remedy = self.remedy(trouble);
        writeln!(
            self.out,
            "<tr><td class=\"f\"><b>{title}</b><br>{subject} <span class=\"soft\">{seen}</span></td>\
             <td class=\"f\">{what}<br><span class=\"soft\">{since} {at}</span></td><td>{remedy}</td></tr>"
        )
    }

    /// The usual remedy in the page's language; a more exact one as it is.
    fn remedy<'t>(&self, trouble: &'t TroubleReport) -> Html<'t> {
        let usual = TroubleKind::ALL.iter().any(|kind| kind.remedy() == trouble.remedy);
        if usual && self.language == Language::Chinese {
            self.word(&format!("do.{}", trouble.kind))
        } else {
            Html::of(&trouble.remedy)
        }
    }

    fn crossing(&mut self, status: &Status) -> fmt::Result {
        self.open("crossing")?;
        if status.crossing.is_empty() {
            let none = self.word("none-crossing");
            return writeln!(self.out, "<span class=\"soft\">{none}</span></section>");
        }
        self.titles(&["lane", "file", "progress", "", "rate", "left"])?;
        for file in &status.crossing {
            let (lane, name) = (Html::of(&file.lane), Html::of(&file.file));
            let (done, rate) = (Bytes(file.done_bytes), Rate(file.bytes_per_second));
            write!(self.out, "<tr><td>{lane}</td><td class=\"f\">{name}</td><td>")?;
            match (file.total_bytes, file.percent) {
                (Some(total), Some(percent)) => write!(
                    self.out,
                    "<progress max=\"100\" value=\"{percent}\"></progress> {percent} %</td>\
                     <td class=\"n\">{done} {} {}</td>",
                    self.word("of"),
                    Bytes(total)
                )?,
                _ => write!(self.out, "</td><td class=\"n\">{done}</td>")?,
            }
            let left = self.age(file.remaining_seconds, "unknown");
            writeln!(self.out, "<td class=\"n\">{rate}</td><td class=\"n\">{left}</td></tr>")?;
        }
        self.close()
    }

    fn pipes(&mut self, status: &Status) -> fmt::Result {
        self.open("pipes")?;
        if status.pipes.is_empty() {
            let none = self.word("no-pipes");
            return writeln!(self.out, "<span class=\"soft\">{none}</span></section>");
        }
        self.titles(&[
            "pipe",
            "target",
            "state",
            "remaining",
            "left",
            "answer",
            "sent",
            "refused",
            "retries",
            "message",
        ])?;
        status.pipes.iter().try_for_each(|pipe| self.pipe(pipe))?;
        self.close()
    }

    fn pipe(&mut self, pipe: &PipeReport) -> fmt::Result {
        let (id, target) = (Html::of(&pipe.id), Html::of(&pipe.target));
        let (state, message) = (self.word(&pipe.state), Html::of(&pipe.message));
        let (entries, bytes) = (pipe.remaining_entries, Bytes(pipe.remaining_bytes));
        let left = self.age(pipe.estimated_remaining_seconds, "unknown");
        let answer = self.ago(pipe.last_answer_age_seconds);
        let sent = Bytes(pipe.sent_bytes);
        let (refused, retries) = (pipe.refused_frames, pipe.retries);
        writeln!(
            self.out,
            "<tr><td><b>{id}</b></td><td class=\"f\">{target}</td><td>{state}</td>\
             <td class=\"n\">{entries}<br>{bytes}</td><td class=\"n\">{left}</td>\
             <td class=\"n\">{answer}</td><td class=\"n\">{sent}</td><td class=\"n\">{refused}</td>\
             <td class=\"n\">{retries}</td><td class=\"f\">{message}</td></tr>"
        )
    }

    fn intakes(&mut self, status: &Status) -> fmt::Result {
        self.open("intakes")?;
        if !status.intakes.iter().any(IntakeReport::is_used) {
            let none = self.word("none-taken");
            return writeln!(self.out, "<span class=\"soft\">{none}</span></section>");
        }
        self.titles(&["kind", "entries", "bytes", "refused", "held", "connections", "last"])?;
        for intake in status.intakes.iter().filter(|intake| intake.is_used()) {
            let kind = self.word(&format!("kind.{}", intake.kind));
            let last = self.ago(intake.last_accept_age_seconds);
            writeln!(
                self.out,
                "<tr><td>{kind}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
                 <td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{last}</td></tr>",
                intake.accepted_entries,
                Bytes(intake.accepted_bytes),
                intake.refused,
                intake.held,
                intake.connections
            )?;
        }
        self.close()
    }

    fn rest(&mut self, status: &Status) -> fmt::Result {
        let (spool, node, landing) = (&status.spool, &status.node, &status.landing);
        let state = self.word(&format!("spool.{}", spool.state));
        let class = if spool.state == "ok" { "yes" } else { "no" };
        self.out.write_str("<section><dl>\n")?;
        let (of, kept) = (self.word("of"), self.word("kept"));
        let full = format!(
            "<meter max=\"{}\" value=\"{}\"></meter> {} {of} {}, {} {kept}, \
             <span class=\"{class}\">{state}</span>",
            spool.max_bytes.max(1),
            spool.bytes.min(spool.max_bytes),
            Bytes(spool.bytes),
            Bytes(spool.max_bytes),
            spool.entries,
        );
        self.row("spool", &full)?;
        let quarantine = &status.quarantine;
        let things = self.word("things");
        let text = format!("{} {things}, {}", quarantine.things, Bytes(quarantine.bytes));
        self.row("quarantine", &text)?;
        let (files, points, waiting) =
            (self.word("files"), self.word("points"), self.word("waiting"));
        let mut text = format!(
            "{} {files}, {}, {} {points}, {} {waiting}",
            landing.files,
            Bytes(landing.bytes),
            landing.points,
            landing.pending_entries
        );
        if landing.removed_files > 0 {
            let (count, bytes) = (landing.removed_files, Bytes(landing.removed_bytes));
            write!(text, ", {count} {files} ({bytes}) {}", self.word("removed"))?;
        }
        self.row("landing", &text)?;
        let peak = self.word("peak");
        let memory =
            format!("{}, {peak} {}", Bytes(node.memory_bytes), Bytes(node.memory_peak_bytes));
        self.row("memory", &memory)?;
        self.row("uptime", &Age(node.uptime_seconds).to_string())?;
        self.row("identity", &Html::of(&node.origin_id).to_string())?;
        self.row("version", &Html::of(&node.version).to_string())?;
        self.out.write_str("</dl></section>\n")
    }

    fn open(&mut self, title: &str) -> fmt::Result {
        let title = self.word(title);
        write!(self.out, "<section><h2>{title}</h2>")
    }

    fn close(&mut self) -> fmt::Result {
        self.out.write_str("</table></section>\n")
    }

    fn titles(&mut self, keys: &[&str]) -> fmt::Result {
        self.out.write_str("<table><tr>")?;
        for key in keys {
            let class = if NUMBERS.contains(key) { " class=\"n\"" } else { "" };
            let title = self.word(key);
            write!(self.out, "<th{class}>{title}</th>")?;
        }
        self.out.write_str("</tr>\n")
    }

    /// A line of the list at the end; `html` is escaped already.
    fn row(&mut self, key: &str, html: &str) -> fmt::Result {
        let title = self.word(key);
        writeln!(self.out, "<dt>{title}</dt><dd>{html}</dd>")
    }

    fn age(&self, seconds: Option<u64>, none: &str) -> String {
        seconds.map_or_else(|| self.word(none).to_string(), |seconds| Age(seconds).to_string())
    }

    fn ago(&self, seconds: Option<u64>) -> String {
        let ago = self.word("ago");
        seconds.map_or_else(
            || self.word("never").to_string(),
            |seconds| format!("{} {ago}", Age(seconds)),
        )
    }
}

/// Text that is written so that a browser shows it and does nothing else with it.
struct Html<'a>(std::borrow::Cow<'a, str>);

impl<'a> Html<'a> {
    fn of(text: &'a str) -> Self {
        Html(text.into())
    }
}

impl fmt::Display for Html<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| match letter {
            '&' => out.write_str("&amp;"),
            '<' => out.write_str("&lt;"),
            '>' => out.write_str("&gt;"),
            '"' => out.write_str("&quot;"),
            '\'' => out.write_str("&#39;"),
            letter => out.write_char(letter),
        })
    }
}

const WORDS: &str = include_str!("words.tsv");
const STYLE: &str = include_str!("page.css");
/// Columns of numbers, which stand at the right.
const NUMBERS: &[&str] = &[
    "rate",
    "left",
    "remaining",
    "answer",
    "sent",
    "refused",
    "retries",
    "entries",
    "bytes",
    "held",
    "connections",
    "last",
];
/// Often enough to follow a file, seldom enough to read in between.
const REFRESH_SECONDS: u32 = 5;
/// A page with a few rows.
const PAGE_BYTES: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Role;
    use crate::ops::board::{Board, Phase, Report};
    use crate::ops::clock::{self, EpochMillis};

    fn pages() -> [String; 2] {
        let now = clock::now();
        let board = Board::new(Role::Sender, "plant<7>", now);
        board.set_phase(Phase::Running);
        let row = board.pipes.row("to_zone_3", "10.53.53.53:9780", EpochMillis(0)).unwrap();
        row.say("<script>alert(1)</script>");
        board.raise(
            Report::new(TroubleKind::NoAnswer, "12 minutes").about("to_zone_3"),
            EpochMillis(0),
        );
        let crossing = board.crossings.begin("to_zone_3", "a&b.tsfile", Some(200), now);
        crossing.progress(100, now);
        board.landing.removed_files.set(17);
        let status = Status::of(&board, now);
        [Language::English, Language::Chinese].map(|language| render(&status, language))
    }

    #[test]
    fn page_needs_no_script_and_nothing_from_elsewhere() {
        for page in pages() {
            assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
            assert!(page.contains("http-equiv=\"refresh\""));
            for never in
                ["<script", "src=", "<link", "@import", "url(", "http://", "https://", "onload"]
            {
                assert!(!page.contains(never), "{never}");
            }
        }
    }

    #[test]
    fn page_shows_trouble_progress_and_pipes() {
        let [english, chinese] = pages();
        for text in
            ["The far side does not answer", "12 minutes", "50 %", "to_zone_3", "10.53.53.53:9780"]
        {
            assert!(english.contains(text), "{text}");
        }
        assert!(english.contains(TroubleKind::NoAnswer.remedy()));
        assert!(english.contains("17 files (0 B) removed"), "{english}");
        assert!(chinese.contains("lang=\"zh-CN\"") && chinese.contains("50 %"));
        assert!(!chinese.contains("Needs a person"));
        assert!(!chinese.contains(TroubleKind::NoAnswer.remedy()));
    }

    #[test]
    fn text_of_others_is_escaped() {
        let [english, _] = pages();
        assert!(english.contains("plant&lt;7&gt;") && english.contains("a&amp;b.tsfile"));
        assert!(english.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    }

    #[test]
    fn every_word_is_there_in_both_languages() {
        for line in WORDS.lines() {
            let words: Vec<_> = line.split('\t').collect();
            assert!(words.len() == 3 && words.iter().all(|word| !word.is_empty()), "{line}");
        }
        for kind in TroubleKind::ALL {
            for key in [format!("trouble.{}", kind.name()), format!("do.{}", kind.name())] {
                assert_ne!(Language::Chinese.word(&key), key, "{key}");
            }
            assert_eq!(Language::English.word(&format!("do.{}", kind.name())), kind.remedy());
        }
    }

    #[test]
    fn language_is_asked_for_or_preferred() {
        assert_eq!(Language::of("", "zh-CN,en;q=0.5"), Language::Chinese);
        assert_eq!(Language::of("", "en,zh;q=0.5"), Language::English);
        assert_eq!(Language::of("lang=en", "zh"), Language::English);
        assert_eq!(Language::of("a=b&lang=zh", "en"), Language::Chinese);
        assert_eq!(Language::of("", ""), Language::English);
    }
}
