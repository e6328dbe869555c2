//! Which letters of a text from outside are not shown as they are.

/// Whether a letter commands whatever shows it, instead of being seen: it ends a line, moves the cursor, or turns the
/// direction of the letters around it, so that a name looks like another one.
pub fn is_command(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_turns_the_direction_is_a_command_and_letters_of_any_script_are_not() {
        for letter in
            "\u{0}\n\u{1b}\u{7f}\u{9b}\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}".chars()
        {
            assert!(is_command(letter), "{letter:?}");
        }
        for letter in "aZ0 _\u{e4}\u{4e2d}\u{5d0}\u{627}\u{200d}\u{2065}\u{206a}".chars() {
            assert!(!is_command(letter), "{letter:?}");
        }
    }
}
