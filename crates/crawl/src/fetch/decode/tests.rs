//! Decompression: every encoding, in pieces, cut off, as bombs and as garbage.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use proptest::prelude::*;

use super::*;

const ANY: Bounds = Bounds { bytes: u64::MAX, expansion: None };

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn bare(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstandard(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 3).unwrap()
}

/// "hello, brotli" 200 times over, as the reference encoder writes it.
const BROTLI: &[u8] = &[
    0x1b, 0x27, 0x0a, 0xf8, 0x9d, 0x09, 0x36, 0x4e, 0xa8, 0x77, 0x37, 0xbc, 0x04, 0x11, 0x43, 0x4b, 0x16, 0x36, 0xba,
    0x2a, 0x93, 0x4b, 0xb6, 0xb4, 0xb7, 0x38, 0x30, 0x1a, 0xb8, 0x3a, 0x00, 0x60, 0x99, 0xbe, 0x00,
];

fn decode_in(piece: usize, encoding: &str, bytes: &[u8], bounds: Bounds) -> Result<Vec<u8>, DecodeError> {
    let mut decoder = Decoder::new([encoding.as_bytes()].into_iter(), bounds).unwrap();
    for piece in bytes.chunks(piece) {
        decoder.push(piece)?;
    }
    decoder.finish()?;
    Ok(decoder.take())
}

fn decode(encoding: &str, bytes: &[u8]) -> Result<Vec<u8>, DecodeError> {
    decode_in(100, encoding, bytes, ANY)
}

#[test]
fn every_encoding_gives_what_went_in_whatever_the_pieces() {
    let page = b"<a href=/p/1.html>one</a> ".repeat(5000);
    for piece in [1, 2, 3, 7, 4096, usize::MAX] {
        assert_eq!(decode_in(piece, "gzip", &gzip(&page), ANY).unwrap(), page);
        assert_eq!(decode_in(piece, "x-gzip", &gzip(&page), ANY).unwrap(), page);
        assert_eq!(decode_in(piece, "deflate", &zlib(&page), ANY).unwrap(), page);
        assert_eq!(decode_in(piece, "deflate", &bare(&page), ANY).unwrap(), page);
        assert_eq!(decode_in(piece, "zstd", &zstandard(&page), ANY).unwrap(), page);
    }
}

#[test]
fn encodings_are_undone_last_first() {
    let page = b"page ".repeat(100);
    assert_eq!(decode("gzip, zstd", &zstandard(&gzip(&page))).unwrap(), page);
    assert_eq!(decode("deflate,identity , GZIP", &gzip(&zlib(&page))).unwrap(), page);
}

#[test]
fn members_and_frames_follow_one_another() {
    let two = [gzip(b"one "), gzip(b"two")].concat();
    assert_eq!(decode("gzip", &two).unwrap(), b"one two");
    let two = [zstandard(b"one "), zstandard(b"two")].concat();
    assert_eq!(decode("zstd", &two).unwrap(), b"one two");
}

#[test]
fn what_follows_gzip_is_ignored() {
    let mut bytes = gzip(b"page");
    bytes.extend_from_slice(b"\0\0\0garbage");
    assert_eq!(decode("gzip", &bytes).unwrap(), b"page");
    assert_eq!(decode_in(1, "gzip", &bytes, ANY).unwrap(), b"page");
}

#[test]
fn a_body_that_is_cut_off_or_something_else_is_an_error() {
    let page: Vec<u8> = (0..20_000_u32).flat_map(|number| (number.wrapping_mul(2_654_435_761)).to_le_bytes()).collect();
    for (encoding, bytes) in
        [("gzip", gzip(&page)), ("deflate", zlib(&page)), ("deflate", bare(&page)), ("zstd", zstandard(&page))]
    {
        for length in [1, 2, 10, bytes.len() / 2, bytes.len() - 1] {
            let error = decode(encoding, &bytes[..length]).unwrap_err();
            assert!(matches!(error, DecodeError::Corrupt(_)), "{encoding} {length}: {error:?}");
        }
        assert!(matches!(decode(encoding, b"<html>plain</html>"), Err(DecodeError::Corrupt(_))), "{encoding}");
    }
}

#[test]
fn brotli_is_undone_and_checked() {
    let page = b"hello, brotli".repeat(200);
    for piece in [1, 5, 100] {
        assert_eq!(decode_in(piece, "br", BROTLI, ANY).unwrap(), page);
    }
    assert!(matches!(decode("br", &BROTLI[..BROTLI.len() / 2]), Err(DecodeError::Corrupt(_))));
    assert!(matches!(decode("br", b"<html>plain</html>"), Err(DecodeError::Corrupt(_))));
}

#[test]
fn an_empty_body_is_empty_in_every_encoding() {
    for encoding in ["gzip", "deflate", "br", "zstd", "gzip, br"] {
        assert_eq!(decode(encoding, b"").unwrap(), b"", "{encoding}");
    }
}

#[test]
fn a_bomb_is_noticed_before_it_is_kept() {
    let bomb = gzip(&vec![0; 64 << 20]);
    let small = Bounds { bytes: 1 << 20, expansion: None };
    assert_eq!(decode_in(usize::MAX, "gzip", &bomb, small).unwrap_err(), DecodeError::TooLarge);
    let ratio = Bounds { bytes: u64::MAX, expansion: Some(250) };
    assert_eq!(decode_in(usize::MAX, "gzip", &bomb, ratio).unwrap_err(), DecodeError::Expands(250));
    let twice = gzip(&bomb);
    assert_eq!(decode_in(1000, "gzip, gzip", &twice, ratio).unwrap_err(), DecodeError::Expands(250));
}

#[test]
fn what_is_unknown_is_left_alone() {
    for encoding in ["identity", "", "aws-chunked", "gzip, unknown", "gzip,gzip,gzip,gzip,gzip,gzip"] {
        assert!(Decoder::new([encoding.as_bytes()].into_iter(), ANY).is_none(), "{encoding}");
    }
}

proptest! {
    #[test]
    fn garbage_is_an_error_or_bytes_and_never_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), piece in 1_usize..50) {
        for encoding in ["gzip", "deflate", "br", "zstd", "br, deflate, gzip"] {
            let _ = decode_in(piece, encoding, &bytes, Bounds { bytes: 1 << 20, expansion: Some(250) });
        }
    }
}
