//! The page: one HTML document that needs nothing else, no script included. It is written here,
//! reads itself anew every few seconds unless it is told to hold still, and speaks English and Chinese.
//!
//! ```text
//!  header   name, role, phase; as of when; links: other language, hold still
//!  main     what needs a person | pipes | files under way | taken in | stored | node    one region each
//!  footer   the same for scripts
//! ```
//!
//! The words lie in `words.tsv`, the style in `page.css`. All text of the board is escaped: names of
//! files and peers are chosen by others. What only exists in English is marked as such on the Chinese page.
//! A browser keeps the place on a page that reads itself anew; who reads it by ear follows "hold still".

mod node;
mod picture;
mod pipes;
mod words;

use std::fmt::{self, Write};

pub(super) use words::Language;
use words::{Html, Utc};

use super::report::{Status, TroubleReport};
use crate::ops::board::TroubleKind;
use crate::ops::clock::EpochMillis;
use crate::ops::human::{Bytes, Rate};

/// How somebody looks at the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct View {
    pub(super) language: Language,
    /// It stays as it is until the reader wants a new one.
    pub(super) holds: bool,
}

impl View {
    /// By the query of the address, and what the browser prefers.
    pub(super) fn of(query: &str, accepted: &str) -> Self {
        let holds = query.split('&').any(|pair| pair == HOLD);
        Self { language: Language::of(query, accepted), holds }
    }

    /// The address of this view; with a language always, so that it stays what it is.
    fn address(self) -> String {
        let hold = if self.holds { "&amp;hold=1" } else { "" };
        format!("/?lang={}{hold}", self.language.code())
    }
}

/// The page of this report, of the time `wall`.
pub(super) fn render(status: &Status, view: View, wall: EpochMillis) -> String {
    let pictures = status.pipes.len() * PIPE_BYTES;
    let mut page =
        Page { out: String::with_capacity(PAGE_BYTES + pictures), language: view.language };
    // Writing into a text cannot fail.
    if page.whole(status, view, wall).is_err() {
        page.out.clear();
    }
    page.out
}

struct Page {
    out: String,
    language: Language,
}

impl Page {
    fn whole(&mut self, status: &Status, view: View, wall: EpochMillis) -> fmt::Result {
        self.head(status, view)?;
        self.header(status, view, wall)?;
        self.out.write_str("<main>\n")?;
        self.troubles(status)?;
        self.pipes(status)?;
        self.crossing(status)?;
        self.intakes(status)?;
        self.out.write_str("<div class=\"pair\">\n")?;
        self.stored(status)?;
        self.node(status)?;
        self.out.write_str("</div>\n")?;
        let scripts = self.word("scripts");
        write!(
            self.out,
            "</main>\n<footer><p>{scripts} <a href=\"/status\">/status</a> <a href=\"/metrics\">/metrics</a> \
             <a href=\"/healthz\">/healthz</a></p></footer>\n</body>\n</html>\n"
        )
    }

    fn head(&mut self, status: &Status, view: View) -> fmt::Result {
        let (lang, name) = (self.word("lang"), Html::of(&status.node.name));
        // The title is what a tab and a screen reader tell first.
        let mark = if status.needs_person() { "! " } else { "" };
        write!(
            self.out,
            "<!DOCTYPE html>\n<html lang=\"{lang}\">\n<head>\n<meta charset=\"utf-8\">\n"
        )?;
        if !view.holds {
            writeln!(self.out, "<meta http-equiv=\"refresh\" content=\"{REFRESH_SECONDS}\">")?;
        }
        write!(
            self.out,
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{mark}{name} - Penstock</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"
        )
    }

