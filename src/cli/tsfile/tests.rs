//! The commands on the samples.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(subcommand)]
    command: TsFileCommand,
}

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples").join(name)
}

fn run(arguments: &[&str]) -> (String, Result<Ending, CliError>) {
    let line = Line::try_parse_from([&["tsfile"], arguments].concat()).expect("usage");
    let mut out = Vec::new();
    let ending = tsfile(&line.command, &mut out);
    (String::from_utf8(out).expect("text"), ending)
}

fn printed(arguments: &[&str]) -> String {
    let (text, ending) = run(arguments);
    assert_eq!(ending.expect("done"), Ending::Done, "{text}");
    text
}

#[test]
fn series_are_listed() {
    let path = sample("v3_aligned.tsfile");
    let text = printed(&["ls", path.to_str().expect("text")]);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("root.sg.d1.a INT64 aligned 5 points 1 to 256 PLAIN/UNCOMPRESSED 1 chunk "),
        "{text}"
    );
    assert!(words.contains("root.sg.d1.c BOOLEAN aligned 0 points no points "), "{text}");
    let dates = "(1970-01-01T00:00:00.001Z to 1970-01-01T00:00:00.256Z)";
    let last = format!("  1 device, 3 series, 6 points, times 1 to 256 {dates}\n");
    assert!(text.ends_with(&last), "{text}");
    let nanos = printed(&["ls", "--unit", "ns", path.to_str().expect("text")]);
    assert!(nanos.contains("(1970-01-01T00:00:00.000Z to 1970-01-01T00:00:00.000Z)"), "{nanos}");
}

#[test]
fn points_are_shown_in_each_format() {
    let path = sample("v3_tiny.tsfile");
    let path = path.to_str().expect("text");
    let csv = printed(&["show", path, "--format", "csv", "--series", "s1", "--from", "1500"]);
    assert_eq!(csv, "time,device,series,value\n2000,root.sg.d1,s1,-20\n3000,root.sg.d1,s1,30\n");
    let json = printed(&["show", path, "--format", "json", "--limit", "1"]);
    assert_eq!(json, "{\"time\":1000,\"device\":\"root.sg.d1\",\"series\":\"s1\",\"value\":10}\n");
    let dated = ["--from", "1970-01-01T08:00:02+08:00", "--to", "1970-01-01T00:00:02.5Z"];
    let two = printed(&[&["show", path, "--format", "csv"], &dated[..]].concat());
    assert_eq!(two, "time,device,series,value\n2000,root.sg.d1,s1,-20\n");
    let table = printed(&["show", path, "--limit", "1"]);
    let row = table.lines().nth(1).expect("a row");
    let row: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(row, ["1000", "1970-01-01T00:00:01.000Z", "root.sg.d1.s1", "10"]);
    let none = printed(&["show", path, "--device", "root.other.*"]);
    assert_eq!(none.lines().count(), 1, "the head");
}

#[test]
fn a_flaw_ends_with_3_and_soundness_with_0() {
    let folder = tempfile::tempdir().expect("folder");
    let flawed = folder.path().join("flawed.tsfile");
    let mut bytes = fs::read(sample("v3_tiny.tsfile")).expect("sample");
    bytes[0x38] ^= 1;
    fs::write(&flawed, bytes).expect("disk");
    let (text, ending) = run(&["check", flawed.to_str().expect("text")]);
    assert_eq!(ending.expect("found"), Ending::Found);
    assert!(text.contains("root.sg.d1.s1: the statistics of the series"), "{text}");
    assert!(printed(&["check", "--quick", flawed.to_str().expect("text")]).contains("sound"));
    let missing = folder.path().join("missing");
    let (_, ending) = run(&["check", missing.to_str().expect("text")]);
    assert!(matches!(ending, Err(CliError::NoFile { .. })));
}

#[test]
fn a_file_that_cannot_be_read_leaves_no_other_unchecked() {
    let folder = tempfile::tempdir().expect("folder");
    let missing = folder.path().join("missing.tsfile");
    let paths = [missing, folder.path().to_owned(), sample("v3_tiny.tsfile")];
    let names = paths.each_ref().map(|path| path.to_str().expect("text"));
    let (text, ending) = run(&["check", names[0], names[1], names[2]]);
    let told = ending.expect_err("two were not checked").to_string();
    assert_eq!(told, "2 of 3 files could not be read, so they are not checked");
    assert!(text.contains("is a directory") && text.contains(": sound, version 3"), "{text}");
}

#[test]
fn a_cut_of_nothing_says_so() {
    let folder = tempfile::tempdir().expect("folder");
    let output = folder.path().join("none.tsfile");
    let (path, output) = (sample("v3_tiny.tsfile"), output.to_str().expect("text").to_owned());
    let arguments = ["cut", path.to_str().expect("text"), "-o", &output, "--keep", "root.other.**"];
    let text = printed(&arguments);
    assert!(text.contains("0 points") && text.contains("no point matches"), "{text}");
}

#[test]
fn a_cut_honours_the_deletions_beside_the_file() {
    let folder = tempfile::tempdir().expect("folder");
    let from = folder.path().join("a.tsfile");
    fs::copy(sample("v3_tiny.tsfile"), &from).expect("disk");
    fs::write(folder.path().join("a.tsfile.mods"), "DELETION,root.sg.d1.s1,999,0,1000\n")
        .expect("disk");
    let to = folder.path().join("b.tsfile");
    let (from, to) = (from.to_str().expect("text"), to.to_str().expect("text"));
    let text = printed(&["cut", from, "-o", to, "--to", "2500"]);
    assert!(text.ends_with("1 device, 1 series, 1 point\n"), "{text}");
    assert!(printed(&["check", to]).contains("sound"));
    assert!(printed(&["show", to]).contains("-20"));
    let taken = run(&["cut", from, "-o", to]).1.expect_err("nothing is overwritten");
    assert!(taken.to_string().ends_with("b.tsfile: it is there already; choose another name"));
    assert_eq!(fs::read_dir(folder.path()).expect("folder").count(), 3, "no scratch is left");
}

#[test]
fn series_are_drawn() {
    let path = sample("v3_tiny.tsfile");
    let path = path.to_str().expect("text");
    let text = printed(&["plot", path, "--series", "root.sg.d1.s1"]);
    assert!(text.contains("30.000000 |") && text.ends_with("root.sg.d1.s1  -20 to 30\n"), "{text}");
    assert_eq!(printed(&["plot", path, "--series", "s1"]), text, "of all devices");
    let folder = tempfile::tempdir().expect("folder");
    let svg = folder.path().join("x.svg");
    printed(&["plot", path, "--series", "root.**", "--svg", svg.to_str().expect("text")]);
    assert!(fs::read_to_string(&svg).expect("picture").starts_with("<svg"));
    let none = run(&["plot", path, "--series", "root.none"]).1.expect_err("nothing matches");
    assert!(none.to_string().contains("tsfile ls "), "{none}");
}
