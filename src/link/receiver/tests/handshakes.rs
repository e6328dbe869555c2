//! Who may send.

use super::*;

#[test]
fn strangers_may_greet_and_nothing_else() {
    for payload in
        [tablet(10), piece("a", 0, &[1]), seal_of("a", 0), request(99, &[]), vec![2, 0, 51]]
    {
        let mut link = Link::stranger(policy());
        let expected = if payload[0] == 2 { FAIL } else { Got::Reset(Case::NoHandshake) };
        let got = link.send(&payload);
        if payload[0] == 2 {
            assert_eq!(got, Waits);
            assert_eq!(link.wait(limits::REFUSAL_DELAY), expected);
        } else {
            assert_eq!(got, expected);
        }
        assert!(link.store.files.is_empty());
    }
    let mut link = Link::stranger(policy());
    let long = u32::try_from(limits::HANDSHAKE_BYTES_MAX + 9).unwrap();
    let got = link.send_bytes(&[long.to_be_bytes(), long.to_be_bytes()].concat());
    assert_eq!(got, Got::Reset(Case::TooLong));
    let mut link = Link::stranger(policy());
    let hidden = compressed(Compressor::Zstd, &tablet(10));
    assert_eq!(link.send(&hidden), Got::Reset(Case::NoHandshake));
}

#[test]
fn each_flaw_of_a_handshake_is_refused_at_once() {
    use HandshakeFlaw as Flaw;
    let login = Login { user: "root".to_owned(), password: "secret".to_owned() };
    let with_login = Policy { login: Some(login), ..policy() };
    let no_cluster = written(|writer| {
        crate::wire::pairs::write(writer, [("timestampPrecision", Some("ms"))].into_iter());
    });
    let rows: &[(Policy, Vec<u8>, Flaw)] = &[
        (policy(), request(51, &[9]), Flaw::Undecodable),
        (policy(), request(51, &no_cluster), Flaw::NoCluster),
        (policy(), greeting("ours", "ms"), Flaw::OwnCluster),
        (policy(), greeting("theirs", "minutes"), Flaw::NoPrecision),
        (policy(), greeting("theirs", "us"), Flaw::Precision),
        (policy(), old_greeting("ns"), Flaw::Precision),
        (with_login.clone(), greeting("theirs", "ms"), Flaw::Login),
        (with_login.clone(), old_greeting("ms"), Flaw::Login),
    ];
    for (policy, payload, flaw) in rows {
        let mut link = Link::stranger(policy.clone());
        link.store.precision = Some(Precision::Ms);
        assert_eq!(link.send(payload), FAIL, "{flaw:?}");
        assert_eq!(link.events(), [Event::Refused(Case::Handshake(*flaw))]);
        assert_eq!(link.send(&tablet(10)), Got::Reset(Case::NoHandshake), "{flaw:?}");
    }
    let mut link = Link::stranger(with_login);
    assert_eq!(link.send(&greeting_with("theirs", "ms", "root", "secret")), OK);
}

#[test]
fn an_old_handshake_is_taken_but_not_to_go_round_a_refusal() {
    let mut link = Link::stranger(policy());
    assert_eq!(link.send(&old_greeting("ms")), OK);
    assert_eq!(link.machine.peer().unwrap().cluster_id(), "");
    assert_eq!(link.send(&tablet(10)), OK);

    let mut link = Link::stranger(policy());
    assert_eq!(link.send(&greeting("ours", "ms")), FAIL);
    assert_eq!(link.send(&old_greeting("ms")), FAIL);
    assert_eq!(link.send(&greeting("theirs", "ms")), OK);
}

#[test]
fn config_nodes_and_old_peers_are_peers_too() {
    let mut link = Link::stranger(policy());
    assert_eq!(link.send(&greeting("theirs", "us")), OK);
    let mut config_node = greeting("beside", "us");
    config_node[2] = 50;
    assert_eq!(link.send(&config_node), OK);
    let peer = link.machine.peer().unwrap();
    assert!(peer.provenance(link.machine.link()).local);
    assert_eq!(link.machine.peer().unwrap().cluster_id(), "beside");
    let mut old = old_greeting("us");
    old[2] = 0;
    assert_eq!(link.send(&old), OK);
}

#[test]
fn a_new_handshake_drops_what_had_begun() {
    let mut link = Link::greeted();
    assert_eq!(link.send(&piece("a.tsfile", 0, &[1; 10])), OK);
    assert_eq!(link.send(&greeting("theirs", "ms")), OK);
    assert!(link.store.files.is_empty());
    assert_eq!(link.send(&seal_of("a.tsfile", 10)), Got::Reset(Case::OutOfPlace));
}

#[test]
fn strangers_borrow_nothing_and_have_to_come_to_an_end() {
    let mut link = Link::stranger(policy());
    link.store.buffers = 0;
    let long = "x".repeat(2 * HEAD_BYTES);
    let frame = framed(&greeting(&long, "ms"));
    let (most, last) = frame.split_at(frame.len() - 1);
    assert_eq!(link.send_bytes(most), Waits);
    assert_eq!(link.machine.poll_timeout(), Some(link.now + limits::FIRST_FRAME_MAX));
    assert_eq!(link.send_bytes(last), OK);
    assert_eq!(link.machine.poll_timeout(), None);

    let mut link = Link::stranger(policy());
    link.store.buffers = 0;
    assert_eq!(link.send(&compressed(Compressor::Lz4, &greeting(&long, "ms"))), OK);

    let mut link = Link::stranger(policy());
    assert_eq!(link.machine.poll_timeout(), None);
    assert_eq!(link.send_bytes(&frame[..1]), Waits);
    assert_eq!(link.wait(limits::FIRST_FRAME_MAX), Got::Reset(Case::Unfinished));
}

#[test]
fn a_greeting_alone_fixes_no_precision_and_an_entry_does() {
    let mut early = Link::stranger(policy());
    assert_eq!(early.send(&greeting("theirs", "ns")), OK);
    assert_eq!(early.store.precision, None);
    assert_eq!(early.send(&request(2, &[NONSENSE; 10])), OK);
    assert_eq!(early.store.precision, None, "what goes to quarantine is no entry");
    early.store.precision = Some(Precision::Ms);
    assert_eq!(early.send(&tablet(2000)), Got::Reset(Case::NoHandshake), "the other was first");
    assert_eq!(early.store.lent, 0);

    let mut link = Link::greeted();
    assert_eq!(link.send(&tablet(10)), OK);
    assert_eq!(link.store.precision, Some(Precision::Ms));
}
