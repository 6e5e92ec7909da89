//! What can happen, in words.

use std::fmt;

use crate::state::{Fence, Record, Set};

/// Something that happens in a channel.
#[derive(Clone, Copy)]
pub(crate) struct Event {
    pub(crate) channel: usize,
    pub(crate) what: What,
}

#[derive(Clone, Copy)]
pub(crate) enum What {
    Published { message: u8, position: u8 },
    PublishedAgain { message: u8, position: u8 },
    TurnedAway { worker: usize, message: u8 },
    Delivered { worker: usize, position: u8, took: Took },
    DeliveredToDying { worker: usize, position: u8 },
    DeliveredLate { worker: usize, position: u8, took: Took },
    Woken { worker: usize, took: Took },
    WakeLost,
    Read { worker: usize, position: u8, message: u8, is_stale: bool },
    Skipped { worker: usize, position: u8, message: u8 },
    NothingMore { worker: usize, is_stale: bool },
    Opened { worker: usize, fence: Fence },
    OpenRefused { worker: usize, fence: Fence },
    Raised { worker: usize, fence: Fence },
    Begun { worker: usize, thread: u8, triggers: Set },
    BeginRefused { worker: usize },
    Journaled { worker: usize, thread: u8 },
    Called { worker: usize, thread: u8, found: Record },
    Rerouted { worker: usize, thread: u8 },
    Answered { worker: usize, thread: u8 },
    CallBroken { worker: usize },
    Finished { worker: usize, thread: u8 },
    RemovedTasks { worker: usize },
    RemovalLost { worker: usize },
    ReleaseHeld { worker: usize },
    Released { worker: usize },
    Abandoned { worker: usize },
    Noticed { worker: usize },
    Drained { worker: usize },
    Crashed { worker: usize },
    LeaseEnded,
    Frozen { worker: usize },
    RedisLost { is_clock_behind: bool },
    StreamMadeAnew { first: u8 },
    Sent { thread: u8, is_new: bool, is_answered: bool },
    SendRefused { thread: u8 },
    TooLate { thread: u8 },
    Repeats { thread: u8 },
    LookedUp { thread: u8, found: Record },
    Recorded { thread: u8, record: Record },
    RecordRefused { thread: u8 },
    CallEnded { thread: u8 },
    CallLost { thread: u8 },
    DeadlinePassed { thread: u8 },
    NonceForgotten { thread: u8 },
}

/// What a worker did with a delivery.
#[derive(Clone, Copy)]
pub(crate) enum Took {
    Noted,
    Busy,
    Granted(Fence),
}

impl fmt::Display for Took {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Noted => write!(f, "notes it for its own holder"),
            Self::Busy => write!(f, "finds the channel held, and Redis has heard of it"),
            Self::Granted(fence) => write!(f, "takes the channel under {fence}"),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}: {}", self.channel, self.what)
    }
}

