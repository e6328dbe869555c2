//! Where keys were written, for mistakes that only the machine shows.

use super::finding::Place;

/// The place of every key that was written; no longer than the configuration.
#[derive(Debug, Clone, Default)]
pub struct Places {
    list: Vec<(String, Place)>,
}

impl Places {
    /// Notes a key; a later note goes above an earlier one.
    pub(super) fn add(&mut self, key: String, place: Place) {
        self.list.push((key, place));
    }

    /// Where `key` was written; for a default the nearest table that it would stand in, if that was written.
    pub fn of(&self, key: &str) -> Place {
        let mut key = key;
        loop {
            if let Some((_, place)) = self.list.iter().rev().find(|(known, _)| known == key) {
                return place.clone();
            }
            let Some((table, _)) = key.rsplit_once('.') else { return Place::Nowhere };
            key = table;
        }
    }

    /// Key and place of an attribute of the pipe with this index, with whatever prefix it was written; of the pipe
    /// itself if it was not.
    pub fn of_attribute(&self, pipe: usize, name: &str) -> (String, Place) {
        let stanza = format!("pipe[{pipe}]");
        let is_meant = |key: &str| {
            let attribute = key.strip_prefix(&stanza).and_then(|rest| rest.strip_prefix('.'));
            let spelled = attribute.and_then(|attribute| attribute.split('"').nth(1));
            spelled.is_some_and(|spelled| spelled.rsplit('.').next() == Some(name))
        };
        match self.list.iter().rev().find(|(key, _)| is_meant(key)) {
            Some((key, place)) => (key.clone(), place.clone()),
            None => (format!("{stanza}.sink.{name:?}"), self.of(&stanza)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_stands_at_its_table() {
        let mut places = Places::default();
        let line = |line| Place::Line { file: "a.toml".to_owned(), line };
        places.add("inbox".to_owned(), line(3));
        places.add("inbox.dir".to_owned(), line(4));
        places.add("pipe[1]".to_owned(), line(7));
        places.add("pipe[1].sink.\"connector.password\"".to_owned(), line(9));
        assert_eq!(places.of("inbox.dir"), line(4));
        assert_eq!(places.of("inbox.archive_dir"), line(3));
        assert_eq!(places.of("landing.dir"), Place::Nowhere);
        let (key, place) = places.of_attribute(1, "password");
        assert_eq!((key.as_str(), place), ("pipe[1].sink.\"connector.password\"", line(9)));
        assert_eq!(places.of_attribute(1, "username").1, line(7));
        assert_eq!(places.of_attribute(0, "password").1, Place::Nowhere);
        places.add("inbox.dir".to_owned(), Place::Argument("--set inbox.dir".to_owned()));
        assert!(matches!(places.of("inbox.dir"), Place::Argument(_)));
    }
}
