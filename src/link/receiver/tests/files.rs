//! Files, piece by piece.

use super::*;

#[test]
fn a_piece_with_a_wrong_checksum_takes_its_file_along() {
    let mut link = Link::greeted();
    assert_eq!(link.send(&piece("a.tsfile", 0, &[1; 5000])), OK);
    let mut bad = framed(&piece("a.tsfile", 5000, &[2; 5000]));
    bad[4000] ^= 1;
    assert_eq!(link.send_bytes(&bad), Got::Reset(Case::Checksum));
    assert_eq!(link.machine.wanted(link.now, &mut link.store), 0);
    assert_eq!(link.store.kept, []);
}

#[test]
fn files_of_a_seal_belong_together_and_others_are_dropped() {
    let mut link = Link::greeted();
    let mods = |start, bytes: &[u8]| {
        piece_of(RequestType::TsFilePieceWithMod, "a.tsfile.mods", start, bytes)
    };
    let data =
        |start, bytes: &[u8]| piece_of(RequestType::TsFilePieceWithMod, "a.tsfile", start, bytes);
    assert_eq!(link.send(&mods(0, &[3; 20])), OK);
    assert_eq!(link.send(&piece_of(RequestType::TsFilePieceWithMod, "b", 0, &[9])), OK);
    assert_eq!(link.send(&data(0, &[1; 10])), OK);
    assert_eq!(link.send(&data(10, &[2; 10])), OK);
    let seal = seals_of(&[("a.tsfile.mods", 20), ("", 0), ("a.tsfile", 20)]);
    assert_eq!(link.send(&seal), OK);
    let file = [[1; 10], [2; 10]].concat();
    let expected = sealed(&[("a.tsfile.mods", &[3; 20]), ("a.tsfile", &file)]);
    assert_eq!(link.store.kept, [expected]);
    assert!(link.store.files.is_empty());
    assert_eq!(link.send(&seal), Got::Reset(Case::OutOfPlace), "a seal is good once");
}

#[test]
fn pieces_and_seals_out_of_place_reset() {
    let rows: &[&[Vec<u8>]] = &[
        &[piece("a", 5, &[1])],
        &[piece("a", 0, &[1; 10]), piece("a", 11, &[1])],
        &[piece("a", 0, &[1; 10]), seal_of("a", 11)],
        &[piece("a", 0, &[1; 10]), seal_of("b", 10)],
        &[piece("a", 0, &[1; 10]), piece("b", 0, &[1; 10]), seal_of("a", 10)],
        &[piece("a", 0, &[1; 10]), seals_of(&[("a", 10), ("a", 10)])],
        &[seal_of("a", 0)],
    ];
    for row in rows {
        let mut link = Link::greeted();
        let (last, before) = row.split_last().unwrap();
        for payload in before {
            assert_eq!(link.send(payload), OK);
        }
        assert_eq!(link.send(last), Got::Reset(Case::OutOfPlace));
        assert_eq!(link.store.kept, []);
    }
    let mut link = Link::greeted();
    let mut short = piece("a", 0, &[1; 10]);
    short.pop();
    assert_eq!(link.send(&short), Got::Reset(Case::Lengths));
}

#[test]
fn a_piece_that_comes_again_is_taken_once() {
    let mut link = Link::greeted();
    for payload in [
        piece("a", 0, &[9; 10]),
        piece("a", 0, &[1; 10]),
        piece("a", 10, &[9; 7]),
        piece("a", 10, &[2; 10]),
        piece("a", 20, &[]),
    ] {
        assert_eq!(link.send(&payload), OK);
    }
    assert_eq!(link.send(&seal_of("a", 20)), OK);
    let file = [[1; 10], [2; 10]].concat();
    assert_eq!(link.store.kept, [sealed(&[("a", &file)])]);
}

#[test]
fn an_empty_file_needs_an_empty_piece() {
    let mut link = Link::greeted();
    assert_eq!(link.send(&piece("a", 0, &[])), OK);
    assert_eq!(link.send(&seal_of("a", 0)), OK);
    assert_eq!(link.store.kept, [sealed(&[("a", &[])])]);
}
