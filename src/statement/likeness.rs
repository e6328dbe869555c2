//! What a misspelled word was likely meant to be.

/// The known word that is most like `word`, if one is like it at all.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LIKENESS_MIN: f64 = 0.8;
    // The comparison takes time that grows with the product of both lengths.
    const WORD_BYTES_MAX: usize = 256;
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    let word = word.to_lowercase();
    known
        .into_iter()
        .map(|each| (each, strsim::jaro_winkler(&word, each)))
        .filter(|(_, likeness)| *likeness >= LIKENESS_MIN)
        .max_by(|(_, left), (_, right)| left.total_cmp(right))
        .map(|(each, _)| each)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_like_words_are_meant() {
        let known = ["max_connections", "max_frame_bytes", "listen"];
        assert_eq!(nearest("max_conections", known), Some("max_connections"));
        assert_eq!(nearest("Listen", known), Some("listen"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest(&"listen".repeat(50), known), None);
    }
}
