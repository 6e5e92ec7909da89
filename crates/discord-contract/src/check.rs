//! Exchanges held to the document.

use std::{fmt, path::Path};

use serde_json::{Map, Value, json};

use crate::{
    deviations::{Difference, tolerated},
    document::{Document, OpenError},
    exchange::{Exchange, decoded},
    explain::explain,
    schema::Direction,
};

/// Which requests have to fit; every answer has to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requests {
    /// All of them: they were made by a client that is itself on trial.
    All,
    /// Those that were not refused: a test may try what is wrong, and must then be refused.
    NotRefused,
}

/// Discord's document, to which exchanges and dispatches are held.
#[derive(Debug)]
pub struct Contract {
    pub(crate) document: Document,
}

/// Something that the document refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The exchange's method and path, or the dispatch's name.
    pub subject: String,
    /// The exchange's number in the log, where it has one.
    pub seq: u64,
    /// The operation in the document: its template and its name.
    pub operation: String,
    /// `request body`, `response 200` and so on.
    pub part: String,
    /// Where in that part, as a JSON pointer.
    pub at: String,
    pub wanted: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.seq > 0 {
            write!(formatter, "#{} ", self.seq)?;
        }
        write!(formatter, "{}", self.subject)?;
        if !self.operation.is_empty() {
            write!(formatter, " ({})", self.operation)?;
        }
        write!(formatter, ": {}", self.part)?;
        if !self.at.is_empty() {
            write!(formatter, " at {}", self.at)?;
        }
        write!(formatter, ": {}", self.wanted)
    }
}

impl Contract {
    /// Reads the document.
    ///
    /// # Errors
    ///
    /// [`OpenError`]: it is missing, or is not Discord's.
    ///
    /// # Panics
    ///
    /// If the table of deviations names what the document does not have.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Ok(Self { document: Document::open(path)? })
    }

    /// Returns everything about an exchange that the document refuses.
    pub fn check(&self, exchange: &Exchange, requests: Requests) -> Vec<Violation> {
        let mut check = Check {
            document: &self.document,
            exchange,
            operation: String::new(),
            violations: Vec::new(),
        };
        check.run(requests);
        check.violations
    }
}

struct Check<'a> {
    document: &'a Document,
    exchange: &'a Exchange,
    operation: String,
    violations: Vec<Violation>,
}

impl<'a> Check<'a> {
    fn run(&mut self, requests: Requests) {
        let exchange = self.exchange;
        let method = exchange.method.as_str();
        let route = exchange.route();
        let matched = self.document.find(route);
        let template = matched.as_ref().map_or(route, |matched| matched.template);
        let Some(operation) = self.document.operation(template, method) else {
            return self.unknown_route(template);
        };
        let name = operation.get("operationId").and_then(Value::as_str).unwrap_or_default();
        self.operation = format!("{method} {template}, {name}");

        let was_refused = (400..500).contains(&exchange.status) && exchange.status != 429;
        if requests == Requests::All || !was_refused {
            for (name, text) in matched.iter().flat_map(|matched| &matched.parameters) {
                self.path_parameter(template, name, text);
            }
            self.query(template);
            self.request_body(template, operation);
        }
        self.response(operation);
    }

    fn refuse(&mut self, part: impl Into<String>, at: String, wanted: impl Into<String>) {
        self.violations.push(Violation {
            subject: format!("{} {}", self.exchange.method, self.exchange.path),
            seq: self.exchange.seq,
            operation: self.operation.clone(),
            part: part.into(),
            at,
            wanted: wanted.into(),
        });
    }

    fn unknown_route(&mut self, template: &str) {
        let wanted = format!("the document has no {} {template}", self.exchange.method);
        self.refuse("route", String::new(), wanted);
        if self.exchange.status >= 400 {
            self.error_body();
        }
    }

    /// Holds the body of a failure to the shape that all of them have.
    fn error_body(&mut self) {
        let name = match self.exchange.status {
            429 => "RatelimitedResponse",
            _ => "ErrorResponse",
        };
        let schema = json!({ "$ref": format!("#/components/schemas/{name}") });
        self.value(&schema, &self.exchange.response, Direction::Response, &self.answer());
    }

    fn answer(&self) -> String {
        format!("response {}", self.exchange.status)
    }

    fn value(&mut self, schema: &Value, value: &Value, direction: Direction, part: &str) {
        let validator = self.document.validator(schema, direction);
        for error in validator.iter_errors(value) {
            let (at, wanted) = explain(&error);
            self.refuse(part, at, wanted);
        }
    }

    fn path_parameter(&mut self, template: &str, name: &str, text: &str) {
        let declared = self.parameter(template, "path", name);
        let Some(schema) = declared.and_then(|declared| declared.get("schema")) else { return };
        self.text(schema, &[decoded(text)], &format!("path parameter `{name}`"));
    }

