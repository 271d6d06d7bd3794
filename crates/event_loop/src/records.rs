//! Where the records of a TLS connection end: only a whole one can be decrypted, and asking in vain costs as much as a record.

const HEADER_BYTES: usize = 5;
/// The first byte of a record is from here on...
const FIRST_KIND: u8 = 20;
/// ...to here.
const LAST_KIND: u8 = 24;
/// The longest body that the older protocols allow.
const LONGEST_BYTES: usize = 16 * 1024 + 2048;

/// Follows a connection's incoming bytes from record to record.
#[derive(Debug, Default)]
pub struct Records {
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
    body_bytes: usize,
    /// What is still to come of the body.
    left_bytes: usize,
    is_odd: bool,
}

impl Records {
    /// Goes on behind `bytes`, which follow those of the call before.
    pub fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.is_odd {
            if self.left_bytes > 0 {
                let count = self.left_bytes.min(bytes.len());
                self.left_bytes -= count;
                bytes = bytes.get(count..).unwrap_or_default();
                if self.left_bytes == 0 {
                    self.header_bytes = 0;
                }
                continue;
            }
            let count = (HEADER_BYTES - self.header_bytes).min(bytes.len());
            let (head, rest) = bytes.split_at(count);
            for (to, from) in self.header.iter_mut().skip(self.header_bytes).zip(head) {
                *to = *from;
            }
            self.header_bytes += count;
            bytes = rest;
            if self.header_bytes == HEADER_BYTES {
                self.begin_body();
            }
        }
    }

    fn begin_body(&mut self) {
        let [kind, _, _, high, low] = self.header;
        self.body_bytes = usize::from(u16::from_be_bytes([high, low]));
        self.left_bytes = self.body_bytes;
        self.is_odd = !(FIRST_KIND..=LAST_KIND).contains(&kind) || self.body_bytes > LONGEST_BYTES;
        if self.left_bytes == 0 {
            self.header_bytes = 0;
        }
    }

    /// How many of the last bytes belong to a record that is not complete: as long as no more than these are there, nothing
    /// can be decrypted. None if what has come is no sequence of records: who decrypts it is to say so.
    pub fn partial_bytes(&self) -> usize {
        if self.is_odd {
            0
        } else if self.header_bytes == HEADER_BYTES {
            HEADER_BYTES + self.body_bytes - self.left_bytes
        } else {
            self.header_bytes
        }
    }

    /// Whether what has come is no sequence of records.
    pub fn is_odd(&self) -> bool {
        self.is_odd
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(body: usize) -> Vec<u8> {
        let [high, low] = u16::try_from(body).unwrap().to_be_bytes();
        let mut record = vec![23, 3, 3, high, low];
        record.resize(HEADER_BYTES + body, 7);
        record
    }

    #[test]
    fn a_part_of_a_record_is_known_as_such() {
        let mut records = Records::default();
        records.follow(&record(10));
        assert_eq!(records.partial_bytes(), 0);
        records.follow(&record(10)[..3]);
        assert_eq!(records.partial_bytes(), 3);
        records.follow(&record(10)[3..9]);
        assert_eq!(records.partial_bytes(), 9);
        records.follow(&record(10)[9..]);
        assert_eq!(records.partial_bytes(), 0);
    }

    #[test]
    fn what_is_no_record_counts_as_complete() {
        let mut records = Records::default();
        records.follow(b"GET / HTTP/1.1");
        assert!(records.is_odd());
        assert_eq!(records.partial_bytes(), 0);
        let mut too_long = Records::default();
        too_long.follow(&[23, 3, 3, 255, 255, 0]);
        assert!(too_long.is_odd());
    }

    proptest! {
        #[test]
        fn records_end_where_they_end_however_they_arrive(
            bodies in prop::collection::vec(0_usize..300, 1..20),
            steps in prop::collection::vec(1_usize..50, 1..9),
        ) {
            let mut ends = Vec::new();
            let mut all = Vec::new();
            for body in bodies {
                all.extend(record(body));
                ends.push(all.len());
            }
            let mut records = Records::default();
            let mut at = 0;
            for step in steps.iter().cycle() {
                let next = (at + step).min(all.len());
                records.follow(&all[at..next]);
                at = next;
                let last_end = ends.iter().copied().filter(|end| *end <= at).max().unwrap_or(0);
                prop_assert_eq!(records.partial_bytes(), at - last_end);
                if at == all.len() {
                    break;
                }
            }
        }
    }
}
