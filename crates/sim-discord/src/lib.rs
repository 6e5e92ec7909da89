//! ery-sim-discord
