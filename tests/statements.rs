//! Statements of people and of a recorded stock IoTDB against what the text alone decides: whether it is accepted,
//! with which code and message, and what is said besides.

use std::path::Path;

use penstock::statement::{
    Externals, Parsed, PluginName, Remark, Statement, StatusCode, Surroundings, Weight, parse,
};
use penstock_test_support::statements::cases;

/// What the text decides.
#[derive(Debug, Default)]
struct Outcome {
    errors: Vec<(StatusCode, String)>,
    /// The first error's message without key and hint.
    bare: String,
    besides: Vec<String>,
}

#[test]
fn what_the_user_guide_promises_is_kept() {
    let text = include_str!("statements/acceptance.txt");
    let cases = cases(text);
    assert!(cases.len() > 50, "{}", cases.len());
    let mut broken = Vec::new();
    for case in &cases {
        let (ours, expected) = (sorted(&decide(&case.statement).lines()), sorted(&case.expected));
        if ours != expected {
            broken.push(format!("{}: {ours:#?}\nexpected {expected:#?}", case.title));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn a_stock_iotdb_was_recorded_with_the_same_codes_and_messages() {
    let text = include_str!("statements/iotdb-1.3.3.txt");
    let cases = cases(text);
    assert!(cases.len() > 70, "{}", cases.len());
    for case in &cases {
        let outcome = decide(&case.statement);
        let [stock] = &case.expected[..] else { panic!("{case:?}") };
        if case.differs.is_empty() {
            let ours = outcome.as_stock_says_it();
            assert_eq!(ours, place_only(stock), "{}", case.statement);
        } else {
            assert_ne!(outcome.as_stock_says_it(), place_only(stock), "{}", case.statement);
            assert_eq!(sorted(&outcome.lines()), sorted(&case.differs), "{}", case.statement);
        }
    }
}

fn decide(text: &str) -> Outcome {
    let mut outcome = Outcome::default();
    match parse(text) {
        Err(error) => outcome.refuse(error.code(), &error.message(), error.message()),
        Ok(parsed) => {
            for Parsed { statement, warnings } in parsed {
                outcome.besides.extend(warnings.iter().map(|each| format!("warning {each}")));
                outcome.check(&statement);
            }
        }
    }
    outcome
}

impl Outcome {
    fn check(&mut self, statement: &Statement) {
        let names = [PluginName::new("my-plugin")];
        let externals = Externals::Created(&names);
        match statement {
            Statement::CreatePipe(create) => {
                let surroundings = Surroundings { base: Path::new("/etc/penstock"), externals };
                let checked = create.definition.check(surroundings);
                self.take(&checked.remarks);
                assert_eq!(checked.settings.is_some(), self.errors.is_empty());
            }
            Statement::AlterPipe(alter) => self.take(&alter.check(externals)),
            Statement::CreatePlugin(create) => {
                if let Err(error) = create.check() {
                    self.refuse(error.code(), &error.to_string(), error.to_string());
                }
            }
            Statement::DropPlugin { name, .. } => {
                if let Err(error) = name.check_drop() {
                    self.refuse(error.code(), &error.to_string(), error.to_string());
                }
            }
            Statement::StartPipe { .. }
            | Statement::StopPipe { .. }
            | Statement::DropPipe { .. }
            | Statement::ShowPipes
            | Statement::ShowPipe { .. }
            | Statement::ShowPipesUsing { .. }
            | Statement::ShowCreatePipe { .. }
            | Statement::SkipEntry { .. }
            | Statement::Replay { .. }
            | Statement::ShowPlugins => {}
        }
    }

    fn take(&mut self, remarks: &[Remark]) {
        for remark in remarks {
            match remark.weight {
                Weight::Warning => self.besides.push(format!("warning {remark}")),
                Weight::NotInBuild => self.besides.push(format!("absent {remark}")),
                Weight::Error => {
                    self.refuse(StatusCode::Pipe, &remark.message, remark.to_string());
                }
            }
        }
    }

    fn refuse(&mut self, code: StatusCode, bare: &str, message: String) {
        if self.errors.is_empty() {
            bare.clone_into(&mut self.bare);
        }
        self.errors.push((code, message));
    }

    /// In the form of the files.
    fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            self.errors.iter().map(|(code, message)| format!("{code} {message}")).collect();
        if lines.is_empty() {
            lines.push("ok".to_owned());
        }
        lines.extend(self.besides.clone());
        lines.dedup();
        lines
    }

    /// In stock's form: the first error, of which only the place is compared if it is one of syntax.
    fn as_stock_says_it(&self) -> String {
        match self.errors.first() {
            None => "ok".to_owned(),
            Some((code, _)) => place_only(&format!("{code} {}", self.bare)),
        }
    }
}

/// `700 .. line 1:25` of a message about syntax; any other message as it is.
fn place_only(message: &str) -> String {
    let is_syntax = message.starts_with("700 ");
    let place = message.split_once(" line ").filter(|_| is_syntax);
    let end = place
        .map(|(about, rest)| about.len() + " line ".len() + rest.find(' ').unwrap_or(rest.len()));
    end.and_then(|end| message.get(..end)).unwrap_or(message).to_owned()
}

fn sorted(lines: &[impl AsRef<str>]) -> Vec<String> {
    let mut lines: Vec<String> = lines.iter().map(|line| line.as_ref().to_owned()).collect();
    lines.sort();
    lines
}
