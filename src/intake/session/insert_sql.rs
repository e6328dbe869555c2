//! `INSERT` as a statement: rows of one device, in texts.
//!
//! ```text
//!  INSERT INTO root.d (timestamp, a, `b.c`) ALIGNED VALUES (1700000000000, 1.5, 'x'), (now() - 1h, true, null)
//!
//!  time    a number in the node's unit, a date, now(); with + and - of 1w2d3h4m5s6ms7us8ns; wherever it stands, or nowhere
//!  value   '...' or "..." TEXT | X'..' BLOB | true, false BOOLEAN | numbers, NaN DOUBLE | a date, now() INT64 | null
//! ```
//!
//! Defined by `insertStatement` of IoTDB's `IoTDBSqlParser.g4`, and by the types that its server infers for series that it does
//! not know. A statement is read twice, to be checked and to be put, so that it takes no more memory than its text.

use std::borrow::Cow;

use crate::data::{DataType, path};
use crate::limits::COLUMNS_MAX;
use crate::statement::{Clock, Moment};
use crate::wire::bytes::Writer;
use crate::wire::thrift::infer::{put_inferred, put_text};
use crate::wire::thrift::inserts::{
    Refusal, check_device, check_series, in_series, put_row, put_rows, refusal,
};
use crate::wire::thrift::status::Code;

/// A statement that is checked.
#[derive(Debug)]
pub(super) struct Insert<'a> {
    device: String,
    series: Vec<Cow<'a, str>>,
    /// Which of the values is the time.
    time_at: Option<usize>,
    is_aligned: bool,
    /// What stands behind `VALUES`.
    rows: &'a str,
    count: usize,
    zone: Zone,
}

/// What times are read by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Zone {
    clock: Clock,
    /// The session's zone is one whose offset is known here.
    is_known: bool,
}

impl Zone {
    /// Of a session's time zone: an offset, or a name of UTC.
    pub(super) fn of(name: &str, clock: Clock) -> Self {
        let offset = offset_of(name);
        let clock = Clock { offset_seconds: offset.unwrap_or(0), ..clock };
        Self { clock, is_known: offset.is_some() }
    }
}

/// Whether a statement is one.
pub(super) fn is_insert(text: &str) -> bool {
    keyword(&mut { text }, "INSERT")
}

impl<'a> Insert<'a> {
    /// Reads it and checks all its rows.
    ///
    /// # Errors
    /// What is wrong, or of a name that no IoTDB takes.
    pub(super) fn read(text: &'a str, zone: Zone) -> Result<Self, Refusal> {
        let mut rest = text;
        expect_keyword(&mut rest, "INSERT")?;
        expect_keyword(&mut rest, "INTO")?;
        blank(&mut rest);
        let (device, behind) = until(rest, |letter| letter == '(' || letter.is_whitespace());
        let device = path::nodes(device).map(path::unquoted).collect::<Vec<_>>().join(".");
        rest = behind;
        let (series, time_at) = columns(&mut rest)?;
        let is_aligned = keyword(&mut rest, "ALIGNED");
        expect_keyword(&mut rest, "VALUES")?;
        check_device(&device, series.len())?;
        series.iter().try_for_each(|name| check_series(&device, name))?;
        let mut insert = Self { device, series, time_at, is_aligned, rows: rest, count: 0, zone };
        let mut count = 0;
        insert.each_row(|_, _| count += 1)?;
        if time_at.is_none() && count > 1 {
            return Err(semantic("need timestamps when insert multi rows"));
        }
        insert.count = count;
        Ok(insert)
    }

    /// Puts the node of its rows.
    pub(super) fn put_node(&self, out: &mut Writer<'_>) {
        put_rows(self.count, out, |out| {
            let put = self.each_row(|time, cells| {
                let place = (time, self.device.as_str(), self.series.len());
                let names = self.series.iter().map(AsRef::as_ref);
                put_row(out, place, names, self.is_aligned, |out| out.put(cells));
            });
            debug_assert!(put.is_ok(), "it was checked");
        });
    }

    /// Gives the time and the cells of each row.
    fn each_row(&self, mut on: impl FnMut(i64, &[u8])) -> Result<(), Refusal> {
        let mut rest = self.rows;
        let mut cells = Vec::new();
        loop {
            cells.clear();
            let time = self.row(&mut rest, &mut cells)?;
            on(time, &cells);
            if !symbol(&mut rest, ',') {
                break;
            }
        }
        symbol(&mut rest, ';');
        blank(&mut rest);
        if rest.is_empty() { Ok(()) } else { Err(unread(rest, "a comma, or the end")) }
    }

