use std::time::Duration;

/// A token bucket: so many at once, and as they come again.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    size: f64,
    per_second: f64,
    left: f64,
    /// When `left` was true, since the bucket was made.
    at: Duration,
}

impl Bucket {
    /// Makes a full one.
    pub(crate) fn new(size: u32, per_minute: u32) -> Self {
        let size = f64::from(size);
        let per_second = f64::from(per_minute) / 60.0;
        Self { size, per_second, left: size, at: Duration::ZERO }
    }

    /// Takes one, `now` after the bucket was made; else tells how long to wait for it.
    pub(crate) fn take(&mut self, now: Duration) -> Result<(), Duration> {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.left = (self.left + passed * self.per_second).min(self.size);
        self.at = self.at.max(now);
        if self.left >= 1.0 {
            self.left -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - self.left) / self.per_second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_through_and_then_one_after_the_other() {
        let mut bucket = Bucket::new(2, 60);
        let second = Duration::from_secs(1);
        assert_eq!([bucket.take(second), bucket.take(second)], [Ok(()), Ok(())]);
        assert_eq!(bucket.take(second), Err(second));
        assert_eq!(bucket.take(second + second / 2), Err(second / 2));
        assert_eq!(bucket.take(second * 2), Ok(()));
        // It never holds more than its size, and a clock that stands still gives nothing.
        for _ in 0..2 {
            assert_eq!(bucket.take(second * 3_600), Ok(()));
        }
        assert!(bucket.take(second * 3_600).is_err());
        assert!(bucket.take(second).is_err());
    }
}