    fn header(&mut self, status: &Status, view: View, wall: EpochMillis) -> fmt::Result {
        let role = self.word(&format!("role.{}", status.node.role));
        let phase = self.word(&format!("phase.{}", status.node.phase));
        let (name, wall) = (Html::of(&status.node.name), wall.to_string());
        let (as_of, this_page) = (self.word("as-of"), self.word("this-page"));
        let stop = self.word("stop");
        let follows = self.word(if view.holds { "holds" } else { "follows" });
        let change = self.word(if view.holds { "follow" } else { "hold" });
        let held = View { holds: !view.holds, ..view }.address();
        let language = view.language.other();
        let other = View { language, ..view }.address();
        let (lang, other_name) = (Html::of(language.word("lang")), self.word("other-name"));
        let now = Utc(&wall);
        writeln!(
            self.out,
            "<header><div><h1>{name}</h1><p>{role}: <strong>{phase}</strong></p></div>\
             <nav aria-label=\"{this_page}\"><p>{as_of} <time datetime=\"{wall}\">{now}</time>{stop} {follows}</p>\
             <p><a href=\"{held}\">{change}</a> \
             <a href=\"{other}\" lang=\"{lang}\" hreflang=\"{lang}\">{other_name}</a></p></nav></header>"
        )
    }

    fn troubles(&mut self, status: &Status) -> fmt::Result {
        if status.trouble.is_empty() && status.trouble_unshown == 0 {
            let calm = self.word("calm");
            return writeln!(
                self.out,
                "<section class=\"good\" aria-labelledby=\"trouble\"><h2 id=\"trouble\">\
                 <span aria-hidden=\"true\">&#10003; </span>{calm}</h2></section>"
            );
        }
        let (class, title, mark) = if status.needs_person() {
            ("bad", "needs", "&#9650; ")
        } else {
            ("seen", "all-seen", "")
        };
        let title = self.word(title);
        write!(
            self.out,
            "<section class=\"{class}\" aria-labelledby=\"trouble\"><h2 id=\"trouble\">\
             <span aria-hidden=\"true\">{mark}</span>{title}</h2>"
        )?;
        self.titles("trouble", &["trouble", "what", "do"])?;
        status.trouble.iter().try_for_each(|trouble| self.trouble(trouble))?;
        self.out.write_str("</tbody></table>")?;
        if status.trouble_unshown > 0 {
            let (count, unshown) = (status.trouble_unshown, self.word("unshown"));
            write!(self.out, "<p>+ {count} {unshown}</p>")?;
        }
        self.out.write_str("</section>\n")
    }

    fn trouble(&mut self, trouble: &TroubleReport) -> fmt::Result {
        let title = self.word(&format!("trouble.{}", trouble.kind));
        let (subject, since) = (Html::of(&trouble.subject), self.word("since"));
        let (at, what) = (Utc(&trouble.since), self.foreign(&trouble.what));
        write!(self.out, "<tr><th scope=\"row\">{title}<br><span class=\"soft\">{subject}")?;
        if trouble.acknowledged {
            let comma = if trouble.subject.is_empty() { "" } else { ", " };
            write!(self.out, "{comma}{}", self.word("seen"))?;
        }
        let remedy = self.remedy(trouble);
        writeln!(
            self.out,
            "</span></th><td>{what}<br><span class=\"soft\">{since} {at}</span></td><td>{remedy}</td></tr>"
        )
    }

    /// The usual remedy in the page's language; a more exact one as it is.
    fn remedy(&self, trouble: &TroubleReport) -> String {
        let usual = TroubleKind::ALL.iter().any(|kind| kind.remedy() == trouble.remedy);
        if usual {
            self.word(&format!("do.{}", trouble.kind)).to_string()
        } else {
            self.foreign(&trouble.remedy)
        }
    }

