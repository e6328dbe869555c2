//! No text makes trouble, and what is printed parses to what was printed.

use proptest::prelude::*;

use super::*;

/// Texts with everything in them that means something to somebody.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z.*-]{0,12}",
        "[ '\"`;()=,\\\\\n/*-]{0,6}",
        any::<String>(),
        Just("file:a'b".to_owned()),
    ]
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        text(),
        Just("sink.password".to_owned()),
        Just("connector.host".to_owned()),
        Just("source.path".to_owned()),
    ]
}

fn attributes(side: Side) -> impl Strategy<Value = Attributes> {
    proptest::collection::vec((key(), text()), 0..5).prop_map(move |list| {
        let mut attributes = Attributes::default();
        for (key, value) in list {
            attributes.push(side, key, value, 0..0);
        }
        attributes
    })
}

fn change(side: Side) -> impl Strategy<Value = Option<Change>> {
    prop_oneof![
        Just(None),
        attributes(side).prop_map(|new| Some(Change::Modify(new))),
        attributes(side).prop_map(|new| Some(Change::Replace(new))),
    ]
}

fn any_name() -> impl Strategy<Value = PipeName> {
    prop_oneof![
        "[A-Za-z0-9_:@#${}]{1,8}",
        any::<String>(),
        Just("if".to_owned()),
        Just("with".to_owned()),
    ]
    .prop_filter("a name has a letter", |name| !name.is_empty())
    .prop_map(PipeName::new)
}

fn statement() -> impl Strategy<Value = Statement> {
    let create = (
        any_name().prop_filter("it can be created", |name| name.check().is_ok()),
        any::<bool>(),
        (attributes(Side::Source), attributes(Side::Processor), attributes(Side::Sink)),
    );
    let create = create.prop_map(|(name, if_not_exists, (source, processor, sink))| {
        let definition = Definition { source, processor, sink };
        Statement::CreatePipe(CreatePipe { name, if_not_exists, definition })
    });
    let changes = (change(Side::Source), change(Side::Processor), change(Side::Sink));
    let alter = (any_name(), any::<bool>(), changes);
    let alter = alter.prop_map(|(name, if_exists, (source, processor, sink))| {
        Statement::AlterPipe(AlterPipe { name, if_exists, source, processor, sink })
    });
    let plugin = (any_name(), any::<bool>(), text(), text());
    let plugin = plugin.prop_map(|(name, if_not_exists, command, uri)| {
        let name = PluginName::new(name.as_str());
        Statement::CreatePlugin(CreatePlugin { name, if_not_exists, command, uri })
    });
    let named = (any_name(), 0..8, any::<bool>(), any::<(u64, u64)>());
    let named = named.prop_map(|(name, which, if_exists, (a, b))| match which {
        0 => Statement::StartPipe { name },
        1 => Statement::StopPipe { name },
        2 => Statement::DropPipe { name, if_exists },
        3 => Statement::ShowPipe { name },
        4 => Statement::ShowPipesUsing { name },
        5 => Statement::ShowCreatePipe { name },
        6 => Statement::SkipEntry { name, entry: Sequence(a) },
        _ => Statement::Replay { name, first: Sequence(a.min(b)), last: Sequence(a.max(b)) },
    });
    let dropped = (any_name(), any::<bool>()).prop_map(|(name, if_exists)| Statement::DropPlugin {
        name: PluginName::new(name.as_str()),
        if_exists,
    });
    let bare = prop_oneof![Just(Statement::ShowPipes), Just(Statement::ShowPlugins)];
    prop_oneof![4 => create, 4 => alter, 2 => named, 1 => plugin, 1 => dropped, 1 => bare]
}

/// Words of the grammar in any order.
fn jumble() -> impl Strategy<Value = String> {
    let words = prop_oneof![
        proptest::sample::select(
            &[
                "create",
                "pipe",
                "p",
                "with",
                "source",
                "sink",
                "(",
                ")",
                "'a'",
                "=",
                ",",
                ";",
                "if",
                "not",
                "exists",
                "alter",
                "modify",
                "replace",
                "'sink.password'",
                "'hunter2'",
                "--\n",
                "/*",
                "*/",
                "show",
                "pipes",
                "where",
                "used",
                "by",
                "12",
                "`x`",
                "'",
                "\u{7ba1}",
            ][..]
        )
        .prop_map(str::to_owned),
        text(),
    ];
    proptest::collection::vec(words, 0..24).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn what_is_printed_is_parsed_to_the_same_value(statement in statement()) {
        let text = Revealed(&statement).to_string();
        let parsed = parse(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
        prop_assert_eq!(parsed.len(), 1);
        prop_assert_eq!(&parsed[0].statement, &statement);
        prop_assert!(parsed[0].warnings.is_empty());
        // What is shown is a statement as well, and printing it changes nothing more.
        let shown = statement.to_string();
        let parsed = parse(&shown).unwrap_or_else(|error| panic!("{shown}: {error}"));
        prop_assert_eq!(parsed[0].statement.to_string(), shown);
    }

    #[test]
    fn no_text_makes_trouble(text in prop_oneof![any::<String>(), jumble()]) {
        match parse(&text) {
            Ok(parsed) => {
                for Parsed { statement, .. } in parsed {
                    let again = parse(&Revealed(&statement).to_string()).expect("it was printed");
                    prop_assert_eq!(&again[0].statement, &statement);
                }
            }
            Err(error) => {
                let lines = text.matches('\n').count() + 1;
                prop_assert!(error.place.line >= 1 && error.place.line <= lines);
                prop_assert_eq!(error.excerpt.matches('\n').count(), 1);
            }
        }
    }
}
