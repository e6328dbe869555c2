//! Texts that are statements, texts that are none, and what is printed of either.

mod properties;

use super::*;

fn one(text: &str) -> Statement {
    let parsed = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let [one] = &parsed[..] else { panic!("{text}: {} statements", parsed.len()) };
    assert!(one.warnings.is_empty(), "{text}: {:?}", one.warnings);
    one.statement.clone()
}

/// The first line of what is wrong with `text`.
fn wrong(text: &str) -> String {
    let error = parse(text).expect_err(text);
    format!("{} {}", error.code(), error.message())
}

const SYNTAX: &str = "700 Error occurred while parsing SQL to physical plan: line ";

#[test]
fn every_statement_has_one_canonical_form() {
    for (text, canonical) in [
        ("show PIPES", "SHOW PIPES"),
        (" Show Pipe a2b ;", "SHOW PIPE a2b"),
        ("show pipes where connector used by A2B", "SHOW PIPES WHERE SINK USED BY A2B"),
        ("show pipes where sink used by `1`", "SHOW PIPES WHERE SINK USED BY `1`"),
        ("show create pipe p", "SHOW CREATE PIPE p"),
        ("start pipe A2B", "START PIPE A2B"),
        ("stop pipe if", "STOP PIPE `if`"),
        ("drop pipe p;", "DROP PIPE p"),
        ("drop pipe if exists p", "DROP PIPE IF EXISTS p"),
        ("drop pipe if", "DROP PIPE `if`"),
        ("skip pipe p entry 17", "SKIP PIPE p ENTRY 17"),
        (
            "replay pipe p from 1 to 18446744073709551615",
            "REPLAY PIPE p FROM 1 TO 18446744073709551615",
        ),
        ("show pipeplugins", "SHOW PIPEPLUGINS"),
        ("drop pipeplugin if exists `my-sink`", "DROP PIPEPLUGIN IF EXISTS `my-sink`"),
        (
            "create pipeplugin if not exists csv as 'csv.py' using uri 'file:csv.py'",
            "CREATE PIPEPLUGIN IF NOT EXISTS csv AS 'csv.py' USING URI 'file:csv.py'",
        ),
        (
            "create pipe p ('sink.ip'='127.0.0.1', 'sink.port'=\"29781\",)",
            "CREATE PIPE p WITH SINK ('sink.ip'='127.0.0.1', 'sink.port'='29781')",
        ),
        (
            "create pipe if not exists `p-1` with extractor()with processor ('processor'='x')with connector('e'='it''s \"q\"')",
            "CREATE PIPE IF NOT EXISTS `p-1` WITH PROCESSOR ('processor'='x') WITH SINK ('e'='it''s \"q\"')",
        ),
        (
            "create pipe with with source ('a'='b') with sink ()",
            "CREATE PIPE `with` WITH SOURCE ('a'='b') WITH SINK ()",
        ),
        ("alter pipe p", "ALTER PIPE p"),
        (
            "alter pipe if exists p modify source ('a'='1') replace processor () modify connector ('b'='2')",
            "ALTER PIPE IF EXISTS p MODIFY SOURCE ('a'='1') REPLACE PROCESSOR () MODIFY SINK ('b'='2')",
        ),
        (
            "create pipe p -- why\n/* and ; how */ with sink ('a'='-- no comment')",
            "CREATE PIPE p WITH SINK ('a'='-- no comment')",
        ),
    ] {
        let statement = one(text);
        assert_eq!(statement.to_string(), canonical);
        assert_eq!(one(canonical), statement);
    }
}