    fn row(&self, rest: &mut &'a str, cells: &mut Vec<u8>) -> Result<i64, Refusal> {
        if !symbol(rest, '(') {
            return Err(unread(rest, "a row in brackets"));
        }
        let mut time = None;
        let (mut number, mut names) = (0, self.series.iter());
        loop {
            let constant = Constant::take(rest)?;
            if Some(number) == self.time_at {
                time = Some(constant.time(self.zone)?);
            } else {
                let name = names.next().ok_or_else(|| self.counts_differ())?;
                let mut out = Writer::append(cells, usize::MAX);
                constant.put(self.zone, &self.device, name, &mut out)?;
            }
            number += 1;
            if !symbol(rest, ',') {
                break;
            }
        }
        if !symbol(rest, ')') {
            return Err(unread(rest, "a comma, or the end of the row"));
        }
        if names.next().is_some() {
            return Err(self.counts_differ());
        }
        match (self.time_at, time) {
            (None, _) => Ok(Moment::Now.resolve(self.zone.clock)),
            (Some(_), Some(time)) => Ok(time),
            (Some(_), None) => Err(self.counts_differ()),
        }
    }

    fn counts_differ(&self) -> Refusal {
        let all = self.series.len() + usize::from(self.time_at.is_some());
        semantic(&format!("{}: a row has not the {all} values of its columns", self.device))
    }
}

/// Names in brackets, and which of them is the time.
type Columns<'a> = (Vec<Cow<'a, str>>, Option<usize>);

fn columns<'a>(rest: &mut &'a str) -> Result<Columns<'a>, Refusal> {
    if !symbol(rest, '(') {
        return Err(unread(rest, "columns in brackets"));
    }
    let (mut series, mut time_at) = (Vec::new(), None);
    loop {
        blank(rest);
        let ends = |letter: char| matches!(letter, ',' | ')' | '(') || letter.is_whitespace();
        let (name, behind) = until(rest, ends);
        *rest = behind;
        if name.eq_ignore_ascii_case("time") || name.eq_ignore_ascii_case("timestamp") {
            if time_at.replace(series.len()).is_some() {
                return Err(semantic("one row should only have one time value"));
            }
        } else {
            series.push(Cow::Borrowed(path::unquoted(name)));
        }
        if series.len() > COLUMNS_MAX {
            return Err(semantic(&format!("more than {COLUMNS_MAX} columns")));
        }
        if !symbol(rest, ',') {
            break;
        }
    }
    if !symbol(rest, ')') {
        return Err(unread(rest, "a comma, or the end of the columns"));
    }
    if series.is_empty() {
        return Err(semantic("InsertStatement should contain at least one measurement"));
    }
    Ok((series, time_at))
}

