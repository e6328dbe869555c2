//! Statements to a whole node: what they answer, what the pipes do then, and what a restart makes of it.

use super::*;
use crate::ops::status::request;
use crate::pipe::Answer;

const CAPACITY: u64 = 64 * MIB;

impl Running {
    /// The answers to statements, by way of the control socket.
    fn sql(&self, text: &str) -> Vec<Answer> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let asked = request(&self.control, "/sql", Some(text.to_owned()));
        serde_json::from_str(&runtime.block_on(asked).unwrap()).unwrap()
    }

    /// The same; none if the node is not there to answer.
    fn try_said(&self, text: &str) -> Option<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let asked = request(&self.control, "/sql", Some(text.to_owned()));
        let said = runtime.block_on(asked).ok()?;
        let answer = serde_json::from_str::<Vec<Answer>>(&said).ok()?.pop()?;
        Some(format!("{} {}", answer.code, answer.message).trim_end().to_owned())
    }

    /// Code and message of the last answer.
    fn said(&self, text: &str) -> String {
        let answer = self.sql(text).pop().unwrap();
        format!("{} {}", answer.code, answer.message).trim_end().to_owned()
    }

    /// The cells of a statement that shows something.
    fn rows(&self, text: &str) -> Vec<Vec<String>> {
        let answer = self.sql(text).pop().unwrap();
        assert_eq!(answer.code, 200, "{answer:?}");
        answer.table.unwrap().rows
    }

    /// ID and state of every pipe.
    fn states(&self) -> Vec<(String, String)> {
        let state = |mut row: Vec<String>| (row.swap_remove(0), row.swap_remove(2));
        self.rows("show pipes").into_iter().map(state).collect()
    }

    fn take(&self, at: i64) {
        assert_eq!(self.peer().ask(&frames::tablet_of("root.a.d", 4096, at * 1000, 1)).unwrap(), 0);
    }

    fn taken(&self) -> u64 {
        self.status().spool.next_sequence
    }

    fn wait_taken(&self, count: u64) {
        wait::until("an entry on the far side", SOON, || self.taken() == count).unwrap();
    }

    /// The process dies; the disk shows the next one what the system still has.
    fn die(self, bench: &Bench) {
        bench.disk.kill();
        // Whatever it did on its disk would fail now; it cannot go on, and must not end in order.
        self.signals.blocking_send(Signal::Stop).unwrap();
        drop(self.thread.join().unwrap());
        bench.disk.heal();
    }
}

fn to(gate: SocketAddr) -> String {
    format!("('sink'='iotdb-air-gap-sink','sink.node-urls'='{gate}')")
}

fn pair() -> (Running, Bench, Bench) {
    let far = Bench::with_seed(11, CAPACITY);
    (far.start(), far, Bench::with_seed(12, CAPACITY))
}

#[test]
fn a_snapshot_ends_with_the_history_and_a_filter_passes_the_rest() {
    let (far, _, bench) = pair();
    let node = bench.start();
    let before = far.taken();
    node.take(1);
    let sink = to(far.gate);
    for (name, mode) in [("once", "'mode'='snapshot'"), ("also", "'mode.snapshot'='true'")] {
        let create = format!("create pipe {name} with source ({mode}) with sink {sink}");
        assert_eq!(node.said(&create), "200");
        wait::until("the pipe to end", SOON, || node.states().is_empty()).unwrap();
        // The second time the far side knows it.
        far.wait_taken(before + 1);
    }
    let narrow = format!("create pipe narrow with source ('path'='root.b.**') with sink {sink}");
    assert_eq!(node.said(&narrow), "200");
    node.take(2);
    let is_done = || node.rows("show pipe narrow")[0][7] == "0";
    wait::until("the pipe to pass it", SOON, is_done).unwrap();
    assert_eq!(far.taken(), before + 1);
    // Without the filter it goes on from where it is.
    assert_eq!(node.said("alter pipe narrow replace source ()"), "200");
    node.take(3);
    far.wait_taken(before + 2);
    node.stop();
    far.stop();
}

