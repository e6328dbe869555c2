//! Compressed and sliced requests.

use super::*;

#[test]
fn compressed_requests_of_every_method_and_kind_are_undone() {
    for compressor in Compressor::ALL {
        let mut link = Link::stranger(policy());
        let mut send = |payload: &[u8]| link.send(&compressed(compressor, payload));
        assert_eq!(send(&greeting("theirs", "ms")), OK, "{compressor:?}");
        assert_eq!(send(&tablet(2000)), OK);
        assert_eq!(send(&piece("a", 0, &[1; 3000])), OK);
        assert_eq!(send(&piece("a", 3000, &vec![2; 3 << 20])), OK);
        assert_eq!(send(&seal_of("a", 3000 + (3 << 20))), OK);
        assert_eq!(send(&tablet(3 << 20)), OK);
        let file = [vec![1; 3000], vec![2; 3 << 20]].concat();
        let kept =
            [Kept::Request(tablet(2000)), sealed(&[("a", &file)]), Kept::Request(tablet(3 << 20))];
        assert!(link.store.kept == kept, "{compressor:?}");
        assert!(link.store.files.is_empty());
        assert_eq!(link.store.lent, 0);
    }
}

#[test]
fn a_compressed_request_that_is_itself_large_goes_over_disk() {
    let mut noise = vec![0_u8; 3 << 20];
    let mut state = 1_u32;
    for byte in &mut noise {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = (state >> 24) as u8;
    }
    let mut link = Link::greeted();
    assert_eq!(link.send(&compressed(Compressor::Lz4, &request(2, &noise))), OK);
    assert!(link.store.kept == [Kept::Request(request(2, &noise))]);
    assert!(link.store.files.is_empty());
}

#[test]
fn plain_chained_and_missing_compression_is_undone() {
    let mut link = Link::greeted();
    assert_eq!(link.send(&request(300, &[&[0], &tablet(2000)[..]].concat())), OK);
    let (mut out, mut spare) = (Vec::new(), Vec::new());
    let both = [Compressor::Gzip, Compressor::Snappy];
    compress(&both, &tablet(3000), &mut out, &mut spare).unwrap();
    assert_eq!(link.send(&request(300, &out)), OK);
    assert_eq!(link.send(&nested(limits::WRAPPERS_MAX)), OK);
    let kept = [tablet(2000), tablet(3000), tablet(10)].map(Kept::Request);
    assert_eq!(link.store.kept, kept);
    assert_eq!(link.store.lent, 0);
}

#[test]
fn a_compression_bomb_is_reset_before_it_is_undone() {
    let mut link = Link::greeted();
    let bomb = compressed(Compressor::Zstd, &vec![0; (8 << 20) + 65]);
    assert!(bomb.len() < 10_000);
    assert_eq!(link.send(&bomb), Got::Reset(Case::TooLong));
}

#[test]
fn slices_become_the_request_that_they_were() {
    for (whole, part) in [
        (tablet(2000), 700),
        (tablet(3 << 20), 1 << 20),
        (tablet(5 << 20), 2 << 20),
        (tablet(9), 9),
    ] {
        let mut link = Link::greeted();
        for slice in slice::cut(7, 2, &whole[3..], part).unwrap() {
            let payload = request(400, &written(|writer| slice.write(writer)));
            assert_eq!(link.send(&payload), OK);
        }
        assert!(link.store.kept == [Kept::Request(whole)]);
        assert!(link.store.files.is_empty());
        assert_eq!(link.store.lent, 0);
    }
}

#[test]
fn sliced_pieces_and_seals_work_as_whole_ones() {
    let mut link = Link::greeted();
    for whole in [piece("a.tsfile", 0, &[1; 3000]), seal_of("a.tsfile", 3000)] {
        let code = i16::from_be_bytes([whole[1], whole[2]]);
        for slice in slice::cut(7, code, &whole[3..], 10).unwrap() {
            assert_eq!(link.send(&request(400, &written(|writer| slice.write(writer)))), OK);
        }
    }
    assert_eq!(link.store.kept, [sealed(&[("a.tsfile", &[1; 3000])])]);
    assert!(link.store.files.is_empty());
}

#[test]
fn slices_out_of_order_reset_and_another_request_drops_them() {
    let whole = tablet(30);
    let parts: Vec<_> = slice::cut(7, 2, &whole[3..], 10)
        .unwrap()
        .map(|slice| request(400, &written(|writer| slice.write(writer))))
        .collect();
    for order in [&[1][..], &[0, 0], &[0, 2]] {
        let mut link = Link::greeted();
        let (last, before) = order.split_last().unwrap();
        for index in before {
            assert_eq!(link.send(&parts[*index]), OK);
        }
        assert_eq!(link.send(&parts[*last]), Got::Reset(Case::OutOfPlace));
    }
    let mut link = Link::greeted();
    assert_eq!(link.send(&parts[0]), OK);
    assert_eq!(link.send(&tablet(10)), OK);
    assert!(link.store.files.is_empty());
    assert_eq!(link.send(&parts[1]), Got::Reset(Case::OutOfPlace));
    let mut link = Link::greeted();
    let hidden = compressed(Compressor::Lz4, &parts[0]);
    assert_eq!(link.send(&hidden), Got::Reset(Case::OutOfPlace));
}

#[test]
fn buffers_that_two_steps_have_swapped_go_back() {
    let mut link = Link::greeted();
    let (mut out, mut spare) = (Vec::new(), Vec::new());
    let steps = [Compressor::Snappy, Compressor::Zstd];
    compress(&steps, &tablet(5000), &mut out, &mut spare).unwrap();
    for buffers in [1, 2, 3, 4] {
        link.store.buffers = buffers;
        assert_eq!(link.send(&request(300, &out)), OK, "{buffers} buffers");
        assert_eq!(link.store.lent, 0, "{buffers} buffers");
    }
}