/// A value as it is written.
enum Constant<'a> {
    /// In quotes.
    Text(Cow<'a, str>),
    /// Anything else.
    Word(&'a str),
}

impl<'a> Constant<'a> {
    fn take(rest: &mut &'a str) -> Result<Self, Refusal> {
        blank(rest);
        if let Some(quote) = rest.chars().next().filter(|letter| matches!(letter, '\'' | '"')) {
            return quoted(rest, quote).map(Self::Text);
        }
        let mut depth = 0_u32;
        let mut is_quoted = false;
        let end = rest.find(|letter| {
            match letter {
                '\'' => is_quoted = !is_quoted,
                '(' if !is_quoted => depth += 1,
                ')' if !is_quoted && depth > 0 => depth -= 1,
                ')' | ',' if !is_quoted => return depth == 0,
                _ => {}
            }
            false
        });
        let (word, behind) = rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or_default();
        let word = word.trim();
        if word.is_empty() {
            return Err(unread(rest, "a value"));
        }
        *rest = behind;
        Ok(Self::Word(word))
    }

    fn time(&self, zone: Zone) -> Result<i64, Refusal> {
        match self {
            Self::Text(_) => Err(semantic("a time stands without quotes")),
            Self::Word(word) => moment(word, zone)?
                .ok_or_else(|| semantic(&format!("{word:?} cannot be parsed to time"))),
        }
    }

    fn put(
        &self,
        zone: Zone,
        device: &str,
        name: &str,
        out: &mut Writer<'_>,
    ) -> Result<(), Refusal> {
        let word = match self {
            Self::Text(text) => {
                put_text(text, out);
                return Ok(());
            }
            Self::Word(word) => *word,
        };
        let inferred = match word.strip_prefix(['+', '-']) {
            _ if word.eq_ignore_ascii_case("null") => Some(Cow::Borrowed("null")),
            _ if word.eq_ignore_ascii_case("nan") => Some(Cow::Borrowed("NaN")),
            Some(number) if is_number(number.trim()) => {
                let sign = word.get(..1).unwrap_or_default();
                Some(Cow::Owned(format!("{sign}{}", number.trim())))
            }
            None if is_known_word(word) || is_number(word) => Some(Cow::Borrowed(word)),
            _ => None,
        };
        if let Some(text) = inferred {
            return put_inferred(&text, out).map_err(|why| in_series(device, name, &why));
        }
        let Some(time) = moment(word, zone)? else {
            return Err(unread(word, "a value; a text stands in quotes"));
        };
        out.u8(DataType::Int64.code());
        out.i64(time);
        Ok(())
    }
}

fn is_known_word(word: &str) -> bool {
    word.eq_ignore_ascii_case("true")
        || word.eq_ignore_ascii_case("false")
        || word.starts_with("X'") && word.ends_with('\'')
}

/// Digits, with a point and an exponent or without.
fn is_number(word: &str) -> bool {
    let is_letter =
        |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-');
    word.bytes().all(is_letter) && word.parse::<f64>().is_ok()
}

/// A point in time with durations added and taken off; none if it is not one.
fn moment(word: &str, zone: Zone) -> Result<Option<i64>, Refusal> {
    let mut base = word;
    let mut nanos = 0_i128;
    let found = loop {
        if let Some(found) = Moment::parse(base.trim()) {
            break found;
        }
        let Some(at) = base.rfind(['+', '-']) else { return Ok(None) };
        let (before, written) = base.split_at_checked(at).unwrap_or_default();
        let Some(duration) = duration(written.get(1..).unwrap_or_default().trim()) else {
            return Ok(None);
        };
        nanos += if written.starts_with('-') { -duration } else { duration };
        base = before;
    };
    if matches!(found, Moment::Local(..)) && !zone.is_known {
        return Err(semantic(
            "the session's time zone is not known here: write the offset, as in 2024-01-01T00:00:00+08:00, or a number",
        ));
    }
    let nanos_each = i128::from(1_000_000_000 / units(zone.clock));
    let time = i128::from(found.resolve(zone.clock)) + nanos / nanos_each;
    Ok(i64::try_from(time).ok())
}

/// Units of a second.
const fn units(clock: Clock) -> i64 {
    match clock.precision {
        crate::data::Precision::Ms => 1_000,
        crate::data::Precision::Us => 1_000_000,
        crate::data::Precision::Ns => 1_000_000_000,
    }
}

/// Nanoseconds of a duration without months and years, whose lengths differ.
fn duration(written: &str) -> Option<i128> {
    let mut rest = written;
    let mut nanos = 0_i128;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at_checked(digits).filter(|_| digits > 0)?;
        let letters = behind.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, behind) = behind.split_at_checked(letters)?;
        let seconds = |count: i128| count * 1_000_000_000;
        let each = match unit.to_ascii_lowercase().as_str() {
            "w" => seconds(7 * 86_400),
            "d" => seconds(86_400),
            "h" => seconds(3_600),
            "m" => seconds(60),
            "s" => seconds(1),
            "ms" => 1_000_000,
            "us" => 1_000,
            "ns" => 1,
            _ => return None,
        };
        nanos = nanos.checked_add(i128::from(number.parse::<i64>().ok()?) * each)?;
        rest = behind;
    }
    (!written.is_empty()).then_some(nanos)
}

