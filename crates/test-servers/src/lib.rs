//! Private nats-server and redis-server processes for tests, on free ports, ended with their handle.
