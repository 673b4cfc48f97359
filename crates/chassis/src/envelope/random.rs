//! Random bytes for nonces and IVs, drawn for many bodies at once: one call of the generator costs as much for a page as
//! for twelve bytes, and a tenth of what it takes to encrypt a small body.

use std::cell::RefCell;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand;

use super::EncryptError;

/// Drawn at once.
const POOL_BYTES: usize = 1024;

struct Pool {
    bytes: [u8; POOL_BYTES],
    /// Of the bytes that nobody has yet, which stand in front.
    left: usize,
}

thread_local! {
    /// No process of ours forks, which would give two of them the same bytes.
    static POOL: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; POOL_BYTES], left: 0 }) };
}

/// So many bytes that nobody else gets, nor could foresee.
pub(super) fn draw<const N: usize>() -> Result<[u8; N], Unspecified> {
    POOL.with_borrow_mut(|Pool { bytes, left }| {
        if *left < N {
            rand::fill(bytes)?;
            *left = POOL_BYTES;
        }
        let (rest, drawn) = bytes.get_mut(..*left).and_then(<[u8]>::split_last_chunk_mut::<N>).ok_or(Unspecified)?;
        *left = rest.len();
        Ok(std::mem::replace(drawn, [0; N]))
    })
}

/// Lets the generator of this process gather its entropy, some 50 ms of processor time. Else the first body that is
/// encrypted does it, on the thread that serves; this is for one that may block.
///
/// # Errors
/// The cryptographic library failed.
pub fn seed_random() -> Result<(), EncryptError> {
    Ok(rand::fill(&mut [0])?)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_bytes_are_drawn_twice_whatever_is_drawn_between() {
        let mut drawn = HashSet::new();
        for _ in 0..POOL_BYTES {
            assert!(drawn.insert(u64::from_le_bytes(draw().unwrap())));
            let other: [u8; 13] = draw().unwrap();
            assert_ne!(other, [0; 13]);
        }
    }
}