/// Seconds east of Greenwich of a zone that is an offset, or a name of UTC.
fn offset_of(zone: &str) -> Option<i32> {
    let names = ["Etc/UTC", "Etc/GMT", "UTC", "GMT", "UT", "Z"];
    let rest = names.into_iter().find_map(|name| zone.strip_prefix(name)).unwrap_or(zone);
    if rest.is_empty() {
        return (!zone.is_empty()).then_some(0);
    }
    // The names below Etc have their signs the other way round.
    if zone.starts_with("Etc/") {
        return None;
    }
    let (sign, digits) = match rest.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, rest.strip_prefix('+')?),
    };
    let digits = digits.replace(':', "");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = match digits.len() {
        1 | 2 => (digits.as_str(), "0"),
        4 => digits.split_at_checked(2)?,
        _ => return None,
    };
    let (hours, minutes): (i32, i32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours <= 18 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// Skips white space and comments.
fn blank(rest: &mut &str) {
    loop {
        *rest = rest.trim_start();
        if let Some(comment) = rest.strip_prefix("--") {
            *rest = comment.split_once('\n').map_or("", |(_, behind)| behind);
        } else if let Some((_, behind)) =
            rest.strip_prefix("/*").and_then(|rest| rest.split_once("*/"))
        {
            *rest = behind;
        } else {
            return;
        }
    }
}

fn symbol(rest: &mut &str, wanted: char) -> bool {
    blank(rest);
    let behind = rest.strip_prefix(wanted);
    *rest = behind.unwrap_or(rest);
    behind.is_some()
}

fn keyword(rest: &mut &str, wanted: &str) -> bool {
    blank(rest);
    let Some((word, behind)) = rest.split_at_checked(wanted.len()) else { return false };
    let goes_on = behind.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_');
    let is_it = word.eq_ignore_ascii_case(wanted) && !goes_on;
    if is_it {
        *rest = behind;
    }
    is_it
}

fn expect_keyword(rest: &mut &str, wanted: &str) -> Result<(), Refusal> {
    if keyword(rest, wanted) { Ok(()) } else { Err(unread(rest, wanted)) }
}

/// What stands before the first letter outside back quotes that `ends` it, and the rest.
fn until(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    let mut is_quoted = false;
    let end = text.find(|letter| {
        is_quoted ^= letter == '`';
        !is_quoted && ends(letter)
    });
    text.split_at_checked(end.unwrap_or(text.len())).unwrap_or_default()
}

/// Takes a text in quotes off, of which those within are doubled.
fn quoted<'a>(rest: &mut &'a str, quote: char) -> Result<Cow<'a, str>, Refusal> {
    let inner = rest.strip_prefix(quote).unwrap_or(rest);
    let mut letters = inner.char_indices().peekable();
    let mut is_doubled = false;
    while let Some((at, letter)) = letters.next() {
        if letter != quote {
            continue;
        }
        if letters.next_if(|(_, next)| *next == quote).is_some() {
            is_doubled = true;
            continue;
        }
        *rest = inner.get(at + quote.len_utf8()..).unwrap_or_default();
        let raw = inner.get(..at).unwrap_or_default();
        let one = String::from(quote);
        let text = if is_doubled { raw.replace(&one.repeat(2), &one).into() } else { raw.into() };
        return Ok(text);
    }
    Err(unread(rest, "the end of a text in quotes"))
}

/// Letters of a statement that an error shows.
const SHOWN_LETTERS: usize = 40;

fn unread(rest: &str, expected: &str) -> Refusal {
    let shown: String = rest.chars().take(SHOWN_LETTERS).collect();
    let message = format!("INSERT cannot be read at {shown:?}: expected {expected}");
    refusal(Code::SQL_PARSE_ERROR, &message)
}