impl fmt::Display for What {
    #[expect(clippy::too_many_lines, reason = "one sentence for each event")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Published { message, position } => {
                write!(f, "m{message} is published at position {position}")
            }
            Self::PublishedAgain { message, position } => {
                write!(f, "m{message} is published a second time, at position {position}")
            }
            Self::TurnedAway { worker, message } => {
                write!(f, "w{worker}'s gate turns m{message} away and removes it")
            }
            Self::Delivered { worker, position, took } => {
                write!(f, "position {position} is delivered to w{worker}, which {took}")
            }
            Self::DeliveredToDying { worker, position } => {
                write!(f, "position {position} is delivered to w{worker}, which is killed")
            }
            Self::DeliveredLate { worker, position, took } => write!(
                f,
                "w{worker} comes to a delivery of position {position}, which is removed; it {took}"
            ),
            Self::Woken { worker, took } => write!(f, "w{worker} is asked to look; it {took}"),
            Self::WakeLost => write!(f, "the request to look is lost"),
            Self::Read { worker, position, message, is_stale } => {
                let stale = if *is_stale { " (a replica that lags shows it still)" } else { "" };
                write!(f, "w{worker} reads m{message} at position {position}{stale}")
            }
            Self::Skipped { worker, position, message } => write!(
                f,
                "w{worker} reads m{message} at position {position}, turns it away and removes it"
            ),
            Self::NothingMore { worker, is_stale: false } => {
                write!(f, "w{worker} reads on and finds nothing more")
            }
            Self::NothingMore { worker, is_stale: true } => {
                write!(f, "w{worker} reads on, and a replica that lags shows nothing more")
            }
            Self::Opened { worker, fence } => {
                write!(f, "w{worker} opens the channel in the store under {fence}")
            }
            Self::OpenRefused { worker, fence } => {
                write!(f, "the store refuses to open for w{worker} under {fence}")
            }
            Self::Raised { worker, fence } => {
                write!(f, "w{worker} has its epoch raised, now {fence}")
            }
            Self::Begun { worker, thread, triggers } => {
                write!(f, "w{worker} begins thread t{thread} for {triggers}")
            }
            Self::BeginRefused { worker } => {
                write!(f, "the store refuses a thread of w{worker}: its triggers are finished")
            }
            Self::Journaled { worker, thread } => {
                write!(f, "w{worker} journals the model's turn of t{thread}")
            }
            Self::Called { worker, thread, found } => {
                write!(f, "w{worker} calls for t{thread}'s answer; its execution stood as ")?;
                write_record(f, *found)
            }
            Self::Rerouted { worker, thread } => {
                write!(f, "w{worker} calls for t{thread}'s answer once more, at another replica")
            }
            Self::Answered { worker, thread } => {
                write!(f, "w{worker} is told how t{thread}'s answer ended")
            }
            Self::CallBroken { worker } => write!(f, "w{worker}'s call breaks off without answer"),
            Self::Finished { worker, thread } => {
                write!(f, "w{worker} commits the outcome of t{thread} and its triggers as finished")
            }
            Self::RemovedTasks { worker } => {
                write!(f, "w{worker} removes what is finished from the stream")
            }
            Self::RemovalLost { worker } => {
                write!(f, "w{worker}'s removals from the stream are lost")
            }
            Self::ReleaseHeld { worker } => {
                write!(f, "w{worker} wants to give the channel back, but something was heard of")
            }
            Self::Released { worker } => write!(f, "w{worker} gives the channel back"),
            Self::Abandoned { worker } => {
                write!(f, "a write of w{worker} is refused: it leaves the channel")
            }
            Self::Noticed { worker } => write!(f, "w{worker} notices that its lease is lost"),
            Self::Drained { worker } => {
                write!(f, "w{worker} drains: it hands the channel over and asks others to look")
            }
            Self::Crashed { worker } => write!(f, "w{worker} is killed, and starts anew"),
            Self::LeaseEnded => write!(f, "the lease of a holder that is gone ends"),
            Self::Frozen { worker } => write!(f, "w{worker} is frozen until its lease has ended"),
            Self::RedisLost { is_clock_behind: false } => write!(f, "Redis forgets everything"),
            Self::RedisLost { is_clock_behind: true } => {
                write!(f, "Redis forgets everything, and its clock steps back")
            }
            Self::StreamMadeAnew { first } => {
                write!(f, "the stream is made anew, and filled again from m{first} on")
            }
            Self::Sent { thread, is_new, is_answered } => {
                let seen =
                    if *is_new { "it can be seen" } else { "Discord knows its nonce already" };
                let lost = if *is_answered { "" } else { "; the response is lost" };
                write!(f, "the answer of t{thread} is sent: {seen}{lost}")
            }
            Self::SendRefused { thread } => write!(f, "the answer of t{thread} is refused"),
            Self::TooLate { thread } => {
                write!(f, "a call for t{thread} finds that it is too late to send")
            }
            Self::Repeats { thread } => {
                write!(f, "a call for t{thread} is about to repeat what may have been sent")
            }
            Self::LookedUp { thread, found } => {
                write!(f, "a call for t{thread} looks for its answer in Discord: ")?;
                write_record(f, *found)
            }
            Self::Recorded { thread, record } => {
                write!(f, "t{thread}'s execution is recorded as ")?;
                write_record(f, *record)
            }
            Self::RecordRefused { thread } => {
                write!(f, "the store refuses what a call of t{thread} would record")
            }
            Self::CallEnded { thread } => {
                write!(f, "a call of t{thread} learns how its execution stands")
            }
            Self::CallLost { thread } => write!(f, "a call of t{thread} is killed"),
            Self::DeadlinePassed { thread } => {
                write!(f, "the time in which t{thread}'s answer may be sent first is over")
            }
            Self::NonceForgotten { thread } => {
                write!(f, "Discord forgets the nonce of t{thread}'s answer")
            }
        }
    }
}

fn write_record(f: &mut fmt::Formatter<'_>, record: Record) -> fmt::Result {
    f.write_str(match record {
        Record::None => "none",
        Record::Open => "open",
        Record::Done => "done",
        Record::Failed => "failed",
        Record::InDoubt => "in doubt",
    })
}