#[test]
fn a_pipe_lives_by_statements() {
    let (far, _, bench) = pair();
    let node = bench.start();
    assert_eq!(node.said(&format!("create pipe A2B with sink {}", to(far.gate))), "200");
    let before = far.taken();
    node.take(1);
    far.wait_taken(before + 1);
    assert_eq!(
        node.said(&format!("create pipe A2B with sink {}", to(far.gate))),
        "1107 Failed to create pipe A2B, the pipe with the same name has been created"
    );
    // STOP keeps the progress, and is no error the second time.
    assert_eq!(node.said("stop pipe A2B; stop pipe A2B"), "200");
    assert_eq!(node.states(), [("A2B".to_owned(), "STOPPED".to_owned())]);
    assert!(node.board.troubles.has(TroubleKind::PipeStopped, "A2B"), "it pins the spool");
    node.take(2);
    node.take(3);
    let row = node.rows("show pipe A2B").remove(0);
    assert_eq!((row[7].as_str(), row[8].as_str()), ("2", "31536000.00"), "{row:?}");
    assert!(row[9].parse::<u64>().unwrap() > 0 && row[11].starts_with("20"), "{row:?}");
    assert_eq!(far.taken(), before + 1);
    assert_eq!(node.said("start pipe A2B"), "200");
    far.wait_taken(before + 3);
    assert!(!node.board.troubles.has(TroubleKind::PipeStopped, "A2B"));
    assert_eq!(node.said("start pipe A2B"), "200");
    // DROP needs no STOP, and what comes afterwards is not sent.
    assert_eq!(node.said("drop pipe A2B"), "200");
    assert!(node.states().is_empty() && node.status().pipes.is_empty());
    assert!(node.rows("show pipe A2B").is_empty());
    node.take(4);
    assert_eq!(
        node.said("drop pipe A2B"),
        "1806 Failed to drop pipe A2B. Failures: A2B does not exist."
    );
    assert_eq!(far.taken(), before + 3);
    // With the last pipe gone nothing was freed: a new one begins at what is there.
    assert_eq!(node.said(&format!("create pipe again {}", to(far.gate))), "200");
    wait::until("the rest", SOON, || node.rows("show pipe again")[0][7] == "0").unwrap();
    for node in [node, far] {
        node.stop();
    }
}

#[test]
fn a_pipe_that_found_no_room_for_its_place_gets_it_later() {
    let (far, _, bench) = pair();
    let node = bench.start();
    let sink = to(far.gate);
    let mut late = 0;
    for call in 1..=40 {
        let name = format!("p{call}");
        bench.disk.schedule(call, Fault::NoSpace, false);
        let said = node.said(&format!("create pipe {name} with sink {sink}"));
        bench.disk.heal();
        let is_kept = !node.rows(&format!("show pipe {name}")).is_empty();
        assert!(is_kept || !said.starts_with("200"), "{said}");
        if is_kept {
            late += u32::from(said.contains("kept, but not carried out"));
            let is_running = || node.rows(&format!("show pipe {name}"))[0][2] == "RUNNING";
            wait::until("the pipe to run", SOON, is_running).unwrap();
            assert!(!node.board.troubles.has(TroubleKind::PipeError, &name));
            assert_eq!(node.said(&format!("drop pipe {name}")), "200");
        }
    }
    assert!(late > 0, "no fault met a place");
    node.stop();
    far.stop();
}

#[test]
fn a_pipe_in_the_place_of_one_that_could_not_leave_begins_anew() {
    let far = Bench::with_seed(11, CAPACITY);
    let far = far.start();
    let create = format!("create pipe p with sink {}", to(far.gate));
    let sent = |node: &Running| node.status().pipes.first().map_or(0, |row| row.sent_frames);
    let (mut refused, mut created) = (0, 0);
    for call in 1..=24 {
        let bench = Bench::with_seed(12 + call, CAPACITY);
        let node = bench.start();
        node.take(1);
        assert_eq!(node.said(&create), "200");
        wait::until("all of the history", SOON, || sent(&node) == 1).unwrap();
        bench.disk.schedule(call, Fault::Io, true);
        let dropped = node.said("drop pipe p");
        bench.disk.heal();
        // The disk may have failed in a way that ends the node.
        let again = node.try_said(&create).unwrap_or_default();
        let is_late = dropped.contains("kept, but not carried out");
        refused += u32::from(is_late && !again.starts_with("200"));
        if is_late && again == "200" {
            created += 1;
            wait::until("all of the history again", SOON, || sent(&node) == 1).unwrap();
        }
        node.die(&bench);
        let node = bench.start();
        let rows = node.rows("show pipes");
        assert!(!is_late || rows.is_empty() == (again != "200"), "{dropped}; {again}; {rows:?}");
        node.stop();
    }
    assert!(refused > 0 && created > 0, "{refused} were refused and {created} were made");
    far.stop();
}

