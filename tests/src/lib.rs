//! What the platform's tests share: the `ery` binary as child processes, and the world around it.
