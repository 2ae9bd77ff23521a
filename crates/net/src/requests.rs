//! The one place where a request becomes an action: whatever protocol it came by, plain or inside TLS, it is made
//! canonical here, decided here, and what is sent on is made from what was decided.

use std::future::Future;
use std::time::Instant;

use bartizan_gate::{Armed, Gate, Outgoing};
use bartizan_model::{Content, Deed, Obligation, Outcome, OutcomeStatus};
use tokio::sync::OwnedSemaphorePermit;
use zeroize::Zeroizing;

use crate::at_hand::{Held, Hold};
use crate::body::{Sieve, Through, Watch, too_long};
use crate::context::Halt;
use crate::first::check_request;
use crate::flow::{Ended, Flow, outcome, stopped};
use crate::head::{Afterwards, BodyLength, Head, HeadError, Target};
use crate::path;
use crate::reply::Reply;
use crate::traffic::Meter;

/// A request in its one reading, before it is decided.
pub(crate) struct Asked {
    pub(crate) head: Head,
    /// What becomes of its body first.
    pub(crate) hold: Hold,
    path: String,
    query: Option<String>,
    deed: Deed,
}

/// A request that may be sent on. It holds the armed action, so it has to be given back to be closed.
pub(crate) struct Admitted {
    pub(crate) armed: Armed,
    head: Head,
    path: String,
    query: Option<String>,
    /// The request with its placeholders filled in, in a run that was lent secrets.
    filled: Option<Outgoing>,
    /// Whether a value stands in it.
    carries_secret: bool,
    /// Its body is at hand, and stands in the action.
    whole: bool,
    /// The beginning of a body that streams.
    ahead: Vec<u8>,
    /// Whether policy looks at what streams.
    watched: bool,
    started: Instant,
    _room: Option<OwnedSemaphorePermit>,
}

impl Admitted {
    /// The head as HTTP/1.
    pub(crate) fn bytes(&self, afterwards: Afterwards) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match &self.filled {
            Some(filled) => self.head.forward_filled(filled, afterwards),
            None => self.head.forward(&self.path, self.query.as_deref(), afterwards),
        })
    }

    /// The whole body, where it is at hand: what was decided on.
    pub(crate) fn body(&self) -> Option<&[u8]> {
        if !self.whole {
            return None;
        }
        match (&self.filled, &self.armed.action().deed) {
            (Some(filled), _) => filled.body.as_deref(),
            (None, Deed::HttpRequest { body, .. }) => body.as_ref().and_then(Content::bytes),
            _ => None,
        }
    }

    /// The beginning of a body that streams.
    pub(crate) fn ahead(&self) -> &[u8] {
        &self.ahead
    }

    /// What a body that streams passes through.
    pub(crate) fn sieve<'a>(&'a self, gate: &'a Gate) -> Sieve<'a> {
        let through = if self.watched { Through::Watch(Watch::new(gate, &self.armed)) } else { Through::Open };
        Sieve::new(through, self.limits().0)
    }

    /// Most bytes of the request's body and of the answer's.
    pub(crate) fn limits(&self) -> (Option<u64>, Option<u64>) {
        limits(&self.armed)
    }

    /// The action as `bartizan policy explain` takes it.
    pub(crate) fn explain(&self) -> String {
        format!("http {}", self.armed.action().deed.target())
    }

    /// Whether a secret's value is on its way with it: its answer must be looked through.
    pub(crate) fn carries_secret(&self) -> bool {
        self.carries_secret
    }

    /// The head as HTTP/2.
    pub(crate) fn http2(&self) -> Result<http::Request<()>, HeadError> {
        match &self.filled {
            Some(filled) => self.head.to_http2_filled(filled),
            None => self.head.to_http2(&self.path, self.query.as_deref()),
        }
    }

    /// The head it was made from; path and query are those decided on.
    pub(crate) fn head(&self) -> &Head {
        &self.head
    }
}

