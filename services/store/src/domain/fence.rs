use ery_ids::{ChannelKey, Epoch, Fence};

/// The highest epoch that a channel has seen, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Highest<'a> {
    pub(crate) epoch: Epoch,
    pub(crate) owner: &'a str,
}

/// What opening a channel under a fence comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The epoch is new; older holders are shut out from now on.
    Raise,
    /// The same holder opens again.
    Repeat,
    /// A holder under this epoch came first.
    Refused(Epoch),
}

/// Why a write is not taken under its fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FenceError {
    #[error("channel {channel} has moved on from epoch {epoch} to {highest}")]
    Stale { channel: ChannelKey, epoch: Epoch, highest: Epoch },
    #[error("epoch {epoch} of channel {channel} is another owner's")]
    OtherOwner { channel: ChannelKey, epoch: Epoch },
    #[error("channel {channel} has not been opened under epoch {epoch}")]
    NotOpened { channel: ChannelKey, epoch: Epoch },
}

/// Judges a holder that opens its channel.
pub(crate) fn claim(highest: Option<Highest<'_>>, fence: &Fence) -> Claim {
    match highest {
        None => Claim::Raise,
        Some(highest) if fence.epoch > highest.epoch => Claim::Raise,
        Some(highest) if fence.epoch == highest.epoch && fence.owner.0 == highest.owner => {
            Claim::Repeat
        }
        Some(highest) => Claim::Refused(highest.epoch),
    }
}

/// Judges every other write for a channel.
///
/// Invariant FENCED: only the newest opener writes. A higher epoch that never opened the channel
/// has not shut anybody out, and may not write either.
pub(crate) fn check(highest: Option<Highest<'_>>, fence: &Fence) -> Result<(), FenceError> {
    let Fence { channel, epoch, owner } = fence;
    let (channel, epoch) = (*channel, *epoch);
    match highest {
        Some(highest) if epoch < highest.epoch => {
            Err(FenceError::Stale { channel, epoch, highest: highest.epoch })
        }
        Some(highest) if epoch == highest.epoch => {
            if owner.0 == highest.owner {
                Ok(())
            } else {
                Err(FenceError::OtherOwner { channel, epoch })
            }
        }
        Some(_) | None => Err(FenceError::NotOpened { channel, epoch }),
    }
}

#[cfg(test)]
mod tests {
    use ery_ids::OwnerToken;

    use super::*;

    fn fence(epoch: u64, owner: &str) -> Fence {
        Fence {
            channel: ChannelKey::from_raw(1, 2).unwrap(),
            epoch: Epoch(epoch),
            owner: OwnerToken(owner.to_owned()),
        }
    }

    const HIGHEST: Option<Highest<'static>> = Some(Highest { epoch: Epoch(5), owner: "a" });

    #[test]
    fn only_a_higher_epoch_takes_a_channel() {
        for (highest, fence, expected) in [
            (None, fence(1, "a"), Claim::Raise),
            (HIGHEST, fence(6, "b"), Claim::Raise),
            (HIGHEST, fence(6, "a"), Claim::Raise),
            (HIGHEST, fence(5, "a"), Claim::Repeat),
            (HIGHEST, fence(5, "b"), Claim::Refused(Epoch(5))),
            (HIGHEST, fence(4, "a"), Claim::Refused(Epoch(5))),
        ] {
            assert_eq!(claim(highest, &fence), expected, "{fence:?}");
        }
    }

    #[test]
    fn only_the_newest_opener_writes() {
        let channel = ChannelKey::from_raw(1, 2).unwrap();
        let epoch = |epoch| Epoch(epoch);
        for (highest, fence, expected) in [
            (HIGHEST, fence(5, "a"), Ok(())),
            (
                HIGHEST,
                fence(4, "a"),
                Err(FenceError::Stale { channel, epoch: epoch(4), highest: epoch(5) }),
            ),
            (HIGHEST, fence(5, "b"), Err(FenceError::OtherOwner { channel, epoch: epoch(5) })),
            (HIGHEST, fence(6, "a"), Err(FenceError::NotOpened { channel, epoch: epoch(6) })),
            (None, fence(5, "a"), Err(FenceError::NotOpened { channel, epoch: epoch(5) })),
        ] {
            assert_eq!(check(highest, &fence), expected, "{fence:?}");
        }
    }
}
