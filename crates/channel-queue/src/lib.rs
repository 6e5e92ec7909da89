//! ery-channel-queue
