//! SQLite's write-ahead log as a file: what a process that died left in it.
//!
//! SQLite reads the log up to the first frame that does not fit and forgets the rest in silence. That is right for the
//! end of a write that a power cut tore, and wrong for a damaged file: acknowledged messages would vanish. The two can
//! be told apart, since a transaction is synced before the next one is begun.
//!
//! Source: <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// With one bit more when checksums are over big-endian words.
const MAGIC: u32 = 0x377f_0682;
const CHUNK_BYTES: usize = 1 << 20;

/// Where SQLite keeps the log of the file.
pub(super) fn path_of(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push("-wal");
    path.into()
}

/// Where a log stops to be readable although acknowledged transactions lie behind.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Damage {
    /// In bytes from the start of the file; 0: its header.
    pub(super) at: u64,
}

/// Looks for damage; a log that is missing, empty or torn at its end has none.
pub(super) fn inspect(log: &Path) -> io::Result<Option<Damage>> {
    let mut file = match File::open(log) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => BufReader::with_capacity(CHUNK_BYTES, other?),
    };
    let mut header = [0; HEADER_BYTES];
    if !read_whole(&mut file, &mut header)? || header == [0; HEADER_BYTES] {
        return Ok(None);
    }
    match Reader::new(&header) {
        None => Ok(Some(Damage { at: 0 })),
        Some(mut reader) => reader.read(&mut file),
    }
}

/// Writes all of it again and has it brought to the disk. When an earlier sync failed, what is read here may be in the
/// kernel's memory alone, marked as written: the next sync would succeed and prove nothing.
pub(super) fn write_again(log: &Path) -> io::Result<()> {
    let mut file = match OpenOptions::new().read(true).write(true).open(log) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut at = 0;
    loop {
        let length = file.read(&mut chunk)?;
        if length == 0 {
            return file.sync_all();
        }
        file.seek(SeekFrom::Start(at))?;
        file.write_all(&chunk[..length])?;
        at += length as u64;
    }
}

struct Reader {
    big_endian: bool,
    page_bytes: usize,
    salt: [u8; 8],
    sums: (u32, u32),
}

impl Reader {
    /// `None` when the header is not one.
    fn new(header: &[u8; HEADER_BYTES]) -> Option<Self> {
        let magic = word(header, 0);
        let mut salt = [0; 8];
        salt.copy_from_slice(&header[16..24]);
        let page_bytes = usize::try_from(word(header, 8)).ok()?;
        let mut reader = Self { big_endian: magic & 1 == 1, page_bytes, salt, sums: (0, 0) };
        reader.add(&header[..24]);
        let fits = magic & !1 == MAGIC && reader.sums == (word(header, 24), word(header, 28));
        (fits && page_bytes.is_power_of_two() && (512..=65536).contains(&page_bytes)).then_some(reader)
    }

    /// Behind the first frame that does not fit there may be the end of one transaction that nobody was told of. With
    /// the ends of two the first had been acknowledged.
    fn read(&mut self, file: &mut impl Read) -> io::Result<Option<Damage>> {
        let mut frame = vec![0; FRAME_HEADER_BYTES + self.page_bytes];
        let (mut at, mut broken_at, mut ends_behind) = (HEADER_BYTES as u64, None, 0);
        while read_whole(file, &mut frame)? {
            if broken_at.is_none() && !self.fits(&frame) {
                broken_at = Some(at);
            }
            if broken_at.is_some() && frame[8..16] == self.salt && word(&frame, 4) != 0 {
                ends_behind += 1;
            }
            at += frame.len() as u64;
        }
        Ok(broken_at.filter(|_| ends_behind > 1).map(|at| Damage { at }))
    }

    fn fits(&mut self, frame: &[u8]) -> bool {
        self.add(&frame[..8]);
        self.add(&frame[FRAME_HEADER_BYTES..]);
        frame[8..16] == self.salt && self.sums == (word(frame, 16), word(frame, 20))
    }

    fn add(&mut self, bytes: &[u8]) {
        let (mut first, mut second) = self.sums;
        for pair in bytes.chunks_exact(8) {
            let (mut left, mut right) = (word(pair, 0), word(pair, 4));
            if !self.big_endian {
                (left, right) = (left.swap_bytes(), right.swap_bytes());
            }
            first = first.wrapping_add(left).wrapping_add(second);
            second = second.wrapping_add(right).wrapping_add(first);
        }
        self.sums = (first, second);
    }
}

/// The four bytes at `at`, big-endian.
fn word(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_be_bytes(word)
}

/// False at the end of the file, also within the buffer.
fn read_whole(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(buffer) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        other => other.map(|()| true),
    }
}
