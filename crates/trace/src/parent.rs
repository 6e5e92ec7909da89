use std::{fmt, str::FromStr};

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

/// A place in a trace, as W3C's header `traceparent` tells it.
///
/// Source: W3C Trace Context, `traceparent`: version, trace id, parent id, flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TraceParent {
    trace: TraceId,
    span: SpanId,
    is_sampled: bool,
}

/// Says that a text is no `traceparent`.
#[derive(Debug, thiserror::Error)]
#[error("the text is no `traceparent` of version 00")]
pub struct InvalidTraceParent;

/// Of the version that there is.
const LENGTH: usize = 55;

impl TraceParent {
    /// Returns whether whoever began the trace wants it to be collected.
    pub fn is_sampled(self) -> bool {
        self.is_sampled
    }

    /// Returns whether both are places in one trace.
    pub fn is_of_trace_of(self, other: Self) -> bool {
        self.trace == other.trace
    }

    pub(crate) fn trace(self) -> TraceId {
        self.trace
    }

    pub(crate) fn of(context: &SpanContext) -> Option<Self> {
        context.is_valid().then(|| Self {
            trace: context.trace_id(),
            span: context.span_id(),
            is_sampled: context.is_sampled(),
        })
    }

    pub(crate) fn to_context(self) -> SpanContext {
        let flags = if self.is_sampled { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
        SpanContext::new(self.trace, self.span, flags, true, TraceState::NONE)
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, u8::from(self.is_sampled))
    }
}

impl FromStr for TraceParent {
    type Err = InvalidTraceParent;

    /// Takes what Ery writes, and nothing else: it comes from outside.
    fn from_str(text: &str) -> Result<Self, InvalidTraceParent> {
        let is_plain = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-');
        if text.len() != LENGTH || !text.bytes().all(is_plain) {
            return Err(InvalidTraceParent);
        }
        let mut parts = text.split('-');
        let mut part = |length: usize| parts.next().filter(|part| part.len() == length);
        let (Some("00"), Some(trace), Some(span), Some(flags)) =
            (part(2), part(32), part(16), part(2))
        else {
            return Err(InvalidTraceParent);
        };
        let trace = TraceId::from_hex(trace).map_err(|_| InvalidTraceParent)?;
        let span = SpanId::from_hex(span).map_err(|_| InvalidTraceParent)?;
        let flags = u8::from_str_radix(flags, 16).map_err(|_| InvalidTraceParent)?;
        if trace == TraceId::INVALID || span == SpanId::INVALID {
            return Err(InvalidTraceParent);
        }
        Ok(Self { trace, span, is_sampled: flags & 1 == 1 })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_a_whole_place_in_a_trace_is_taken() {
        let right = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        assert_eq!(right.parse::<TraceParent>().unwrap().to_string(), right);
        for wrong in [
            "",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319-cb7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-+1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333é-1",
        ] {
            assert!(wrong.parse::<TraceParent>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_refused_or_read_back_as_it_was(text in "[0-9a-f-]{55}|.{0,60}") {
            if let Ok(parent) = text.parse::<TraceParent>() {
                prop_assert_eq!(&parent.to_string()[..53], &text[..53]);
            }
        }

        #[test]
        fn what_is_written_is_read(trace in 1_u128.., span in 1_u64.., is_sampled: bool) {
            let text = format!("00-{trace:032x}-{span:016x}-{:02x}", u8::from(is_sampled));
            let parent: TraceParent = text.parse().unwrap();
            prop_assert_eq!((parent.to_string(), parent.is_sampled()), (text, is_sampled));
        }
    }
}
