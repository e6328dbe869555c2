//! The stock encoders' bytes, extremes, and bytes that nobody encoded.

use proptest::prelude::*;

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).expect("hex")).collect()
}

fn decoded(data_type: DataType, encoding: Encoding, input: &[u8], count: usize) -> Values {
    let mut out = Values::of(data_type);
    decode(data_type, encoding, input, count, &mut out).expect("legal");
    out
}

fn texts(list: &[&[u8]]) -> Values {
    let mut binaries = Binaries::new();
    for text in list {
        binaries.push(text);
    }
    Values::Binaries(binaries)
}

#[expect(clippy::too_many_lines, reason = "a table")]
/// What the stock encoders printed; `true` if ours writes the encoding too.
fn printed() -> Vec<(DataType, Encoding, Values, &'static str, bool)> {
    use DataType as T;
    use Encoding as E;
    use Values as V;
    vec![
        (T::Int32, E::Plain, V::Integers(vec![1, -1, 64, 300]), "02 01 80 01 d8 04", true),
        (
            T::Int64,
            E::Plain,
            V::Longs(vec![1, -2]),
            "00 00 00 00 00 00 00 01 ff ff ff ff ff ff ff fe",
            true,
        ),
        (T::Float, E::Plain, V::Floats(vec![1.5]), "3f c0 00 00", true),
        (T::Boolean, E::Plain, V::Booleans(vec![true, false]), "01 00", true),
        (T::Text, E::Plain, texts(&[b"ab", b""]), "04 61 62 00", true),
        (T::Int32, E::Rle, V::Integers(vec![1, 2, 3, 4, 5]), "06 03 03 05 29 ca 00", true),
        (T::Int32, E::Rle, V::Integers(vec![300; 10]), "04 09 14 2c 01", true),
        (T::Int64, E::Rle, V::Longs(vec![300; 10]), "04 09 14 01 2c", true),
        (
            T::Int32,
            E::Rle,
            V::Integers(vec![7, 7, 7, 7, 7, 7, 7, 7, 7, 1, 2]),
            "08 03 12 07 03 02 28 00 00",
            true,
        ),
        (T::Int32, E::Rle, V::Integers(vec![5, 4, 7, 3, 0, 1, 3, 2]), "06 03 03 08 b3 b0 5a", true),
        (
            T::Boolean,
            E::Rle,
            V::Booleans(vec![true, true, true, false, false]),
            "04 01 03 05 e0",
            true,
        ),
        (
            T::Float,
            E::Rle,
            V::Floats(vec![1.25, 1.25, 3.5]),
            "02 0c 09 03 03 3e 9f 6b c0 00 00 00 00 00",
            false,
        ),
        (
            T::Int32,
            E::Ts2Diff,
            V::Integers(vec![10, 12, 11, 20]),
            "00 00 00 03 00 00 00 04 ff ff ff ff 00 00 00 0a 30 a0",
            true,
        ),
        (
            T::Int64,
            E::Ts2Diff,
            V::Longs(vec![1000, 2000, 3000]),
            "00 00 00 02 00 00 00 00 00 00 00 00 00 00 03 e8 00 00 00 00 00 00 03 e8",
            true,
        ),
        (
            T::Int64,
            E::Ts2Diff,
            V::Longs(vec![5]),
            "00 00 00 00 00 00 00 00 7f ff ff ff ff ff ff ff 00 00 00 00 00 00 00 05",
            true,
        ),
        (
            T::Int64,
            E::Ts2Diff,
            V::Longs(vec![1, 3, 4, 10]),
            "00 00 00 03 00 00 00 03 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 01 22 80",
            true,
        ),
        (
            T::Float,
            E::Ts2Diff,
            V::Floats(vec![1.25, 1.5]),
            "02 00 00 00 01 00 00 00 00 00 00 00 19 00 00 00 7d",
            false,
        ),
        (
            T::Int32,
            E::Gorilla,
            V::Integers(vec![5, 5, 7]),
            "00 00 00 05 7e 07 07 e0 00 00 01 c0",
            true,
        ),
        (T::Float, E::Gorilla, V::Floats(vec![1.0, 1.5, 1.0]), "3f 80 00 00 d2 0d c2 88 08", true),
        (
            T::Int64,
            E::Gorilla,
            V::Longs(vec![1, 2]),
            "00 00 00 00 00 00 00 01 fe 07 c0 fa 00 00 00 00 00 00 00 08",
            true,
        ),
        (T::Double, E::Gorilla, V::Doubles(vec![1.0]), "3f f0 00 00 00 00 00 00 c1 2e 00 40", true),
        (
            T::String,
            E::Dictionary,
            texts(&[b"a", b"b", b"a"]),
            "04 02 61 02 62 04 01 03 03 40",
            true,
        ),
        (T::Int32, E::Zigzag, V::Integers(vec![1, -1, 300]), "04 03 02 01 d8 04", true),
        (
            T::Int32,
            E::Chimp,
            V::Integers(vec![5, 5, 7]),
            "00 00 00 05 00 f8 16 20 00 00 01 c0",
            true,
        ),
        (T::Int32, E::Sprintz, V::Integers(vec![1, 2, 3, 4, 5, 6, 7, 8, 9]), "01 01 ff", false),
        (T::Int32, E::Sprintz, V::Integers(vec![1, 2]), "82 05 02 03 02 60 00", false),
        (T::Int32, E::Rlbe, V::Integers(vec![1, 2, 3]), "00 00 00 03 04 f8", false),
    ]
}

