//! House rules that no lint can check: the order of layers, file length, characters, leftovers.

#![expect(clippy::unwrap_used, reason = "a source that cannot be read fails the test")]

use std::fs;
use std::path::{Path, PathBuf};

/// The layers of `ARCHITECTURE.md` in flow order, with the modules of each: a file imports from its
/// own module or from a layer above it here, never from a neighbour or downwards: so there is no
/// cycle of modules.
const LAYERS: &[&[&str]] = &[
    &["limits"],
    &["data"],
    &["wire", "tsfile"],
    &["statement"],
    &["config"],
    &["spool"],
    &["twin"],
    &["link", "pipe"],
    &["ops"],
    &["keep"],
    &["intake", "sink"],
    &["node"],
    &["cli"],
];
/// Lines before a file's tests; a longer file does more than one thing.
const LINES_MAX: usize = 500;
const LEFTOVERS: &[&str] = &["TODO", "FIXME", "XXX", "dbg!("];
/// Where the programs' sources are; tests have other rules.
const SOURCES: &[&str] = &["src", "sender/src", "receiver/src"];

#[test]
fn source_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files: Vec<PathBuf> = SOURCES.iter().flat_map(|dir| rust_files(&root.join(dir))).collect();
    let faults: Vec<String> = files
        .iter()
        .flat_map(|path| {
            let name = path.strip_prefix(root).unwrap().display().to_string();
            faults_of(&name, &fs::read_to_string(path).unwrap())
        })
        .collect();
    assert!(faults.is_empty(), "untidy:\n{}", faults.join("\n"));
}

#[test]
fn every_module_has_a_layer() {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let text = fs::read_to_string(library).unwrap();
    let modules: Vec<&str> =
        text.lines().filter_map(|line| line.strip_prefix("pub mod ")).collect();
    assert!(!modules.is_empty());
    for module in modules {
        assert!(layer_of(module).is_some(), "{module} is in no layer of {LAYERS:?}");
    }
}

#[test]
fn an_untidy_file_is_seen() {
    let faults = |text: &str| faults_of("src/spool/mod.rs", text).len();
    assert_eq!(faults("use crate::wire::frame;\n"), 0);
    assert_eq!(faults("use crate::spool::disk;\n"), 0);
    assert_eq!(faults("use crate::link::sender;\n"), 1);
    assert_eq!(faults_of("src/sink/air_gap.rs", "use crate::intake::gate;\n").len(), 1);
    assert_eq!(faults("use crate::{limits::{KIB, MIB}, node};\n"), 1);
    assert_eq!(faults("use crate::{\n    data,\n    ops::board,\n};\n"), 1);
    assert_eq!(faults("/// Read by [`crate::link`].\n"), 0);
    assert_eq!(faults("#[cfg(test)]\nmod tests { use crate::link::sender; }\n"), 0);
    assert_eq!(faults_of("src/spool/tests.rs", "use crate::link::sender;\n").len(), 0);
    assert_eq!(faults("// \u{e9}\n"), 1);
    assert_eq!(faults("// TODO\n"), 1);
    assert_eq!(faults(&"\n".repeat(LINES_MAX + 1)), 1);
}

fn faults_of(name: &str, text: &str) -> Vec<String> {
    // Made by thrift's compiler.
    if name == "src/wire/thrift/generated.rs" {
        return Vec::new();
    }
    let code = if is_test(name) { "" } else { before_tests(text) };
    let mut faults = Vec::new();
    if code.lines().count() > LINES_MAX {
        faults.push(format!("{name}: more than {LINES_MAX} lines before its tests"));
    }
    if let Some(line) = text.lines().position(|line| !line.is_ascii()) {
        faults.push(format!("{name}:{}: not ASCII", line + 1));
    }
    for word in LEFTOVERS.iter().filter(|word| text.contains(**word)) {
        faults.push(format!("{name}: leftover {word}"));
    }
    let Some(path) = name.strip_prefix("src/") else { return faults };
    let Some(own) = layer_of(path) else { return faults };
    for module in imports(code).into_iter().filter(|module| *module != first_word(path)) {
        if layer_of(&module).is_some_and(|used| used >= own) {
            faults.push(format!("{name}: imports {module}, which is in no layer above its own"));
        }
    }
    faults
}

/// A file of tests that has a place of its own beside what it tests.
fn is_test(name: &str) -> bool {
    name.ends_with("/tests.rs") || name.contains("/tests/")
}

fn before_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or_default()
}

/// The module after every `crate::`, comments left out; of `crate::{a::b, c}` both `a` and `c`.
fn imports(code: &str) -> Vec<String> {
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code: String = lines.flat_map(|line| [line, "\n"]).collect();
    code.split("crate::").skip(1).flat_map(modules_of).collect()
}

fn modules_of(path: &str) -> Vec<String> {
    let Some(list) = path.strip_prefix('{') else { return vec![first_word(path)] };
    let mut depth = 1;
    let mut outer = String::new();
    for letter in list.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ if depth == 1 => outer.push(letter),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    outer.split(',').map(first_word).collect()
}

fn first_word(path: &str) -> String {
    path.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn layer_of(path: &str) -> Option<usize> {
    let module = first_word(path);
    LAYERS.iter().position(|layer| layer.contains(&module.as_str()))
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            found.push(path);
        }
    }
    found
}