#[test]
fn alter_moves_a_pipe_and_keeps_its_progress() {
    let (first, _, bench) = pair();
    let other = Bench::with_seed(13, CAPACITY);
    let second = other.start();
    let node = bench.start();
    node.said(&format!("create pipe p with sink {}", to(first.gate)));
    let (at_first, at_second) = (first.taken(), second.taken());
    node.take(1);
    first.wait_taken(at_first + 1);
    let moved = format!("alter pipe p modify sink ('node-urls'='{}')", second.gate);
    assert_eq!(node.said(&moved), "200");
    node.take(2);
    second.wait_taken(at_second + 1);
    assert_eq!(first.taken(), at_first + 1);
    let shown = node.rows("show pipe p").remove(0);
    assert_eq!(shown[5], format!("{{node-urls={}, sink=iotdb-air-gap-sink}}", second.gate));
    // One that a person stopped stays so.
    assert_eq!(node.said(&format!("stop pipe p; {moved}")), "200");
    assert_eq!(node.states(), [("p".to_owned(), "STOPPED".to_owned())]);
    for node in [node, first, second] {
        node.stop();
    }
}

#[test]
fn a_person_s_word_outlives_the_process() {
    let (far, _, bench) = pair();
    let stanza = |name: &str| {
        format!("{{name='{name}',sink={{sink='iotdb-air-gap-sink',node-urls='{}'}}}}", far.gate)
    };
    let config = bench.config(&[format!("pipe=[{},{},{}]", stanza("a"), stanza("b"), stanza("c"))]);
    let node = bench.start_with(&config);
    node.said(&format!("create pipe own with sink {}", to(far.gate)));
    node.said("stop pipe own; stop pipe a; drop pipe b; alter pipe c modify sink ('user'='me')");
    let expected = [("a", "STOPPED"), ("c", "RUNNING"), ("own", "STOPPED")];
    let expected = expected.map(|(id, state)| (id.to_owned(), state.to_owned()));
    assert_eq!(node.states(), expected);
    let shown = |node: &Running| -> Vec<_> {
        node.rows("show pipes").into_iter().map(|row| row[..6].to_vec()).collect()
    };
    let before = shown(&node);
    node.die(&bench);
    let node = bench.start_with(&config);
    assert_eq!(node.states(), expected);
    assert_eq!(shown(&node), before, "creation times too");
    // The last stanza goes: the pipe that it made stops, and one that was dropped may come back.
    *bench.reread.lock().unwrap() = Some(bench.config(&[format!("pipe=[{}]", stanza("a"))]));
    node.signals.blocking_send(Signal::Reload).unwrap();
    let is_stopped = || {
        node.states()
            == [("a", "STOPPED"), ("c", "STOPPED"), ("own", "STOPPED")]
                .map(|(id, state)| (id.to_owned(), state.to_owned()))
    };
    wait::until("c to stop", SOON, is_stopped).unwrap();
    assert_eq!(node.rows("show pipe c")[0][6], "its stanza went from the configuration");
    *bench.reread.lock().unwrap() = Some(config);
    node.signals.blocking_send(Signal::Reload).unwrap();
    wait::until("b and c to come back", SOON, || node.states().len() == 4).unwrap();
    assert_eq!(node.states()[0].1, "STOPPED", "a's stanza has not changed");
    for node in [node, far] {
        node.stop();
    }
}

