//! The memory that Argon2 fills.

use std::fmt;

use argon2::Block;
use secrecy::zeroize::Zeroize;

use super::PasswordError;

/// One thread's memory, kept between hashes and wiped before it is given back.
///
/// It is as secret as a password: from what a hash leaves in it, the first block can be computed back, and that is a hash
/// of the password which is cheap to guess at (RFC 9106, section 3.2).
pub(super) struct Memory {
    blocks: Vec<Block>,
    usual_blocks: usize,
}

impl Memory {
    /// No memory yet. Once it is needed, there are at least `usual_blocks` of 1 KiB.
    pub(super) fn new(usual_blocks: usize) -> Self {
        Self { blocks: Vec::new(), usual_blocks }
    }

    /// At least `count` blocks.
    pub(super) fn blocks(&mut self, count: usize) -> Result<&mut [Block], PasswordError> {
        if self.blocks.len() < count {
            self.give_back();
            let needed = count.max(self.usual_blocks);
            let full = |_| PasswordError::Failed(format!("there is no memory for {needed} KiB"));
            self.blocks.try_reserve_exact(needed).map_err(full)?;
            self.blocks.resize(needed, Block::new());
        }
        Ok(&mut self.blocks)
    }

    /// Gives back what one hash with large parameters of its own has grown.
    pub(super) fn shrink(&mut self) {
        if self.blocks.len() > self.usual_blocks {
            self.give_back();
        }
    }

    /// Wipes it and gives it back.
    pub(super) fn give_back(&mut self) {
        self.wipe();
        self.blocks = Vec::new();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    fn wipe(&mut self) {
        for block in &mut self.blocks {
            block.zeroize();
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.wipe();
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("blocks", &self.blocks.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_beyond_the_usual_is_not_kept() {
        let mut memory = Memory::new(16);
        assert_eq!(memory.blocks(8).unwrap().len(), 16, "the usual is there for whatever comes next");
        memory.shrink();
        assert!(!memory.is_empty());
        assert_eq!(memory.blocks(64).unwrap().len(), 64);
        memory.shrink();
        assert!(memory.is_empty());
    }

    #[test]
    fn wiping_leaves_nothing_of_a_password() {
        let mut memory = Memory::new(8);
        memory.blocks(8).unwrap()[7].as_mut()[127] = 7;
        memory.wipe();
        assert!(memory.blocks(8).unwrap().iter().all(|block| block.as_ref().iter().all(|word| *word == 0)));
    }
}
