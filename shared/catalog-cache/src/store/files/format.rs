//! File format of an entry.
//!
//! ```text
//!  0  4  mark and version of this layout
//!  4 32  SHA-256 of all that follows
//! 36  8  when it was written, in milliseconds since 1970
//! 44  8  when it expires, the same
//! 52  4  length of the key
//! 56     key, then value to the end of the file
//! ```
//! Numbers are little-endian. The name is the hash of the key; the key itself is in the file because a name
//! proves nothing.

use std::fs::File;
use std::io::{self, Read};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::keys;

/// Extension of an entry's file.
pub(super) const SUFFIX: &str = ".entry";

const MARK: [u8; 4] = *b"TWE\x01";
const SUMMED_FROM: usize = 36;
const HEAD_LEN: usize = 56;

/// Time at which an entry was written, and its expiry, in milliseconds since 1970: files outlive processes,
/// so no other clock will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) written: u64,
    pub(super) expires: u64,
}

/// Returns the name of an entry's file.
pub(super) fn file_name(key: &str) -> String {
    keys::text_hash(key) + SUFFIX
}

/// Returns the length of an entry's file.
pub(super) const fn file_len(key: &str, value: &[u8]) -> u64 {
    (HEAD_LEN + key.len() + value.len()) as u64
}

pub(super) fn encode(key: &str, value: &[u8], times: Times) -> Vec<u8> {
    let key_len = u32::try_from(key.len()).expect("a key is shorter than 4 GiB");
    let mut bytes = Vec::with_capacity(HEAD_LEN + key.len() + value.len());
    bytes.extend_from_slice(&MARK);
    bytes.extend_from_slice(&[0; SUMMED_FROM - MARK.len()]);
    bytes.extend_from_slice(&times.written.to_le_bytes());
    bytes.extend_from_slice(&times.expires.to_le_bytes());
    bytes.extend_from_slice(&key_len.to_le_bytes());
    bytes.extend_from_slice(key.as_bytes());
    bytes.extend_from_slice(value);
    let sum = Sha256::digest(&bytes[SUMMED_FROM..]);
    bytes[MARK.len()..SUMMED_FROM].copy_from_slice(&sum);
    bytes
}

/// Returns the value, if these are the bytes of exactly this entry, whole and unchanged.
pub(super) fn decode(bytes: &Bytes, key: &str, times: Times) -> Option<Bytes> {
    let head = Head::parse(bytes.first_chunk()?)?;
    let value_from = HEAD_LEN.checked_add(head.key_len)?;
    let is_ours = head.times == times && bytes.get(HEAD_LEN..value_from)? == key.as_bytes();
    let is_whole = bytes[MARK.len()..SUMMED_FROM] == Sha256::digest(&bytes[SUMMED_FROM..])[..];
    (is_ours && is_whole).then(|| bytes.slice(value_from..))
}

/// Returns key and times of an entry's file, without its value and therefore unproven. None for another kind
/// of file.
pub(super) fn read_head(file: &mut File) -> io::Result<Option<(String, Times)>> {
    let len = file.metadata()?.len();
    let mut bytes = [0; HEAD_LEN];
    if len < HEAD_LEN as u64 {
        return Ok(None);
    }
    file.read_exact(&mut bytes)?;
    let Some(head) = Head::parse(&bytes) else { return Ok(None) };
    if len < (HEAD_LEN + head.key_len) as u64 {
        return Ok(None);
    }
    let mut key = vec![0; head.key_len];
    file.read_exact(&mut key)?;
    Ok(String::from_utf8(key).ok().map(|key| (key, head.times)))
}

struct Head {
    times: Times,
    key_len: usize,
}

impl Head {
    fn parse(bytes: &[u8; HEAD_LEN]) -> Option<Self> {
        let (written, rest) =
            bytes.strip_prefix(&MARK)?.get(SUMMED_FROM - MARK.len()..)?.split_first_chunk()?;
        let (expires, rest) = rest.split_first_chunk()?;
        let times = Times { written: u64::from_le_bytes(*written), expires: u64::from_le_bytes(*expires) };
        Some(Self { times, key_len: u32::from_le_bytes(*rest.first_chunk()?) as usize })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times = Times { written: 1, expires: 2 };

    #[test]
    fn a_value_comes_back_and_a_changed_or_another_file_does_not() {
        let good = encode("key", b"value", TIMES);
        assert_eq!(good.len() as u64, file_len("key", b"value"));
        let read = |bytes: &[u8]| decode(&Bytes::copy_from_slice(bytes), "key", TIMES);
        assert_eq!(read(&good).unwrap(), "value");
        assert_eq!(decode(&Bytes::from(good.clone()), "yek", TIMES), None, "another key");
        assert_eq!(decode(&Bytes::from(good.clone()), "key", Times { written: 1, expires: 3 }), None);
        for len in 0..good.len() {
            assert_eq!(read(&good[..len]), None, "cut off at {len}");
        }
        for place in 0..good.len() {
            let mut bytes = good.clone();
            bytes[place] ^= 1;
            assert_eq!(read(&bytes), None, "changed at {place}");
        }
        assert_eq!(read(&[good.as_slice(), b"more"].concat()), None);
    }
}