#[test]
fn the_stock_encoders_bytes_are_read_and_written() {
    for (data_type, encoding, values, hex, is_written) in printed() {
        let input = bytes(hex);
        let got = decoded(data_type, encoding, &input, values.len());
        assert_eq!(got, values, "{encoding} {hex}");
        let mut out = Vec::new();
        match encode(encoding, &values, &mut out) {
            Ok(()) => assert_eq!(out, input, "{encoding}"),
            Err(_) => assert!(!is_written, "{encoding}"),
        }
    }
}

/// What `FloatRLBE` and `DoubleRLBE` of 1.1.1 printed for 1.5, 1.5, -2.25, 0.1, 3e30 (of doubles 3e300) and -0.0, and what
/// its decoders made of that.
#[test]
fn floats_in_rlbe_of_version_3_are_read_as_its_library_does() {
    let input = bytes(
        "00 00 00 06 7b ff 00 00 00 1d 06 80 e0 00 00 fb 80 2c cc cd \
         c8 5d d8 5e 0d c8 5d d8 5c",
    );
    let mut out = Values::of(DataType::Float);
    decode_v3(DataType::Float, Encoding::Rlbe, &input, 6, &mut out).expect("sound");
    let expected = [0x3fc0_0000, 0x3fc0_0000, 0xc010_0000, 0x3dcc_ccc0, 0x7217_7617, 0];
    assert!(same(&out, &Values::Floats(expected.map(f32::from_bits).to_vec())), "{out:?}");
    let cut_off = input.get(..20).expect("longer");
    let mut out = Values::of(DataType::Float);
    let cut_off = decode_v3(DataType::Float, Encoding::Rlbe, cut_off, 6, &mut out);
    assert_eq!(cut_off, Err(CodecError::End));

    let input = bytes(
        "00 00 00 06 7d ff f0 00 00 00 00 00 00 07 40 d0 03 80 00 00 00 00 00 1f b8 00 59 99 99 \
         99 99 99 bf 94 7a cb 59 80 16 0d 60 6f ca 3d 65 ac c0 0b 06 a0",
    );
    let mut out = Values::of(DataType::Double);
    decode_v3(DataType::Double, Encoding::Rlbe, &input, 6, &mut out).expect("sound");
    let expected = [
        0x3ff8_0000_0000_0000,
        0x3ff8_0000_0000_0000,
        0xc002_0000_0000_0000,
        0x3fb9_9999_9999_99a0,
        0x7e51_eb2d_6600_5835,
        0,
    ];
    assert!(same(&out, &Values::Doubles(expected.map(f64::from_bits).to_vec())), "{out:?}");
    // In version 4 nothing tells this form from another one.
    let mut out = Values::of(DataType::Double);
    assert!(decode(DataType::Double, Encoding::Rlbe, &input, 6, &mut out).is_err());
}

#[test]
fn values_that_do_not_fit_a_scale_are_read() {
    let input = bytes(
        "fe ff ff ff 07 04 01 06 02 22 1f 03 04 00 00 00 fb ff 00 00 03 8a 4f 96 50 1c 9c 38 \
         00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
    );
    let Values::Floats(got) = decoded(DataType::Float, Encoding::Rle, &input, 4) else {
        panic!("floats")
    };
    assert_eq!(got[0].to_bits(), 1.25_f32.to_bits());
    assert!(got[1].is_nan());
    assert_eq!(got[2].to_bits(), 1e30_f32.to_bits());
    assert_eq!(got[3].to_bits(), 3e7_f32.to_bits());
}

