//! What holds for any statement: shared by the fuzz target and by the test that runs its corpus.

use std::path::Path;

use penstock::statement::{
    Cell, Definition, Externals, Parsed, Revealed, Statement, Surroundings, Weight, parse,
};

/// A text is refused at a place that it has, or means something that is printed and read again.
pub(crate) fn statement(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match parse(text) {
        Err(error) => {
            assert!(error.place.line <= text.matches('\n').count() + 1);
            assert_eq!(error.excerpt.matches('\n').count(), 1);
            assert!([700, 701].contains(&error.code().number()));
        }
        Ok(parsed) => parsed.iter().for_each(understood),
    }
}

fn understood(parsed: &Parsed) {
    let statement = &parsed.statement;
    let again = parse(&Revealed(statement).to_string()).expect("it was printed");
    assert!(again.len() == 1 && again[0].statement == *statement && again[0].warnings.is_empty());
    let shown = statement.to_string();
    let again = parse(&shown).expect("it was shown");
    assert_eq!(again[0].statement.to_string(), shown);
    match statement {
        Statement::CreatePipe(create) => check(&create.definition),
        Statement::AlterPipe(alter) => {
            let _remarks = alter.check(Externals::Any);
            check(&Definition::default().altered(alter));
        }
        _ => {}
    }
}

/// Settings come of a definition without errors, and only of one.
fn check(definition: &Definition) {
    let checked =
        definition.check(Surroundings { base: Path::new("/"), externals: Externals::Any });
    let is_right = checked.remarks.iter().all(|remark| remark.weight != Weight::Error);
    assert_eq!(checked.settings.is_some(), is_right);
    assert!(Cell(&definition.sink).to_string().starts_with('{'));
}