#[test]
fn what_cannot_run_is_stopped_and_says_why() {
    let (far, _, bench) = pair();
    let node = bench.start();
    let answers = node
        .sql("create pipe t with sink ('sink'='iotdb-thrift-ssl-sink','ip'='10.0.0.7','port'='6667','ssl.trust-store-path'='t','ssl.trust-store-pwd'='p')");
    assert_eq!(answers[0].code, 200, "{answers:?}");
    assert!(answers[0].warnings[0].contains("this sink is not in this build"), "{answers:?}");
    let row = node.rows("show pipe t").remove(0);
    assert_eq!(row[2], "STOPPED");
    assert!(row[6].contains("this sink is not in this build"), "{row:?}");
    assert_eq!(node.said("start pipe t"), "200");
    assert_eq!(node.rows("show pipe t")[0][2], "STOPPED");
    // An error of our own stops a pipe; it is tried again by itself, and at once if somebody says so.
    let secret = bench.directory.path().join("secret");
    let create = format!(
        "create pipe s with sink ('sink'='iotdb-air-gap-sink','node-urls'='{}','password'='file:{}')",
        far.gate,
        secret.display()
    );
    assert_eq!(node.said(&create), "200");
    let row = node.rows("show pipe s").remove(0);
    assert!(row[2] == "STOPPED" && row[6].contains("password"), "{row:?}");
    assert!(row[5].contains("password=file:"), "{row:?}");
    assert!(node.board.troubles.has(TroubleKind::PipeError, "s"));
    std::fs::write(&secret, "root\n").unwrap();
    wait::until("s to run", SOON, || node.rows("show pipe s")[0][2] == "RUNNING").unwrap();
    assert!(!node.board.troubles.has(TroubleKind::PipeError, "s"));
    for node in [node, far] {
        node.stop();
    }
}

#[test]
fn mistakes_change_nothing() {
    let bench = Bench::with_seed(14, CAPACITY);
    let node = bench.start();
    let answer = node.sql("show pipes; create pipe p with sink (sink='x')").remove(0);
    assert_eq!(answer.code, 700);
    assert!(answer.message.contains("line 1:37") && answer.excerpt.contains('^'), "{answer:?}");
    let said = node.said("create pipe p with sink ('sink'='iotdb-air-gap-sink')");
    assert!(said.starts_with("1107 sink: One of connector.node-urls, "), "{said}");
    assert_eq!(
        node.said("start pipe nope"),
        "1107 Failed to start pipe nope, the pipe does not exist"
    );
    // The first that fails is the last that is carried out.
    let answers = node.sql("show pipes; stop pipe nope; show pipeplugins");
    assert_eq!(answers.iter().map(|one| one.code).collect::<Vec<_>>(), [200, 1107]);
    assert_eq!(node.rows("show pipeplugins").len(), 6);
    assert_eq!(
        node.said("drop pipeplugin `iotdb-air-gap-sink`"),
        "1601 Failed to drop PipePlugin [iotdb-air-gap-sink], the PipePlugin is a built-in PipePlugin"
    );
    assert!(node.states().is_empty());
    node.stop();
}

#[test]
fn secrets_are_kept_and_never_shown() {
    let bench = Bench::with_seed(15, CAPACITY);
    let node = bench.start();
    let create = "create pipe p with sink ('sink'='iotdb-air-gap-sink','node-urls'='127.0.0.1:1','password'='hunter2')";
    assert_eq!(node.said(create), "200");
    for text in ["show pipes", "show create pipe p"] {
        let answer = serde_json::to_string(&node.sql(text)).unwrap();
        assert!(!answer.contains("hunter2") && answer.contains("******"), "{answer}");
    }
    assert!(!node.get("/status").1.contains("hunter2"));
    let kept = bench.disk.contents(Path::new("pipes/p.pipe")).unwrap();
    assert!(String::from_utf8(kept).unwrap().contains("hunter2"));
    // Nobody is there: it runs all the same, and says what it waits for.
    wait::until("a message", SOON, || !node.rows("show pipe p")[0][6].is_empty()).unwrap();
    assert_eq!(node.rows("show pipe p")[0][2], "RUNNING");
    node.stop();
}