fn semantic(why: &str) -> Refusal {
    refusal(Code::SEMANTIC_ERROR, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Precision;
    use crate::wire::thrift::inserts::measured;

    fn zone(name: &str) -> Zone {
        let clock = Clock { precision: Precision::Ms, offset_seconds: 0, now_millis: 1_000_000 };
        Zone::of(name, clock)
    }

    /// Time and cells of each row.
    type Rows = Vec<(i64, Vec<u8>)>;

    fn rows(text: &str) -> Result<Rows, (i32, String)> {
        let told = |refusal: Refusal| (refusal.0.code, refusal.0.message.unwrap_or_default());
        let insert = Insert::read(text, zone("UTC+2")).map_err(told)?;
        let mut rows = Vec::new();
        insert.each_row(|time, cells| rows.push((time, cells.to_vec()))).map_err(told)?;
        assert_eq!(rows.len(), insert.count);
        let mut bytes = Vec::new();
        let needed = measured(|out| insert.put_node(out));
        insert.put_node(&mut Writer::into_vec(&mut bytes, needed));
        assert_eq!(bytes.len(), needed);
        Ok(rows)
    }

    #[test]
    fn rows_are_read_as_a_server_reads_them() {
        let text = "insert into root.sg.`d-1`(a, Timestamp, `b`, c,d ) aligned VALUES \
                    ( 1 , 5, 'it''s', true, NULL),(-1.5e1,-6,\"x,)\", X'0a', now() + 1d) ;";
        let day = [&[2][..], &i64::to_be_bytes(1_000_000 + 86_400_000)].concat();
        let double = |value: f64| [&[4][..], &value.to_be_bytes()].concat();
        assert_eq!(
            rows(text),
            Ok(vec![
                (5, [double(1.0), b"\x05\0\0\0\x04it's\0\x01\xfe".to_vec()].concat()),
                (
                    -6,
                    [double(-15.0), b"\x05\0\0\0\x03x,)\x0a\0\0\0\x01\x0a".to_vec(), day].concat()
                ),
            ])
        );
        let insert = Insert::read(text, zone("Z")).expect("sound");
        assert_eq!((insert.device.as_str(), insert.is_aligned), ("root.sg.`d-1`", true));
        assert_eq!(insert.series, ["a", "b", "c", "d"]);
        // Without a time it is the present.
        assert_eq!(rows("INSERT INTO root.d(a) VALUES (- 2)"), Ok(vec![(1_000_000, double(-2.0))]));
    }

    #[test]
    fn times_are_numbers_dates_and_what_is_added_to_them() {
        let time = |text: &str| {
            let text = format!("insert into root.d(time,a) values({text},1)");
            rows(&text).map(|rows| rows[0].0).map_err(|(code, _)| code)
        };
        assert_eq!(time("1970-01-02"), Ok(86_400_000 - 7_200_000));
        assert_eq!(time("1970-01-02T00:00:00.5Z"), Ok(86_400_500));
        assert_eq!(time("1970-01-02 00:00:00+01:00 - 1h30m + 2ms"), Ok(86_400_000 - 9_000_000 + 2));
        assert_eq!(time("NOW()"), Ok(1_000_000));
        assert_eq!((time("now() + 1mo"), time("'5'"), time("x")), (Err(701), Err(701), Err(701)));
        assert_eq!(time("9223372036854775808"), Err(701));
        let named =
            Insert::read("insert into root.d(time,a) values(2024-01-01,1)", zone("Asia/Shanghai"));
        let message = named.expect_err("no offset").0.message.unwrap_or_default();
        assert!(message.contains("time zone is not known"), "{message}");
        for (name, seconds) in
            [("UTC", 0), ("+08:00", 28_800), ("UTC-3", -10_800), ("GMT+0530", 19_800)]
        {
            assert_eq!(offset_of(name), Some(seconds), "{name}");
        }
        assert_eq!(["", "Etc/GMT+1", "CET", "+8x", "+99"].map(offset_of), [None; 5]);
    }

    #[test]
    fn what_is_no_insert_is_told_where() {
        for (text, code, words) in [
            ("insert into root.d values(1)", 700, "columns in brackets"),
            ("insert into root.d(a) values(1", 700, "the end of the row"),
            ("insert into root.d(a) values(abc)", 700, "stands in quotes"),
            ("insert into root.d(a) values('abc)", 700, "the end of a text"),
            ("insert into root.d(a) values(1) x", 700, "or the end"),
            ("insert into root.d(a) values()", 700, "a value"),
            ("insert root.d(a) values(1)", 700, "INTO"),
            ("insert into root.d(a,b) values(1)", 701, "2 values"),
            ("insert into root.d(a) values(1,2)", 701, "1 values"),
            ("insert into root.d(time,a) values(1)", 701, "2 values"),
            ("insert into root.d(time) values(1)", 701, "at least one measurement"),
            ("insert into root.d(time,timestamp,a) values(1,1,1)", 701, "one time value"),
            ("insert into root.d(a) values(1),(2)", 701, "need timestamps"),
            ("insert into d(a) values(1)", 509, "not a legal path"),
            ("insert into root.d(a*) values(1)", 509, "not a legal path"),
            ("insert into root.d(a) values(1e999)", 303, "larger than any double"),
        ] {
            let (got, message) = rows(text).expect_err(text);
            assert!(got == code && message.contains(words), "{text}: {got} {message}");
        }
        assert!(is_insert(" /* x */ Insert into") && !is_insert("inserting"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(
            text in proptest::collection::vec(
                proptest::sample::select(vec![
                    "insert ", "into ", "root.d", "(", ")", ",", "time", "a", "`", "'", "\"", " values", "1", "-", "+",
                    "now()", "2024-01-01", "1d", "null", "X'", "0a", "\u{6c34}", ";", "--", "/*", "*/", "\n", "e", ".",
                ]),
                0..25,
            )
        ) {
            let text = format!("insert into root.d(time,a) values(1,{}", text.concat());
            let _read = Insert::read(&text, zone("Z"));
        }
    }
}
