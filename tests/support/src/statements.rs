//! Files of statements and what comes of them, in blocks with an empty line between them.
//!
//! ```text
//!  A-04 what it is about          one that begins with # is a comment
//!  > statement, which goes on until the next line with a sign
//!  = what is expected             any number of lines
//!  ~ what differs here
//!  ! why
//! ```

/// A block.
#[derive(Debug, Default)]
pub struct Case<'a> {
    /// Which line of the file it begins in, from 1.
    pub line: usize,
    /// What it is about.
    pub title: &'a str,
    /// What is said, over as many lines as there.
    pub statement: String,
    /// What comes of it.
    pub expected: Vec<&'a str>,
    /// What comes of it here.
    pub differs: Vec<&'a str>,
}

/// The blocks of a file that have a statement.
pub fn cases(text: &str) -> Vec<Case<'_>> {
    let mut cases = Vec::new();
    let mut line = 1;
    for block in text.split("\n\n") {
        let case = Case::of(block.trim(), line + leading_lines(block));
        line += block.matches('\n').count() + 2;
        if !case.statement.is_empty() && !block.trim().starts_with('#') {
            cases.push(case);
        }
    }
    cases
}

fn leading_lines(block: &str) -> usize {
    block.len().saturating_sub(block.trim_start_matches('\n').len())
}

impl<'a> Case<'a> {
    fn of(block: &'a str, line: usize) -> Self {
        let mut case = Self { line, ..Self::default() };
        let mut is_statement = false;
        for line in block.lines() {
            let (sign, rest) = line.split_at_checked(2).unwrap_or((line, ""));
            match sign {
                "> " => {
                    rest.clone_into(&mut case.statement);
                    is_statement = true;
                    continue;
                }
                "= " => case.expected.push(rest),
                "~ " => case.differs.push(rest),
                "! " => {}
                _ if is_statement => {
                    case.statement.push('\n');
                    case.statement.push_str(line);
                    continue;
                }
                _ => case.title = line,
            }
            is_statement = false;
        }
        case
    }
}