/// Why a request is not sent on.
pub(crate) enum Refused {
    /// It has more than one reading, or isn't for this connection.
    Malformed(String),
    /// The gate said no; with the action as `bartizan policy explain` takes it.
    Halted(Halt, String),
    /// A secret can't be put where it is bound to.
    Unfilled(String),
    /// Its body is needed and can't be had.
    Unread(Reply),
}

impl Refused {
    /// What the ledger says.
    pub(crate) fn detail(&self) -> String {
        match self {
            Self::Malformed(reason) | Self::Unfilled(reason) => reason.clone(),
            Self::Unread(reply) => reply.reason(),
            Self::Halted(Halt::Refused(refusal), _) => format!("the request was refused: {refusal}"),
            Self::Halted(Halt::Withdrawn, _) => "the request was withdrawn".to_owned(),
        }
    }

    /// What the program is told.
    pub(crate) fn reply(&self) -> Reply {
        match self {
            Self::Malformed(reason) | Self::Unfilled(reason) => Reply::bad_request(reason),
            Self::Halted(halt, explain) => Reply::halted(halt, explain),
            Self::Unread(reply) => reply.clone(),
        }
    }
}

impl Flow<'_> {
    /// The request in its one reading, and what deciding over it needs.
    pub(crate) fn ask(&self, head: Head, scheme: &'static str) -> Result<Asked, Refused> {
        check_request(&head, self.host, self.port).map_err(Refused::Malformed)?;
        let malformed = |reason: &str| Refused::Malformed(reason.to_owned());
        let (Target::Absolute { path, query, .. } | Target::Origin { path, query }) = &head.target else {
            return Err(malformed("the request's target is neither a URL nor a path"));
        };
        let path = path::canonical(path).ok_or_else(|| malformed("the path has more than one reading"))?;
        let query = query.clone();
        // An offered upgrade to HTTP/2 is not passed on, and the server answers as if it had not been made.
        if head.upgrade.as_deref().is_some_and(|protocol| protocol != "h2c") {
            return Err(malformed("the rule decides single requests, and an upgraded connection has none"));
        }
        let mut deed = Deed::HttpRequest {
            method: head.method.clone(),
            scheme: scheme.to_owned(),
            host: self.host.to_string(),
            port: self.port,
            path: path.clone(),
            query: query.clone(),
            body: None,
            placeholders: Vec::new(),
            headers: Vec::new(),
            upgrade: None,
        };
        let needs = self.context.gate.needs(&deed);
        let lent = self.context.gate.holds_secrets() && head.is_json();
        let hold = Hold::of(&head, needs.body, lent).map_err(Refused::Unread)?;
        if let Deed::HttpRequest { headers, .. } = &mut deed {
            *headers = needs.headers.iter().flat_map(|name| head.named(name)).collect();
        }
        Ok(Asked { head, hold, path, query, deed })
    }

    /// Takes one request through the gate with what is known of its body; `gone` resolves when nobody waits for its
    /// answer any more.
    pub(crate) async fn admit_request(
        &self,
        asked: Asked,
        held: Held,
        gone: impl Future<Output = ()>,
    ) -> Result<Admitted, Refused> {
        let Asked { mut head, path, query, mut deed, .. } = asked;
        let Held { whole, ahead, watched, room } = held;
        let wanted = self.context.gate.wanted(|| head.outgoing(&path, query.as_deref(), whole.clone()));
        let (mut filled, wanted) = wanted.map_or((None, Vec::new()), |(filled, wanted)| (Some(filled), wanted));
        let carries_secret = !wanted.is_empty();
        let length = whole.as_ref().map(Vec::len);
        if let Deed::HttpRequest { body, placeholders, .. } = &mut deed {
            *placeholders = wanted;
            *body = whole.map(content);
        }
        let explain = format!("http {}", deed.target());
        let armed = match self.context.admit(deed, self.process.clone(), gone).await {
            Ok(armed) => armed,
            Err(halt) => return Err(Refused::Halted(halt, explain)),
        };
        let told = match head.body {
            BodyLength::Exact(told) => told,
            BodyLength::Chunked => length.and_then(|length| u64::try_from(length).ok()).unwrap_or(0),
        };
        if let (Some(limit), _) = limits(&armed)
            && told > limit
        {
            let stopped = Outcome::new(OutcomeStatus::Stopped).with_detail(too_long(limit));
            self.context.close(armed, stopped).await;
            return Err(Refused::Unread(Reply::too_large(&too_long(limit))));
        }
        // Without what policy wants taken out of it.
        let (query, body) = match &armed.action().deed {
            Deed::HttpRequest { query, body, .. } => (query.clone(), body.as_ref().and_then(Content::bytes)),
            _ => (query, None),
        };
        if let Some(filled) = &mut filled {
            filled.query.clone_from(&query);
            filled.body = body.map(<[u8]>::to_vec);
            // What comes back is searched for values, which nobody could find in a compressed answer.
            filled.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("accept-encoding"));
            filled.headers.push(("accept-encoding".to_owned(), b"identity".to_vec()));
            if let Err(error) = armed.fill(filled) {
                let failed = Outcome::new(OutcomeStatus::Failed).with_detail(error.to_string());
                self.context.close(armed, failed).await;
                return Err(Refused::Unfilled(error.to_string()));
            }
            tell_length(filled);
        } else if let Some(body) = body.filter(|body| Some(body.len()) != length) {
            head.tell_length(body.len());
        }
        Ok(Admitted {
            armed,
            head,
            path,
            query,
            filled,
            carries_secret,
            whole: length.is_some(),
            ahead,
            watched,
            started: Instant::now(),
            _room: room,
        })
    }

    /// Closes a request's entry with what came of it.
    pub(crate) async fn close_request(
        &self,
        admitted: Admitted,
        came_of_it: Result<u16, &Ended>,
        address: Option<std::net::SocketAddr>,
        meter: &Meter<'_>,
    ) {
        let done = Ended::done();
        let ended = came_of_it.err().unwrap_or(&done);
        let mut outcome = outcome(ended, address, meter, admitted.started);
        if let Ok(status) = came_of_it {
            outcome = outcome.with_figure("status", i64::from(status));
        }
        self.context.close(admitted.armed, outcome).await;
    }

    /// The same before anything is carried, when no bytes tell whether it goes on.
    pub(crate) async fn given_up(&self, request: Option<&Armed>) -> Ended {
        let mut armed = vec![self.armed];
        armed.extend(request);
        tokio::select! {
            () = self.left_behind() => stopped("the run ended"),
            () = self.context.denied(&armed) => stopped("policy was changed and denies it now"),
        }
    }

    /// Resolves, with the reason, when something outside puts an end to what these carry.
    pub(crate) async fn interrupted(&self, meter: &Meter<'_>, request: Option<&Armed>) -> Ended {
        let mut armed = vec![self.armed];
        armed.extend(request);
        tokio::select! {
            () = self.idle_after_the_end(meter) => stopped("the run ended"),
            () = self.context.denied(&armed) => stopped("policy was changed and denies it now"),
        }
    }
}

/// What a request under this verdict may carry, and its answer.
fn limits(armed: &Armed) -> (Option<u64>, Option<u64>) {
    let limits = armed.verdict().obligations.iter().find_map(|obligation| match obligation {
        Obligation::LimitBytes { request, response } => Some((*request, *response)),
        _ => None,
    });
    limits.unwrap_or_default()
}

/// Bytes as an action carries them.
fn content(bytes: Vec<u8>) -> Content {
    String::from_utf8(bytes).map_or_else(|error| Content::Bytes(error.into_bytes()), Content::Text)
}

/// A body that was filled in has another length.
fn tell_length(filled: &mut Outgoing) {
    let Some(length) = filled.body.as_ref().map(Vec::len) else { return };
    for (name, value) in &mut filled.headers {
        if name.eq_ignore_ascii_case("content-length") {
            *value = length.to_string().into_bytes();
        }
    }
}

impl Ended {
    pub(crate) fn done() -> Self {
        Self { status: OutcomeStatus::Done, detail: String::new(), farewell: crate::flow::Farewell::Close }
    }
}
