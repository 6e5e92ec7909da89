//! A stream sealed in chunks: nobody reads it without the key, and what was changed, cut off or put
//! into another order is noticed.
//!
//! Each file has a key of its own, derived from the store's and a random salt, so that nonces may
//! count from zero. The header is in the clear; it is bound to every chunk.

use std::io::{self, Read, Write};

use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    digest, hkdf,
    rand::{SecureRandom as _, SystemRandom},
};

use ery_group_commit::FileKey;

const CHUNK: usize = 64 << 10;
const TAG: usize = 16;
/// Marks the last chunk in its length.
const LAST: u32 = 1 << 31;

/// A salt of its own for each file.
pub(crate) fn salt() -> io::Result<[u8; 32]> {
    let mut salt = [0; 32];
    let filled = SystemRandom::new().fill(&mut salt);
    filled.map_err(|_| io::Error::other("the system has no random bytes"))?;
    Ok(salt)
}

/// Returns a name of a key, by which one is told from another, and that says nothing of it.
pub(crate) fn key_id(key: Option<&FileKey>) -> String {
    let Some(key) = key else { return String::new() };
    let mut text = b"ery key id".to_vec();
    text.extend_from_slice(&key.0);
    hex(&digest::digest(&digest::SHA256, &text).as_ref()[..8])
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a string cannot fail");
        text
    })
}

struct Chunks {
    key: LessSafeKey,
    header: digest::Digest,
    next: u64,
}

impl Chunks {
    /// Without a key the chunks still show damage, and hide nothing.
    fn new(key: Option<&FileKey>, salt: &[u8], header: &[u8]) -> Self {
        let secret = key.map_or([0; 32], |key| key.0);
        let derived = hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
            .extract(&secret)
            .expand(&[b"ery backup 1"], &AES_256_GCM)
            .map(UnboundKey::from)
            .expect("the length is the algorithm's own");
        let header = digest::digest(&digest::SHA256, header);
        Self { key: LessSafeKey::new(derived), header, next: 0 }
    }

    fn nonce(&mut self) -> Nonce {
        let mut nonce = [0; 12];
        nonce[4..].copy_from_slice(&self.next.to_be_bytes());
        self.next += 1;
        Nonce::assume_unique_for_key(nonce)
    }

    fn aad(&self, is_last: bool) -> Aad<[u8; 33]> {
        let mut aad = [0; 33];
        aad[..32].copy_from_slice(self.header.as_ref());
        aad[32] = is_last.into();
        Aad::from(aad)
    }
}

/// Seals what is written. It is whole only once [`Sealer::finish`] has answered.
pub(crate) struct Sealer<W> {
    inner: W,
    chunks: Chunks,
    buffer: Vec<u8>,
}

impl<W: Write> Sealer<W> {
    pub(crate) fn new(inner: W, key: Option<&FileKey>, salt: &[u8], header: &[u8]) -> Self {
        let buffer = Vec::with_capacity(CHUNK + TAG);
        Self { inner, chunks: Chunks::new(key, salt, header), buffer }
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        Ok(self.inner)
    }

    fn seal(&mut self, is_last: bool) -> io::Result<()> {
        let (nonce, aad) = (self.chunks.nonce(), self.chunks.aad(is_last));
        let sealed = self.chunks.key.seal_in_place_append_tag(nonce, aad, &mut self.buffer);
        sealed.map_err(|_| io::Error::other("a chunk could not be sealed"))?;
        let length = u32::try_from(self.buffer.len()).expect("a chunk is small");
        self.inner.write_all(&(length | if is_last { LAST } else { 0 }).to_be_bytes())?;
        self.inner.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() == CHUNK {
            self.seal(false)?;
        }
        let taken = bytes.len().min(CHUNK - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Opens what a [`Sealer`] wrote. Damage is an error of the kind `InvalidData`.
pub(crate) struct Opener<R> {
    inner: R,
    chunks: Chunks,
    buffer: Vec<u8>,
    read: usize,
    has_ended: bool,
}

impl<R: Read> Opener<R> {
    pub(crate) fn new(inner: R, key: Option<&FileKey>, salt: &[u8], header: &[u8]) -> Self {
        let chunks = Chunks::new(key, salt, header);
        Self { inner, chunks, buffer: Vec::new(), read: 0, has_ended: false }
    }

    fn open(&mut self) -> io::Result<()> {
        let damaged = || io::Error::new(io::ErrorKind::InvalidData, "a chunk's seal is broken");
        let cut = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                io::Error::new(io::ErrorKind::InvalidData, "the end is missing")
            }
            _ => error,
        };
        let mut length = [0; 4];
        self.inner.read_exact(&mut length).map_err(cut)?;
        let length = u32::from_be_bytes(length);
        let (is_last, length) = (length & LAST != 0, (length & !LAST) as usize);
        if !(TAG..=CHUNK + TAG).contains(&length) {
            return Err(damaged());
        }
        self.buffer.resize(length, 0);
        self.inner.read_exact(&mut self.buffer).map_err(cut)?;
        let (nonce, aad) = (self.chunks.nonce(), self.chunks.aad(is_last));
        let opened = self.chunks.key.open_in_place(nonce, aad, &mut self.buffer);
        let length = opened.map_err(|_| damaged())?.len();
        self.buffer.truncate(length);
        self.read = 0;
        self.has_ended = is_last;
        Ok(())
    }
}

impl<R: Read> Read for Opener<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.read == self.buffer.len() {
            if self.has_ended {
                return Ok(0);
            }
            self.open()?;
        }
        let taken = into.len().min(self.buffer.len() - self.read);
        into[..taken].copy_from_slice(&self.buffer[self.read..self.read + taken]);
        self.read += taken;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: FileKey = FileKey([3; 32]);

    fn sealed(text: &[u8]) -> Vec<u8> {
        let mut sealer = Sealer::new(Vec::new(), Some(&KEY), b"salt", b"header");
        sealer.write_all(text).unwrap();
        sealer.finish().unwrap()
    }

    fn opened(bytes: &[u8], key: &FileKey, header: &[u8]) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        Opener::new(bytes, Some(key), b"salt", header).read_to_end(&mut text)?;
        Ok(text)
    }

    #[test]
    fn what_was_sealed_is_opened_whatever_its_length() {
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK] {
            let text: Vec<u8> = (0..=250).cycle().take(length).collect();
            let bytes = sealed(&text);
            assert_eq!(opened(&bytes, &KEY, b"header").unwrap(), text);
            assert!(length < 64 || !bytes.windows(64).any(|window| window == &text[..64]));
        }
    }

    #[test]
    fn what_was_changed_or_cut_off_is_noticed() {
        let text = vec![7; 2 * CHUNK + 5];
        let bytes = sealed(&text);
        let whole = CHUNK + TAG + 4;
        let mut changed = bytes.clone();
        changed[whole + 99] ^= 1;
        let mut swapped = bytes[whole..2 * whole].to_vec();
        swapped.extend_from_slice(&bytes[..whole]);
        swapped.extend_from_slice(&bytes[2 * whole..]);
        for damaged in [&changed, &swapped, &bytes[..whole].to_vec(), &bytes[..whole + 9].to_vec()]
        {
            let error = opened(damaged, &KEY, b"header").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
        assert!(opened(&bytes, &FileKey([4; 32]), b"header").is_err());
        assert!(opened(&bytes, &KEY, b"another").is_err());
    }
}