    fn parameter(&self, template: &'a str, place: &str, name: &str) -> Option<&'a Value> {
        let mut declared = self.document.parameters(template, &self.exchange.method);
        declared.find(|declared| declared["in"] == place && declared["name"] == name)
    }

    fn query(&mut self, template: &str) {
        let query = self.exchange.query();
        let document = self.document;
        for declared in document.parameters(template, &self.exchange.method) {
            if declared["in"] != "query" {
                continue;
            }
            let name = declared["name"].as_str().unwrap_or_default();
            let values: Vec<String> = query
                .iter()
                .filter(|(found, _)| found == name)
                .map(|(_, value)| value.clone())
                .collect();
            let part = format!("query parameter `{name}`");
            match declared.get("schema") {
                Some(schema) if !values.is_empty() => self.text(schema, &values, &part),
                _ if values.is_empty() && declared["required"] == true => {
                    self.refuse(part, String::new(), "it is required");
                }
                _ => {}
            }
        }
    }

    /// Holds what was written as text to a schema: in some reading it has to fit. Texts and
    /// numbers are told apart by reading both, so that the schema need not be lenient.
    fn text(&mut self, schema: &Value, values: &[String], part: &str) {
        let validator = self.document.validator(schema, Direction::Response);
        let read = |text: &String| -> Value {
            let lower = text.to_ascii_lowercase();
            serde_json::from_str(&lower).unwrap_or_else(|_| text.clone().into())
        };
        let plain = |text: &String| -> Value { text.clone().into() };
        let mut readings: Vec<Value> =
            vec![values.iter().map(plain).collect(), values.iter().map(read).collect()];
        if let [single] = values {
            readings.push(plain(single));
            readings.push(read(single));
        }
        if tolerated(|difference| matches!(difference, Difference::BooleansInQueries))
            && let [single] = values
            && let Some(meant) = [("1", true), ("0", false)].iter().find(|(text, _)| text == single)
        {
            readings.push(meant.1.into());
        }
        if !readings.iter().any(|reading| validator.is_valid(reading)) {
            let wanted = readings.last().map(|reading| {
                validator.iter_errors(reading).next().map(|error| explain(&error).1)
            });
            self.refuse(part, String::new(), wanted.flatten().unwrap_or_default());
        }
    }

    fn request_body(&mut self, template: &str, operation: &Map<String, Value>) {
        const PART: &str = "request body";
        let exchange = self.exchange;
        let Some(declared) = operation.get("requestBody") else {
            if !exchange.body.is_null() {
                self.refuse(PART, String::new(), "the operation has none");
            }
            return;
        };
        if exchange.body.is_null() {
            let may_lack = tolerated(|difference| match difference {
                Difference::NoBody { method, template: listed } => {
                    *method == exchange.method && *listed == template
                }
                _ => false,
            });
            if declared["required"] == true && !may_lack {
                self.refuse(PART, String::new(), "it is required");
            }
            return;
        }
        let media_type = exchange.encoding().media_type();
        let Some(schema) = declared["content"].get(media_type).map(|content| &content["schema"])
        else {
            return self.refuse(PART, String::new(), format!("it may not be {media_type}"));
        };
        match exchange.body_value() {
            Ok(body) => self.value(schema, &body, Direction::Request, PART),
            Err(wanted) => self.refuse(PART, String::new(), wanted),
        }
    }

    fn response(&mut self, operation: &Map<String, Value>) {
        let exchange = self.exchange;
        // Kept from the client by a fault: there was no answer.
        if exchange.status == 0 {
            return;
        }
        if exchange.status >= 500 && tolerated(|it| matches!(it, Difference::ServerErrors)) {
            if !exchange.response.is_string() && !exchange.response.is_null() {
                self.error_body();
            }
            return;
        }
        if exchange.status == 429
            && exchange.response.is_string()
            && tolerated(|it| matches!(it, Difference::TurnedAway))
        {
            return;
        }
        let part = self.answer();
        let Some(declared) = self.document.response(operation, exchange.status) else {
            return self.refuse(part, String::new(), "the operation has no such status");
        };
        let Some(content) = declared.get("content") else {
            if !exchange.response.is_null() {
                self.refuse(part, String::new(), "it has no body");
            }
            return;
        };
        match content.get("application/json") {
            Some(json) => {
                self.value(&json["schema"], &exchange.response, Direction::Response, &part);
            }
            // A picture or a table: the log has it as text.
            None if exchange.response.is_null() => {
                self.refuse(part, String::new(), "it has a body");
            }
            None => {}
        }
    }
}
