#![doc = include_str!("../README.md")]

mod binary;
mod nats;
mod process;
mod redis_server;

pub use nats::NatsServer;
pub use redis_server::RedisServer;
