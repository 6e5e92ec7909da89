//! Transport compression: one context for the whole connection, flushed after each message.

use std::io::{self, Write as _};

use axum::extract::ws::{Message, Utf8Bytes};
use bytes::Bytes;
use flate2::{Compress, Compression, FlushCompress, Status, write::ZlibEncoder};
use zstd::stream::raw::{Encoder, InBuffer, Operation, OutBuffer};

/// How frames are packed before they are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Transport {
    #[default]
    Plain,
    /// A message ends with `00 00 FF FF`.
    ZlibStream,
    /// A message is a flushed part of one frame that never ends.
    ZstdStream,
}

/// Frames from this size on are compressed where each is packed by itself.
const PAYLOAD_BYTES: usize = 1_024;

/// Packs frames. Speed counts here more than size.
pub(crate) enum Codec {
    Plain,
    /// Each large frame by itself, as `compress` in IDENTIFY asks for.
    Payloads,
    Zlib(Box<Compress>),
    Zstd(Box<Encoder<'static>>),
}

const ZSTD_LEVEL: i32 = 1;

impl Codec {
    /// # Errors
    ///
    /// If zstd has no memory for its context.
    pub(crate) fn new(transport: Transport) -> io::Result<Self> {
        Ok(match transport {
            Transport::Plain => Self::Plain,
            Transport::ZlibStream => Self::Zlib(Box::new(Compress::new(Compression::fast(), true))),
            Transport::ZstdStream => Self::Zstd(Box::new(Encoder::new(ZSTD_LEVEL)?)),
        })
    }

    /// Compresses large frames from now on, unless the whole connection is compressed already.
    pub(crate) fn compress_payloads(&mut self) {
        if matches!(self, Self::Plain) {
            *self = Self::Payloads;
        }
    }

    /// Packs one frame.
    ///
    /// # Errors
    ///
    /// If the compressor fails, after which its context is of no use any more.
    pub(crate) fn pack(&mut self, frame: String) -> io::Result<Message> {
        let packed = match self {
            Self::Plain => return Ok(Message::Text(Utf8Bytes::from(frame))),
            Self::Payloads if frame.len() < PAYLOAD_BYTES => {
                return Ok(Message::Text(Utf8Bytes::from(frame)));
            }
            Self::Payloads => {
                let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
                zlib.write_all(frame.as_bytes())?;
                zlib.finish()?
            }
            Self::Zlib(zlib) => deflate(zlib, frame.as_bytes())?,
            Self::Zstd(zstd) => compress(zstd, frame.as_bytes())?,
        };
        Ok(Message::Binary(Bytes::from(packed)))
    }
}

fn deflate(zlib: &mut Compress, input: &[u8]) -> io::Result<Vec<u8>> {
    let mut output = Vec::with_capacity(input.len() / 2 + 64);
    let start = zlib.total_in();
    loop {
        let taken = usize::try_from(zlib.total_in() - start).map_err(io::Error::other)?;
        let status = zlib
            .compress_vec(&input[taken..], &mut output, FlushCompress::Sync)
            .map_err(io::Error::other)?;
        let all_taken =
            usize::try_from(zlib.total_in() - start).is_ok_and(|all| all == input.len());
        // Room that is left over says that the flush is complete.
        if all_taken && output.len() < output.capacity() && status != Status::BufError {
            return Ok(output);
        }
        if all_taken && status == Status::BufError {
            return Ok(output);
        }
        output.reserve(output.capacity().max(64));
    }
}

fn compress(zstd: &mut Encoder<'static>, input: &[u8]) -> io::Result<Vec<u8>> {
    let mut output = vec![0; zstd::zstd_safe::compress_bound(input.len()) + 64];
    let mut written = 0;
    let mut source = InBuffer::around(input);
    while source.pos < input.len() {
        let mut target = OutBuffer::around(&mut output[written..]);
        zstd.run(&mut source, &mut target)?;
        written += target.pos();
        if written == output.len() {
            output.resize(output.len() * 2, 0);
        }
    }
    loop {
        let mut target = OutBuffer::around(&mut output[written..]);
        let left = zstd.flush(&mut target)?;
        written += target.pos();
        if left == 0 {
            break;
        }
        output.resize(output.len() * 2, 0);
    }
    output.truncate(written);
    Ok(output)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::{Decompress, FlushDecompress};
    use zstd::stream::raw::Decoder;

    use super::*;

    fn frames() -> Vec<String> {
        let noise = |seed: u64| -> String {
            let mut state = seed;
            let step = |_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                char::from(b'a' + u8::try_from(state >> 33 & 15).unwrap())
            };
            (0..50_000).map(step).collect()
        };
        vec![r#"{"op":10}"#.into(), "x".repeat(200_000), noise(7), r#"{"op":11}"#.into(), noise(8)]
    }

    fn packed(transport: Transport) -> Vec<Bytes> {
        let mut codec = Codec::new(transport).unwrap();
        frames().into_iter().map(|frame| codec.pack(frame).unwrap().into_data()).collect()
    }

    #[test]
    fn each_zlib_message_is_whole_and_ends_as_clients_expect() {
        let mut inflate = Decompress::new(true);
        for (message, frame) in packed(Transport::ZlibStream).iter().zip(frames()) {
            assert!(message.ends_with(&[0, 0, 0xFF, 0xFF]));
            let mut output = Vec::with_capacity(frame.len() + 1);
            inflate.decompress_vec(message, &mut output, FlushDecompress::Sync).unwrap();
            assert!(output == frame.as_bytes());
        }
    }

    #[test]
    fn large_payloads_are_compressed_one_by_one() {
        let mut codec = Codec::new(Transport::Plain).unwrap();
        codec.compress_payloads();
        for frame in frames() {
            match codec.pack(frame.clone()).unwrap() {
                Message::Text(text) => assert!(text.len() < PAYLOAD_BYTES && *text == frame),
                Message::Binary(packed) => {
                    let mut plain = String::new();
                    flate2::read::ZlibDecoder::new(&packed[..]).read_to_string(&mut plain).unwrap();
                    assert!(frame.len() >= PAYLOAD_BYTES && plain == frame);
                }
                other => panic!("{other:?}"),
            }
        }
        let mut streamed = Codec::new(Transport::ZlibStream).unwrap();
        streamed.compress_payloads();
        assert!(matches!(streamed, Codec::Zlib(_)));
    }

    #[test]
    fn each_zstd_message_is_whole_in_one_frame() {
        let mut decoder = Decoder::new().unwrap();
        for (message, frame) in packed(Transport::ZstdStream).iter().zip(frames()) {
            let mut output = vec![0; frame.len() + 1];
            let mut target = OutBuffer::around(&mut output[..]);
            let mut source = InBuffer::around(&message[..]);
            while source.pos < message.len() {
                let hint = decoder.run(&mut source, &mut target).unwrap();
                assert_ne!(hint, 0, "the frame must never end");
            }
            let length = target.pos();
            assert!(&output[..length] == frame.as_bytes());
        }
    }
}