    fn crossing(&mut self, status: &Status) -> fmt::Result {
        self.open("crossing")?;
        if status.crossing.is_empty() {
            return self.none("none-crossing");
        }
        self.titles("crossing", &["file", "lane", "progress", "bytes", "rate", "left"])?;
        for file in &status.crossing {
            let (lane, name) = (Html::of(&file.lane), Html::of(&file.file));
            let (done, rate) = (Bytes(file.done_bytes), Rate(file.bytes_per_second));
            write!(self.out, "<tr><th scope=\"row\">{name}</th><td>{lane}</td><td>")?;
            match (file.total_bytes, file.percent) {
                (Some(total), Some(percent)) => write!(
                    self.out,
                    "<progress max=\"100\" value=\"{percent}\" aria-label=\"{name}\"></progress> {percent} %</td>\
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

    /// A word, which needs no more escaping.
    fn word(&self, key: &str) -> Html<'static> {
        Html(self.language.word(key).to_owned().into())
    }

    /// A text that is only there in English.
    fn foreign(&self, text: &str) -> String {
        let text = Html::of(text);
        match self.language {
            Language::English => text.to_string(),
            Language::Chinese => format!("<span lang=\"en\">{text}</span>"),
        }
    }

    /// Begins a region, which its heading names.
    fn open(&mut self, key: &str) -> fmt::Result {
        let title = self.word(key);
        write!(self.out, "<section aria-labelledby=\"{key}\"><h2 id=\"{key}\">{title}</h2>")
    }

    fn none(&mut self, key: &str) -> fmt::Result {
        let none = self.word(key);
        writeln!(self.out, "<p class=\"soft\">{none}</p></section>")
    }

    fn close(&mut self) -> fmt::Result {
        self.out.write_str("</tbody></table></section>\n")
    }

    /// Begins a table that the heading `of` names.
    fn titles(&mut self, of: &str, keys: &[&str]) -> fmt::Result {
        write!(self.out, "<table class=\"{of}\" aria-labelledby=\"{of}\"><thead><tr>")?;
        for key in keys {
            let class = if NUMBERS.contains(key) { " class=\"n\"" } else { "" };
            let title = self.word(key);
            write!(self.out, "<th scope=\"col\"{class}>{title}</th>")?;
        }
        self.out.write_str("</tr></thead><tbody>\n")
    }

    fn age(&self, seconds: Option<u64>, none: &str) -> String {
        seconds.map_or_else(|| self.word(none).to_string(), |seconds| self.language.age(seconds))
    }

    fn ago(&self, seconds: Option<u64>) -> String {
        let ago = self.word("ago");
        seconds.map_or_else(
            || self.word("never").to_string(),
            |seconds| format!("{} {ago}", self.language.age(seconds)),
        )
    }
}

const STYLE: &str = include_str!("page.css");
/// Columns of numbers, which stand at the right.
const NUMBERS: &[&str] =
    &["rate", "left", "answer", "entries", "bytes", "refused", "held", "connections", "last"];
const HOLD: &str = "hold=1";
/// Often enough to follow a file, seldom enough to read in between.
const REFRESH_SECONDS: u32 = 10;
/// A page with a few rows of trouble, style included.
const PAGE_BYTES: usize = 16 * 1024;
/// A pipe with both pictures.
const PIPE_BYTES: usize = 2560;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Role;
    use crate::limits::PIPES_MAX;
    use crate::ops::board::{Board, Phase, PipeState, Report};
    use crate::ops::clock;

    const WALL: EpochMillis = EpochMillis(1_795_361_628_250);

    fn view(query: &str) -> View {
        View::of(query, "")
    }

    fn pages() -> [String; 2] {
        let now = clock::now();
        let board = Board::new(Role::Sender, "plant<7>", now);
        board.set_phase(Phase::Running);
        let row = board.pipes.row("to_zone_3", "10.53.53.53:9780", EpochMillis(0)).unwrap();
        row.say("<script>alert(1)</script>");
        row.set_backlog(0, 3, 3 << 20, now);
        board.raise(
            Report::new(TroubleKind::NoAnswer, "12 minutes").about("to_zone_3"),
            EpochMillis(0),
        );
        let crossing = board.crossings.begin("to_zone_3", "a&b.tsfile", Some(200), now);
        crossing.progress(100, now);
        board.landing.removed_files.set(17);
        let status = Status::of(&board, now);
        ["", "lang=zh"].map(|query| render(&status, view(query), WALL))
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
        assert!(english.contains("<title>! plant&lt;7&gt; - Penstock</title>"));
        assert!(chinese.contains("lang=\"zh-CN\"") && chinese.contains("50 %"));
        assert!(!chinese.contains("Needs a person"));
        assert!(!chinese.contains(TroubleKind::NoAnswer.remedy()));
        assert!(chinese.contains("<span lang=\"en\">12 minutes</span>"));
    }

    #[test]
    fn text_of_others_is_escaped() {
        let [english, _] = pages();
        assert!(english.contains("plant&lt;7&gt;") && english.contains("a&amp;b.tsfile"));
        assert!(english.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    }

    #[test]
    fn page_holds_still_when_it_is_told_to() {
        let now = clock::now();
        let status = Status::of(&Board::new(Role::Receiver, "", now), now);
        let follows = render(&status, view("lang=en"), WALL);
        assert!(follows.contains("href=\"/?lang=en&amp;hold=1\""), "{follows}");
        assert!(follows.contains("2026-11-22 15:33:48 UTC"));
        let held = render(&status, view("lang=zh&hold=1"), WALL);
        assert!(!held.contains("http-equiv"));
        for link in ["href=\"/?lang=zh\"", "href=\"/?lang=en&amp;hold=1\""] {
            assert!(held.contains(link), "{link}");
        }
    }

    /// The page of a pipe, after `tell`.
    fn page_of(tell: impl FnOnce(&Board, std::time::Instant)) -> String {
        let now = clock::now();
        let board = Board::new(Role::Sender, "plant7", now);
        board.set_phase(Phase::Running);
        board.pipes.row("a", "h:1", EpochMillis(0)).unwrap();
        tell(&board, now);
        render(&Status::of(&board, now + Duration::from_secs(1)), view(""), WALL)
    }

    #[test]
    fn pipe_says_what_it_does() {
        let row = |board: &Board| board.pipes.row("a", "", EpochMillis(0)).unwrap();
        assert!(page_of(|_, _| {}).contains("up to date"));
        let waits = page_of(|board, now| row(board).set_backlog(0, 1, 10, now));
        assert!(waits.contains("waiting for an answer"));
        let sends = page_of(|board, now| {
            row(board).set_backlog(0, 1, 10, now);
            row(board).accepted(1000, now);
        });
        assert!(sends.contains("sending") && !sends.contains("waiting for"));
        let troubled = page_of(|board, _| {
            board.raise(Report::new(TroubleKind::Refused, "0xFF").about("a"), EpochMillis(0));
        });
        assert!(troubled.contains("in trouble"));
        let stopped = page_of(|board, _| row(board).set_state(PipeState::Stopped, WALL));
        assert!(stopped.contains("stopped</span>") && stopped.contains("since 2026-11-22"));
    }

    #[test]
    fn trouble_that_was_seen_does_not_call() {
        let seen = page_of(|board, _| {
            board.raise(Report::new(TroubleKind::Refused, "0xFF").about("a"), EpochMillis(0));
            board.troubles.acknowledge(None);
        });
        assert!(!seen.contains("Needs a person") && seen.contains("<title>plant7"));
    }

    #[test]
    fn page_of_all_pipes_fits_the_memory_set_aside_for_it() {
        let start = clock::now();
        let board = Board::new(Role::Sender, "plant7", start);
        let mut now = start;
        for pipe in 0..PIPES_MAX {
            board.pipes.row(&format!("pipe_{pipe}"), "10.53.53.53:9780", WALL).unwrap();
        }
        for slot in 0..48 {
            now = start + Duration::from_secs(slot * 600);
            for row in board.pipes.all() {
                row.set_backlog(slot, slot + 1, (slot * 37 % 29) << 20, now);
                row.accepted((slot * 41 % 31) << 20, now);
            }
        }
        let page = render(&Status::of(&board, now), view("lang=zh"), WALL);
        assert!(page.len() <= PAGE_BYTES + PIPES_MAX * PIPE_BYTES, "{} bytes", page.len());
    }
}
