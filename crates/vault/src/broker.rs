//! The broker of one run: knows which placeholder stands for which value, and puts values only where a verdict says so.

use std::sync::{Arc, Mutex, PoisonError};

use bartizan_gate::store::SecretValue;
use bartizan_gate::{Fill, Outgoing, Released, Secrets, SecretsError};
use bartizan_model::{Action, Obligation, SecretUse, Verdict};
use bartizan_scan::{Known, KnownError};
use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::placeholder::{self, Placeholder};
use crate::request::{Text, walk};

/// What a placeholder of another run is called: it stands for nothing here.
const FOREIGN: &str = "unknown";

/// A secret lent to one run.
#[derive(Debug, Clone)]
pub struct Loan {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: SecretValue,
    /// Until when it may be used.
    pub until: Option<Timestamp>,
}

/// Why a secret can't be lent to a run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// It can't be kept out of what comes back.
    #[error("secret `{name}` can't be lent to a box; `bartizan secret rotate {name}` gives it another value")]
    Unmaskable {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: KnownError,
    },
    /// No placeholder can be made.
    #[error("the system gives no random bytes for a placeholder")]
    Random(#[source] getrandom::Error),
}

struct Held {
    name: String,
    placeholder: Placeholder,
    value: SecretValue,
    until: Mutex<Option<Timestamp>>,
}

impl Held {
    fn until(&self) -> Option<Timestamp> {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The secrets of one run.
#[derive(Clone, Default)]
pub struct Broker {
    held: Arc<Vec<Held>>,
}

impl Broker {
    /// A broker of these secrets, whose values are made known to whatever must not show them.
    ///
    /// # Errors
    /// A value is so short that it can't be told from ordinary text.
    pub fn new(loans: Vec<Loan>, known: &Known) -> Result<Self, BrokerError> {
        let mut held = Vec::with_capacity(loans.len());
        for Loan { name, value, until } in loans {
            if let Err(source) = known.add(value.expose()) {
                return Err(BrokerError::Unmaskable { name, source });
            }
            let placeholder = Placeholder::make(&name).map_err(BrokerError::Random)?;
            held.push(Held { name, placeholder, value, until: Mutex::new(until) });
        }
        Ok(Self { held: Arc::new(held) })
    }

    /// When the first lease ends.
    #[must_use]
    pub fn until(&self) -> Option<Timestamp> {
        self.held.iter().filter_map(Held::until).min()
    }

    /// Leases that end last until this moment now; `None` is for ever.
    pub fn extend(&self, until: Option<Timestamp>) {
        for held in self.held.iter() {
            let mut ends = held.until.lock().unwrap_or_else(PoisonError::into_inner);
            if ends.is_some() {
                *ends = until;
            }
        }
    }

    /// What stands for this secret in the box.
    #[must_use]
    pub fn placeholder(&self, name: &str) -> Option<&str> {
        self.held.iter().find(|held| held.name == name).map(|held| held.placeholder.as_str())
    }

    /// The name behind a placeholder.
    fn name_of(&self, placeholder: &[u8]) -> &str {
        let known = self.held.iter().find(|held| held.placeholder.as_str().as_bytes() == placeholder);
        known.map_or(FOREIGN, |held| &held.name)
    }

    /// What stands at a place, with `${NAME}` for each placeholder, and the names.
    fn described<'a>(&'a self, text: &[u8]) -> (String, Vec<&'a str>) {
        let (mut described, mut names, mut copied) = (String::new(), Vec::new(), 0);
        for span in placeholder::find(text) {
            let name = self.name_of(text.get(span.clone()).unwrap_or_default());
            described.push_str(&String::from_utf8_lossy(text.get(copied..span.start).unwrap_or_default()));
            described.push_str("${");
            described.push_str(name);
            described.push('}');
            names.push(name);
            copied = span.end;
        }
        described.push_str(&String::from_utf8_lossy(text.get(copied..).unwrap_or_default()));
        (described, names)
    }
}

/// Longest text around a placeholder that is put on record.
const TEXT_CHARS_MAX: usize = 256;
/// Most placeholders told of one request. The next one is told as foreign, so a request with more is refused.
const USES_MAX: usize = 32;

impl Secrets for Broker {
    fn any(&self) -> bool {
        !self.held.is_empty()
    }

    fn wanted(&self, request: &Outgoing) -> Vec<SecretUse> {
        let mut wanted: Vec<SecretUse> = Vec::new();
        let tell = &mut |at: &str, text: &[u8]| {
            let (text, names) = self.described(text);
            let text: String = text.chars().take(TEXT_CHARS_MAX).collect();
            for name in names {
                let name = if wanted.len() < USES_MAX { name } else { FOREIGN };
                let one = SecretUse { name: name.to_owned(), at: at.to_owned(), text: text.clone() };
                if wanted.len() <= USES_MAX && !wanted.contains(&one) {
                    wanted.push(one);
                }
            }
            None
        };
        // Nothing is put anywhere, so nothing can be put in vain.
        let _ = walk(&mut request.clone(), tell);
        wanted
    }