#[test]
fn statements_stand_between_semicolons() {
    let parsed = parse(";; show pipes; -- first\nshow pipe p;;\n").expect("two");
    let texts: Vec<_> = parsed.iter().map(|parsed| parsed.statement.to_string()).collect();
    assert_eq!(texts, ["SHOW PIPES", "SHOW PIPE p"]);
    // One mistake anywhere, and nothing is done.
    assert_eq!(
        wrong("drop pipe p;\ndrop pipe"),
        format!("{SYNTAX}2:9 expected a pipe's name, found the end")
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn a_mistake_has_place_expectation_and_remedy() {
    for (text, message) in [
        ("", "1:0 there is no statement"),
        (" ; -- x", "1:7 there is no statement"),
        (
            "select 1",
            "1:0 expected CREATE, ALTER, START, STOP, DROP, SHOW, SKIP or REPLAY, found select",
        ),
        ("create", "1:6 expected PIPE or PIPEPLUGIN, found the end"),
        // Stock's places, as recorded.
        (
            "create pipe p with sink ('sink'='x','sink.port'='29781'",
            "1:55 expected ',' or ')', found the end (a ')' is missing at the end)",
        ),
        (
            "create pipe p with sink ('sink'='iotdb-air-gap-sink','sink.ip'='127.0.0.1','sink.port'='29781',,)",
            "1:95 expected a key in quotes or ')', found ','",
        ),
        (
            "create pipe p with sink (sink=iotdb-air-gap-sink)",
            "1:25 expected a key in quotes or ')', found sink (write 'sink')",
        ),
        (
            "create pipe p with sink ('sink'='iotdb-air-gap-sink','sink.port'=29781)",
            "1:65 expected a value in quotes, found 29781 (write '29781')",
        ),
        (
            "create pipe p with sink ('sink'='iotdb-air-gap-sink','sink.ip'='127.0.0.1','sink.port'='29781') with source ('source'='iotdb-source')",
            "1:96 expected ';' or the end of the statement, found with (the order is SOURCE, PROCESSOR, SINK, each at most once)",
        ),
        (
            "create pipe 'p' with sink ()",
            "1:12 expected a pipe's name, found a text in quotes (a name stands bare or in back quotes)",
        ),
        (
            "create pipe 12 with sink ()",
            "1:12 expected a pipe's name, found 12 (a name of digits needs back quotes: `12`)",
        ),
        (
            "create pipe p-1 with sink ()",
            "1:13 expected the rest of the statement, found '-' (a name with other letters needs back quotes: `p-...`)",
        ),
        // The rest.
        (
            "create pipe with sink ('a'='b')",
            "1:12 expected a pipe's name, found with (the pipe's name is missing)",
        ),
        ("create pipe p", "1:13 expected WITH or '(', found the end"),
        (
            "create pipe p with source ()",
            "1:28 expected WITH PROCESSOR or WITH SINK, found the end",
        ),
        ("create pipe p with processor ()", "1:31 expected WITH SINK, found the end"),
        (
            "create pipe p with processor () with source () with sink ()",
            "1:37 expected SINK, found source (the order is SOURCE, PROCESSOR, SINK, each at most once)",
        ),
        ("create pipe p with drain ()", "1:19 expected SOURCE, PROCESSOR or SINK, found drain"),
        ("create pipe p ('a'=='b')", "1:19 expected a value in quotes, found '='"),
        ("create pipe p ('a':'b')", "1:18 expected '=', found :"),
        (
            "create pipe p ('a'='b' c)",
            "1:23 expected ',' or ')', found c (a quote may be missing before)",
        ),
        ("create pipe p ('a'='b)", "1:19 the text after ' has no end: another ' is missing"),
        ("create pipe `p", "1:12 the text after ` has no end: another ` is missing"),
        ("create pipe p /* with", "1:14 the comment has no end: */ is missing"),
        (
            "create pipe p (\u{2018}a\u{2019}='b')",
            "1:15 expected a key in quotes or ')', found '\u{2018}' (this is a quote of word processors: write ')",
        ),
        ("alter pipe p sink ()", "1:13 expected ';' or the end of the statement, found sink"),
        (
            "alter pipe p modify sink () modify source ()",
            "1:35 expected the end of the statement, found source (the order is SOURCE, PROCESSOR, SINK, each at most once)",
        ),
        ("show pipes where source used by p", "1:17 expected SINK or CONNECTOR, found source"),
        ("show pipes where sink by p", "1:22 expected USED, found by"),
        ("drop pipe if exists", "1:19 expected a pipe's name, found the end"),
        ("skip pipe p entry -1", "1:18 expected the number of an entry, found '-'"),
        (
            "skip pipe p entry 18446744073709551616",
            "1:18 18446744073709551616 is not the number of an entry",
        ),
        (
            "create pipeplugin x as com.x.Y using uri 'u'",
            "1:23 expected the command in quotes, found com (write 'com')",
        ),
        ("start pipe p q", "1:13 expected ';' or the end of the statement, found q"),
    ] {
        assert_eq!(wrong(text), format!("{SYNTAX}{message}"), "{text}");
    }
    assert_eq!(
        wrong("replay pipe p from 7 to 6"),
        "701 line 1:24 the last entry lies before the first"
    );
    assert_eq!(
        wrong("create pipe __p ()"),
        "701 line 1:12 names that begin with __ are reserved (choose another name)"
    );
}

#[test]
fn the_misprints_of_the_user_guide_are_read_with_a_warning() {
    for (text, warning, canonical) in [
        (
            "create pipe AB with source (\n 'source.forwarding-pipe-requests' = 'false'\nwith sink ('sink'='x')",
            "line 3:0: a ')' is missing before with: read as if it were there",
            "CREATE PIPE AB WITH SOURCE ('source.forwarding-pipe-requests'='false') WITH SINK ('sink'='x')",
        ),
        (
            "create pipe AB with source ('a'='b', with sink ('sink'='x')",
            "line 1:37: a ')' is missing before with: read as if it were there",
            "CREATE PIPE AB WITH SOURCE ('a'='b') WITH SINK ('sink'='x')",
        ),
        (
            "create pipe A2B with sink ('ssl.trust-store-path'='pki/trusted'\n 'ssl.trust-store-pwd'='root')",
            "line 2:1: a ',' is missing before 'ssl.trust-store-pwd': read as if it were there",
            "CREATE PIPE A2B WITH SINK ('ssl.trust-store-path'='pki/trusted', 'ssl.trust-store-pwd'='******')",
        ),
        (
            "alter pipe p modify source ('a'='b' replace sink ()",
            "line 1:36: a ')' is missing before replace: read as if it were there",
            "ALTER PIPE p MODIFY SOURCE ('a'='b') REPLACE SINK ()",
        ),
        (
            "show pipe A2B.",
            "line 1:13: the '.' at the end is too much: read as if it were not there",
            "SHOW PIPE A2B",
        ),
    ] {
        let [parsed] = &parse(text).expect(text)[..] else { panic!("{text}") };
        let warnings: Vec<_> = parsed.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(warnings, [warning]);
        assert_eq!(parsed.statement.to_string(), canonical);
    }
    // A statement that ends too early may have been cut off: it is not completed.
    assert!(parse("create pipe p with source ('a'='b'").is_err());
    assert!(parse("create pipe p with sink ('a'='b'; show pipes").is_err());
}

#[test]
fn a_mistake_is_shown_with_a_caret_and_without_secrets() {
    let text = "create pipe p\nwith sink ('sink.password'='hunter2' = 'x')";
    let error = parse(text).expect_err("two equals signs");
    let expected = "Error occurred while parsing SQL to physical plan: line 2:37 expected ',' or ')', found '='\n\
                    with sink ('sink.password'='******' = 'x')\n\
                    \x20                                   ^";
    assert_eq!(error.to_string(), expected);
    assert!(!format!("{error:?}").contains("hunter"));
}

#[test]
fn secrets_are_printed_only_for_the_pipes_own_file() {
    let text = "create pipe p with sink ('sink.user'='root', 'sink.password'='secret', 'ssl.trust-store-pwd'='file:pw')";
    let statement = one(text);
    let shown = "CREATE PIPE p WITH SINK ('sink.user'='root', 'sink.password'='******', 'ssl.trust-store-pwd'='file:pw')";
    assert_eq!(statement.to_string(), shown);
    let revealed = Revealed(&statement);
    assert!(!format!("{statement:?} {revealed:?}").contains("secret"));
    assert_eq!(one(&revealed.to_string()), statement);
    let Statement::CreatePipe(create) = &statement else { panic!("{statement}") };
    assert_eq!(
        Cell(&create.definition.sink).to_string(),
        "{sink.password=******, sink.user=root, ssl.trust-store-pwd=file:pw}"
    );
    assert_eq!(Cell(&create.definition.source).to_string(), "{}");
}

#[test]
fn what_a_text_may_hold_is_bounded() {
    use crate::limits::{ATTRIBUTES_MAX, STATEMENT_BYTES_MAX, STATEMENTS_MAX};
    let fault = |text: &str| parse(text).expect_err("too much").fault;
    let clause = |count: usize| format!("create pipe p ({})", "'a'='b',".repeat(count));
    assert!(parse(&clause(ATTRIBUTES_MAX)).is_ok());
    assert_eq!(fault(&clause(ATTRIBUTES_MAX + 1)), Fault::TooManyAttributes);
    assert_eq!(fault(&clause(10_000)), Fault::TooLong);
    assert!(parse(&"show pipes;".repeat(STATEMENTS_MAX)).is_ok());
    assert_eq!(fault(&"show pipes;".repeat(STATEMENTS_MAX + 1)), Fault::TooManyStatements);
    assert_eq!(fault(&" ".repeat(STATEMENT_BYTES_MAX + 1)), Fault::TooLong);
    assert_eq!(fault(&"(".repeat(1 << 20)), Fault::TooLong);
    // As deep, or as broken, as a text of this size can be.
    for part in [
        "(",
        "/*",
        "--\n",
        "'",
        "`",
        "\"\"",
        "create pipe p (",
        "'a'='b' ",
        "with sink (",
        "if not ",
    ] {
        let text = part.repeat(STATEMENT_BYTES_MAX / part.len());
        assert!(parse(&text).is_err(), "{part}");
        let text = format!("create pipe p ({text}");
        assert!(parse(text.get(..STATEMENT_BYTES_MAX).expect("ASCII")).is_err(), "{part}");
    }
}

#[test]
fn too_many_misprints_are_no_misprints() {
    let clause = |count: usize| format!("create pipe p ({})", "'a'='b' ".repeat(count));
    assert_eq!(parse(&clause(9)).expect("eight commas")[0].warnings.len(), 8);
    assert!(parse(&clause(10)).is_err());
}
