//! The bytes that are sent: each message is another stretch of one pattern, so that none passes for another.

/// How many places a message can begin at; messages of a connection repeat after so many.
const PLACE_COUNT: usize = 4096;

pub(crate) struct Pattern {
    bytes: Vec<u8>,
    message_bytes: usize,
}

impl Pattern {
    pub(crate) fn new(message_bytes: usize) -> Self {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let bytes = (0..message_bytes + PLACE_COUNT)
            .map(|_| {
                // Xorshift: the stretches have nothing in common.
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state.to_le_bytes()[4]
            })
            .collect();
        Self { bytes, message_bytes }
    }

    /// Returns a message of a connection: no copy, neither to send nor to compare.
    pub(crate) fn message(&self, connection: usize, number: usize) -> &[u8] {
        // Odd factors pass all places before one comes again.
        let place = connection.wrapping_mul(611).wrapping_add(number.wrapping_mul(97)) % PLACE_COUNT;
        &self.bytes[place..place + self.message_bytes]
    }

    pub(crate) fn message_bytes(&self) -> usize {
        self.message_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::Pattern;

    #[test]
    fn neighbours_have_different_messages() {
        let pattern = Pattern::new(64);
        for number in 0..200 {
            assert_ne!(pattern.message(0, number), pattern.message(0, number + 1));
            assert_ne!(pattern.message(number, 0), pattern.message(number + 1, 0));
        }
    }

    #[test]
    fn a_message_has_its_length_wherever_it_begins() {
        let pattern = Pattern::new(10);
        assert!((0..5000).all(|number| pattern.message(3, number).len() == 10));
    }
}