    fn inject(&self, _action: &Action, verdict: &Verdict) -> Result<Released, SecretsError> {
        let mut places = Vec::new();
        for obligation in &verdict.obligations {
            let Obligation::Inject { name, at } = obligation else { continue };
            let Some(held) = self.held.iter().position(|held| held.name == *name) else {
                let reason = format!("this run was not lent the secret `{name}`; start it with `--secret {name}`");
                return Err(SecretsError { reason });
            };
            if let Some(until) = self.held.get(held).and_then(Held::until)
                && until <= Timestamp::now()
            {
                let reason = format!(
                    "the lease of secret `{name}` ended at {until} and could not be renewed; see that its store works and start the run anew"
                );
                return Err(SecretsError { reason });
            }
            places.push((held, at.clone()));
        }
        if places.is_empty() {
            return Ok(Released::nothing());
        }
        Ok(Released::values(Box::new(Filling { broker: self.clone(), places })))
    }
}

/// What was released for one action: secrets by number, each for a place.
struct Filling {
    broker: Broker,
    places: Vec<(usize, String)>,
}

impl Filling {
    /// The text with every placeholder that was released for this place filled in; others stay.
    fn filled(&self, at: &str, text: &[u8]) -> Text {
        let mut filled: Text = Zeroizing::new(Vec::with_capacity(text.len() + 1024));
        let mut copied = 0;
        for span in placeholder::find(text) {
            let found = text.get(span.clone()).unwrap_or_default();
            let released = self.places.iter().filter(|(_, place)| place == at);
            let mut held = released.filter_map(|(number, _)| self.broker.held.get(*number));
            let Some(held) = held.find(|held| held.placeholder.as_str().as_bytes() == found) else { continue };
            filled.extend_from_slice(text.get(copied..span.start).unwrap_or_default());
            filled.extend_from_slice(held.value.expose());
            copied = span.end;
        }
        filled.extend_from_slice(text.get(copied..).unwrap_or_default());
        filled
    }
}

impl Fill for Filling {
    fn fill(&self, request: &mut Outgoing) -> Result<(), SecretsError> {
        let filled = walk(request, &mut |at, text| Some(self.filled(at, text)));
        filled.map_err(|error| SecretsError { reason: format!("a secret can't be put into the request: {error}") })
    }

    fn text(&self, destination: &str, text: &[u8]) -> Text {
        self.filled(destination, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(known: &Known) -> Broker {
        let loan = |name: &str, value: &[u8]| Loan {
            name: name.into(),
            value: SecretValue::copy(value).unwrap(),
            until: (name == "OLD").then_some(Timestamp::UNIX_EPOCH),
        };
        Broker::new(vec![loan("A", b"value of a"), loan("OLD", b"value of old")], known).unwrap()
    }

    fn verdict(name: &str, at: &str) -> Verdict {
        serde_json::from_value(serde_json::json!({
            "effect": "allow", "risk": "LOW", "rule": { "rule": "net.allow[0]" }, "reason": "",
            "obligations": [{ "obligation": "inject", "name": name, "at": at }],
            "policy": bartizan_model::Digest::of_bytes(b"x"),
        }))
        .unwrap()
    }

    fn action() -> Action {
        serde_json::from_value(serde_json::json!({
            "id": bartizan_model::ActionId::generate(),
            "deed": { "kind": "net.connect", "host": "a", "port": 1 },
            "principal": bartizan_model::Principal::local_human("test"),
        }))
        .unwrap()
    }

    fn request(broker: &Broker, header: &str) -> Outgoing {
        let value = format!("Bearer {}", broker.placeholder("A").unwrap());
        Outgoing { path: "/".into(), query: None, headers: vec![(header.into(), value.into())], body: None }
    }

    #[test]
    fn fills_in_only_what_was_released_and_only_there() {
        let broker = broker(&Known::default());
        let mut request = request(&broker, "Authorization");
        let wanted = broker.wanted(&request);
        let expected = SecretUse { name: "A".into(), at: "header.authorization".into(), text: "Bearer ${A}".into() };
        assert_eq!(wanted, [expected]);
        let elsewhere = broker.inject(&action(), &verdict("A", "header.x-other")).unwrap();
        let before = request.headers.clone();
        filling(&broker, "header.x-other").fill(&mut request).unwrap();
        assert_eq!(request.headers, before, "{elsewhere:?}");
        filling(&broker, "header.authorization").fill(&mut request).unwrap();
        assert_eq!(request.headers[0].1, b"Bearer value of a");
    }

    fn filling(broker: &Broker, at: &str) -> Filling {
        Filling { broker: broker.clone(), places: vec![(0, at.to_owned())] }
    }

    #[test]
    fn what_was_not_lent_or_has_ended_is_refused() {
        let broker = broker(&Known::default());
        let reason = |name| broker.inject(&action(), &verdict(name, "header.a")).unwrap_err().to_string();
        assert!(reason("B").contains("--secret B"));
        assert!(reason("OLD").contains("lease"));
        assert!(broker.inject(&action(), &verdict("A", "header.a")).is_ok());
    }

    #[test]
    fn placeholders_of_others_are_told_as_unknown() {
        let (known, other) = (Known::default(), Known::default());
        let wanted = broker(&known).wanted(&request(&broker(&other), "a"));
        assert_eq!(wanted[0].name, FOREIGN);
    }

    #[test]
    fn values_become_known() {
        let known = Known::default();
        let _broker = broker(&known);
        assert_eq!(
            bartizan_scan::Redactor::standard().with_known(known).redact("x value of a"),
            "x [redacted:known-secret]"
        );
    }

    #[test]
    fn short_values_are_not_lent() {
        let loan = Loan { name: "A".into(), value: SecretValue::copy(b"short").unwrap(), until: None };
        assert!(Broker::new(vec![loan], &Known::default()).is_err());
    }
}
