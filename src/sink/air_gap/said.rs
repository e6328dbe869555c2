//! What a program writes to its standard error: lines of the log, so many a minute, as it may write for ever.

use std::time::Instant;

use tokio::io::AsyncReadExt;
use tokio::process::ChildStderr;

use crate::limits::{PLUGIN_LINE_BYTES_MAX, PLUGIN_LINES_MAX, PLUGIN_LINES_PERIOD};
use crate::ops::clock;

/// Reads it to its end.
pub(super) async fn pass_on(stderr: Option<ChildStderr>, name: String) {
    let Some(mut stderr) = stderr else { return };
    let mut lines = Lines::new(clock::now());
    let mut buffer = [0; BUFFER_BYTES];
    while let Ok(count @ 1..) = stderr.read(&mut buffer).await {
        let bytes = buffer.get(..count).unwrap_or_default();
        lines.take(clock::now(), bytes, |line| {
            log::warn!("event=plugin_says plugin={name:?} {line}");
        });
    }
    lines.end(|line| {
        log::warn!("event=plugin_says plugin={name:?} {line}");
    });
}

/// Bytes on their way to lines.
#[derive(Debug)]
struct Lines {
    /// The beginning of the present line.
    line: heapless::Vec<u8, PLUGIN_LINE_BYTES_MAX>,
    since: Instant,
    /// Lines since then.
    count: u64,
}

impl Lines {
    fn new(now: Instant) -> Self {
        Self { line: heapless::Vec::new(), since: now, count: 0 }
    }

    /// Tells each line that ends in `bytes`, its beginning if it is long; of too many, how many they were, later.
    fn take(&mut self, now: Instant, bytes: &[u8], mut tell: impl FnMut(&str)) {
        if now.saturating_duration_since(self.since) >= PLUGIN_LINES_PERIOD {
            self.tell_left_out(&mut tell);
            (self.since, self.count) = (now, 0);
        }
        for byte in bytes {
            if *byte == b'\n' {
                self.tell_line(&mut tell);
            } else {
                // What is beyond the limit is cut off.
                let _full = self.line.push(*byte).is_err();
            }
        }
    }

    /// Tells what is left.
    fn end(mut self, mut tell: impl FnMut(&str)) {
        self.tell_line(&mut tell);
        self.tell_left_out(&mut tell);
    }

    fn tell_line(&mut self, tell: &mut impl FnMut(&str)) {
        if self.line.is_empty() {
            return;
        }
        self.count += 1;
        if self.count <= PLUGIN_LINES_MAX {
            tell(&format!("text={:?}", String::from_utf8_lossy(&self.line)));
        }
        self.line.clear();
    }

    fn tell_left_out(&self, tell: &mut impl FnMut(&str)) {
        let left_out = self.count.saturating_sub(PLUGIN_LINES_MAX);
        if left_out > 0 {
            tell(&format!("left_out={left_out}"));
        }
    }
}

const BUFFER_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_lines_are_told_in_a_minute_and_how_many_were_not() {
        let now = clock::now();
        let mut lines = Lines::new(now);
        let mut told = Vec::new();
        for _ in 0..PLUGIN_LINES_MAX + 5 {
            lines.take(now, b"a \"b\"\n\n", |line| told.push(line.to_owned()));
        }
        assert_eq!(told.len() as u64, PLUGIN_LINES_MAX);
        assert_eq!(told[0], r#"text="a \"b\"""#);
        told.clear();
        let long = [b"x".repeat(1000), b"\xff".to_vec()].concat();
        lines.take(now + PLUGIN_LINES_PERIOD, &long, |line| told.push(line.to_owned()));
        lines.end(|line| told.push(line.to_owned()));
        let cut = format!("text={:?}", "x".repeat(PLUGIN_LINE_BYTES_MAX));
        assert_eq!(told, ["left_out=5".to_owned(), cut]);
    }
}
