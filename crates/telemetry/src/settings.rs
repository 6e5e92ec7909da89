use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The table `[telemetry]`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Which logs are written: `info`, or by part, `info,ery_store=debug`.
    pub log: String,
    /// How logs are written.
    pub log_format: LogFormat,
    /// Where traces go to by OTLP over gRPC: `http://collector:4317`, or `https://…`. Without it
    /// nothing is traced. The variable `OTEL_EXPORTER_OTLP_ENDPOINT` stands in where this is not set.
    pub otlp_endpoint: Option<String>,
    /// Which share of what begins here is traced, 0 to 1; what begins elsewhere was decided there, at
    /// the gateway for whatever Discord tells. All of it by default: a community's messages are few.
    pub trace_ratio: f64,
    /// How long a batch of spans may take to be sent; below the drain's grace, since the last
    /// batch is sent at its end.
    #[serde(with = "humantime_serde")]
    pub otlp_timeout: Duration,
    /// How many spans wait to be sent at most, at about 1 KiB each; further ones are dropped, and
    /// counted. Enough for a second of a busy process.
    pub otlp_queue_spans: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            log: "info".into(),
            log_format: LogFormat::Auto,
            otlp_endpoint: None,
            trace_ratio: 1.0,
            otlp_timeout: Duration::from_secs(3),
            otlp_queue_spans: 16_384,
        }
    }
}

/// A setting that cannot be right.
#[derive(Debug, PartialEq, thiserror::Error)]
#[error("`telemetry.{key}` is {value}: {bound}")]
pub struct InvalidTelemetry {
    pub key: &'static str,
    pub value: String,
    pub bound: &'static str,
}

impl Settings {
    /// # Errors
    ///
    /// Names the key, the value and the bound.
    pub fn validate(&self) -> Result<(), InvalidTelemetry> {
        let check = |is_right, key, value: String, bound| {
            if is_right { Ok(()) } else { Err(InvalidTelemetry { key, value, bound }) }
        };
        if let Some(endpoint) = &self.otlp_endpoint {
            let url = url::Url::parse(endpoint);
            let is_right = url.is_ok_and(|url| {
                matches!(url.scheme(), "http" | "https")
                    && url.host_str().is_some()
                    && url.password().is_none()
            });
            // It may hold what is not to be shown.
            let value = "no such address".to_owned();
            let bound = "write `http://` or `https://`, a host and the port of OTLP over gRPC \
                         (mostly 4317), with no password in it: headers go into \
                         OTEL_EXPORTER_OTLP_HEADERS";
            check(is_right, "otlp_endpoint", value, bound)?;
        }
        let (ratio, timeout, spans) = (self.trace_ratio, self.otlp_timeout, self.otlp_queue_spans);
        check((0.0..=1.0).contains(&ratio), "trace_ratio", ratio.to_string(), "0 to 1")?;
        check(
            timeout >= Duration::from_millis(100) && timeout <= Duration::from_secs(30),
            "otlp_timeout",
            format!("{timeout:?}"),
            "100 ms to 30 s",
        )?;
        let bound = "512, which is one batch, to 1,000,000";
        check((512..=1_000_000).contains(&spans), "otlp_queue_spans", spans.to_string(), bound)
    }
}

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, else JSON.
    Auto,
    Json,
    Text,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_right_is_named() {
        let wrong = |change: fn(&mut Settings)| {
            let mut settings = Settings::default();
            change(&mut settings);
            settings.validate().map_err(|error| error.key)
        };
        assert_eq!(wrong(|_| {}), Ok(()));
        assert_eq!(wrong(|it| it.otlp_endpoint = Some("http://collector:4317".into())), Ok(()));
        for endpoint in ["collector:4317", "grpc://collector", "http://me:secret@collector:4317"] {
            let settings = Settings { otlp_endpoint: Some(endpoint.into()), ..Settings::default() };
            let error = settings.validate().unwrap_err();
            assert_eq!(error.key, "otlp_endpoint");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        assert_eq!(wrong(|it| it.trace_ratio = 1.1), Err("trace_ratio"));
        assert_eq!(wrong(|it| it.trace_ratio = f64::NAN), Err("trace_ratio"));
        assert_eq!(wrong(|it| it.otlp_timeout = Duration::ZERO), Err("otlp_timeout"));
        assert_eq!(wrong(|it| it.otlp_queue_spans = 1), Err("otlp_queue_spans"));
    }
}