/// Compares bits, so that NaN equals itself and -0.0 does not equal 0.0.
fn same(a: &Values, b: &Values) -> bool {
    match (a, b) {
        (Values::Floats(a), Values::Floats(b)) => {
            a.iter().map(|v| v.to_bits()).eq(b.iter().map(|v| v.to_bits()))
        }
        (Values::Doubles(a), Values::Doubles(b)) => {
            a.iter().map(|v| v.to_bits()).eq(b.iter().map(|v| v.to_bits()))
        }
        _ => a == b,
    }
}

fn comes_back(data_type: DataType, values: &Values) -> usize {
    let mut encodings = 0;
    for encoding in Encoding::ALL {
        let mut out = vec![0xee];
        let is_written = encode(encoding, values, &mut out).is_ok();
        assert_eq!(is_written, encoding.is_written_for(data_type), "{encoding} {data_type:?}");
        if is_written {
            encodings += 1;
            assert_eq!(out[0], 0xee);
            let got = decoded(data_type, encoding, &out[1..], values.len());
            assert!(same(&got, values), "{encoding}: {got:?} instead of {values:?}");
            if !values.is_empty() {
                out.extend(b"more");
                let mut got = Values::of(data_type);
                let rest = decode_front(data_type, encoding, &out[1..], values.len(), &mut got);
                assert_eq!(rest, Ok(&b"more"[..]), "{encoding} {data_type:?}");
                assert!(same(&got, values), "{encoding}");
            }
        }
    }
    encodings
}

#[test]
fn extremes_come_back() {
    let floats: Vec<f32> =
        [0x7fc0_0000, 0x7fc0_0001, 0xffff_ffff, 0x8000_0000, 0, 1, 0x7f80_0000, 0xff80_0000]
            .into_iter()
            .chain([f32::MIN, f32::MAX, f32::MIN_POSITIVE].map(f32::to_bits))
            .flat_map(|bits| [bits, bits])
            .map(f32::from_bits)
            .collect();
    let doubles: Vec<f64> = [0x7ff8_0000_0000_0000, 0x7ff8_0000_dead_beef, u64::MAX, 1 << 63, 0, 1]
        .into_iter()
        .chain([f64::MIN, f64::MAX, f64::INFINITY].map(f64::to_bits))
        .flat_map(|bits| [bits, bits])
        .map(f64::from_bits)
        .collect();
    let integers = vec![i32::MIN, i32::MAX, 0, -1, i32::MIN, i32::MIN, 1, i32::MAX];
    let longs = vec![i64::MIN, i64::MAX, 0, -1, i64::MIN, i64::MIN, 1, i64::MAX];
    assert_eq!(comes_back(DataType::Float, &Values::Floats(floats)), 3);
    assert_eq!(comes_back(DataType::Double, &Values::Doubles(doubles)), 3);
    assert_eq!(comes_back(DataType::Int32, &Values::Integers(integers)), 6);
    assert_eq!(comes_back(DataType::Int64, &Values::Longs(longs)), 6);
    let long = vec![b'x'; 1 << 20];
    assert_eq!(comes_back(DataType::Text, &texts(&[b"", &long, b"", b"y", &long])), 2);
    for data_type in DataType::ALL {
        assert!(comes_back(data_type, &Values::of(data_type)) >= 2, "empty columns");
    }
}

#[test]
fn long_runs_come_back() {
    for count in
        [1, 7, 8, 9, 63 * 8, 63 * 8 + 1, 128, 129, 130, 258, 0x7fff, 0x8000, 0x8001, 70_000]
    {
        for value in [0, 1, -1] {
            comes_back(DataType::Int32, &Values::Integers(vec![value; count]));
        }
        comes_back(DataType::Boolean, &Values::Booleans(vec![true; count]));
        comes_back(DataType::Int64, &Values::Longs((0_i64..).take(count).map(|n| n * n).collect()));
    }
}

#[test]
fn a_page_of_too_many_times_is_refused() {
    // Two thousand million times in 24 bytes.
    let mut bomb = vec![0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0];
    bomb.extend([0; 16]);
    let mut out = Vec::new();
    let refused = decode_times(Encoding::Ts2Diff, &bomb, 1000, &mut out);
    assert_eq!(refused, Err(CodecError::Points { max: 1000 }));
    assert!(out.len() <= 1001);
}

#[test]
fn a_dictionary_does_not_grow_with_its_values() {
    let mut out = Vec::new();
    let text = vec![b'x'; 100_000];
    let values = texts(&[&text[..]; 3]);
    encode(Encoding::Dictionary, &values, &mut out).expect("legal");
    out.truncate(out.len() - 5);
    // A run of 100 000 times number 0.
    out.extend([5, 1, 0xc0, 0x9a, 0x0c, 0]);
    let Values::Binaries(got) = decoded(DataType::Text, Encoding::Dictionary, &out, 100_000) else {
        panic!("texts")
    };
    assert_eq!((got.len(), got.bytes()), (100_000, out.len() - 6));
    assert_eq!(got.get(99_999), Some(&text[..]));
}

#[test]
fn a_dictionary_has_no_more_texts_than_there_are_values() {
    // A million empty texts, of which one is used.
    let mut bomb = vec![0x80, 0x80, 0x80, 0x01];
    bomb.resize(bomb.len() + (1 << 20), 0);
    bomb.extend([1, 2, 0]);
    let mut out = Values::of(DataType::Text);
    let refused = decode(DataType::Text, Encoding::Dictionary, &bomb, 1, &mut out);
    let what = "count of the dictionary";
    assert!(
        matches!(refused, Err(CodecError::Value { what: is, .. }) if is == what),
        "{refused:?}"
    );
}

fn any_values() -> impl Strategy<Value = (DataType, Values)> {
    let narrow = prop_oneof![any::<i32>(), -3..3_i32, Just(7)];
    let wide = prop_oneof![any::<i64>(), -3..3_i64, Just(7)];
    let text = proptest::collection::vec(0_u8..4, 0..4);
    prop_oneof![
        proptest::collection::vec(any::<bool>(), 0..300)
            .prop_map(|list| (DataType::Boolean, Values::Booleans(list))),
        proptest::collection::vec(narrow, 0..300)
            .prop_map(|list| (DataType::Date, Values::Integers(list))),
        proptest::collection::vec(wide.clone(), 0..300)
            .prop_map(|list| (DataType::Timestamp, Values::Longs(list))),
        proptest::collection::vec(any::<u32>(), 0..300).prop_map(|list| {
            (DataType::Float, Values::Floats(list.into_iter().map(f32::from_bits).collect()))
        }),
        proptest::collection::vec(wide, 0..300).prop_map(|list| {
            let doubles = list.into_iter().map(|n| f64::from_bits(n.cast_unsigned())).collect();
            (DataType::Double, Values::Doubles(doubles))
        }),
        proptest::collection::vec(text, 0..100).prop_map(|list| {
            let list: Vec<&[u8]> = list.iter().map(Vec::as_slice).collect();
            (DataType::Blob, texts(&list))
        }),
    ]
}

proptest! {
    #[test]
    fn any_column_comes_back((data_type, values) in any_values()) {
        prop_assert!(comes_back(data_type, &values) >= 2);
    }

    #[test]
    fn times_come_back(times in proptest::collection::vec(any::<i64>(), 0..400)) {
        let mut out = Vec::new();
        encode_times(&times, &mut out);
        let mut got = Vec::new();
        prop_assert_eq!(decode_times(Encoding::Ts2Diff, &out, times.len(), &mut got), Ok(()));
        prop_assert_eq!(got, times);
    }

    #[test]
    fn no_bytes_panic(
        input in proptest::collection::vec(prop_oneof![any::<u8>(), 0..4_u8, Just(0xff)], 0..80),
        count in prop_oneof![0..200_usize, Just(10_000)],
    ) {
        for data_type in DataType::ALL {
            for encoding in Encoding::ALL {
                let mut out = Values::of(data_type);
                let _outcome = decode(data_type, encoding, &input, count, &mut out);
                prop_assert!(out.len() <= count);
                let mut out = Values::of(data_type);
                let _outcome = decode_front(data_type, encoding, &input, count, &mut out);
                prop_assert!(out.len() <= count);
                let _outcome = decode_times(encoding, &input, count, &mut Vec::new());
            }
        }
    }
}
