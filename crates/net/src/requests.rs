//! The one place where a request becomes an action: whatever protocol it came by, plain or inside TLS, it is made
//! canonical here, decided here, and what is sent on is made from what was decided.

use std::future::Future;
use std::time::Instant;

use bartizan_gate::{Armed, Gate, Outgoing};
use bartizan_model::{BodyNeed, Content, Deed, LlmApi, Obligation, Outcome, OutcomeStatus};
use tokio::sync::OwnedSemaphorePermit;
use zeroize::Zeroizing;

use crate::at_hand::{Held, Hold};
use crate::body::{Sieve, Through, Watch, too_long};
use crate::context::Halt;
use crate::first::check_request;
use crate::flow::{Ended, Flow, outcome, stopped};
use crate::front::Front;
use crate::head::{Afterwards, BodyLength, Head, HeadError, Target};
use crate::llm::request::Shape;
use crate::llm::{self, Carrier, Conversation, Unasked};
use crate::path;
use crate::reply::Reply;
use crate::traffic::Meter;

/// A request in its one reading, before it is decided.
pub(crate) struct Asked {
    pub(crate) head: Head,
    /// What becomes of its body first.
    pub(crate) hold: Hold,
    /// The question to a model that it is.
    question: Option<(LlmApi, Shape)>,
    /// Whether a rule over the request depends on its body.
    ruled: bool,
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
    /// The question it carries, and the body that is sent for it.
    conversation: Option<(Conversation, Vec<u8>)>,
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
            _ if self.conversation.is_some() => self.conversation.as_ref().map(|(_, body)| body.as_slice()),
            (None, Deed::HttpRequest { body, .. }) => body.as_ref().and_then(Content::bytes),
            _ => None,
        }
    }

    /// The question it carries.
    pub(crate) fn conversation(&self) -> Option<&Conversation> {
        self.conversation.as_ref().map(|(conversation, _)| conversation)
    }

    /// Every action it rests on.
    fn rests_on(&self) -> impl Iterator<Item = &Armed> {
        std::iter::once(&self.armed).chain(self.conversation().map(Conversation::armed))
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
    /// The question it carries isn't asked.
    Unasked(Unasked),
}

impl Refused {
    /// What the ledger says.
    pub(crate) fn detail(&self) -> String {
        match self {
            Self::Malformed(reason) | Self::Unfilled(reason) => reason.clone(),
            Self::Unread(reply) => reply.reason(),
            Self::Unasked(unasked) => unasked.detail.clone(),
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
            Self::Unasked(unasked) => unasked.reply.clone(),
        }
    }

    /// The same, told in the form of the server's own errors.
    fn in_shape(self, shape: Shape) -> Self {
        let told = match self {
            Self::Unasked(_) => return self,
            Self::Halted(halt, explain) => {
                let reply = llm::halted(shape, &halt, &explain);
                Unasked { detail: Self::Halted(halt, explain).detail(), reply }
            }
            refused => Unasked::said(shape, &refused.reply()),
        };
        Self::Unasked(told)
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
        let api = self.front.as_deref().map(Front::api).or_else(|| llm::api_of(self.armed.verdict()));
        let question = api.and_then(|api| Some((api, Shape::of(api, &head.method, &path)?)));
        let hold = match question {
            Some((_, shape)) => Hold::of_question(&head).map_err(|reply| Refused::Unread(reply).in_shape(shape))?,
            None => Hold::of(&head, needs.body, lent).map_err(Refused::Unread)?,
        };
        if let Deed::HttpRequest { headers, .. } = &mut deed {
            *headers = needs.headers.iter().flat_map(|name| head.named(name)).collect();
        }
        // Its body is the question's, which is decided on its own.
        let ruled = needs.body == BodyNeed::Ruled;
        Ok(Asked { head, hold, question, ruled, path, query, deed })
    }

    /// Takes one request through the gate with what is known of its body; `gone` resolves when nobody waits for its
    /// answer any more.
    pub(crate) async fn admit_request(
        &self,
        asked: Asked,
        held: Held,
        gone: impl Future<Output = ()>,
    ) -> Result<Admitted, Refused> {
        let Asked { mut head, question, ruled, path, query, mut deed, .. } = asked;
        tokio::pin!(gone);
        let shaped = |refused: Refused| match question {
            Some((_, shape)) => refused.in_shape(shape),
            None => refused,
        };
        let Held { whole, ahead, watched, room } = held;
        let wanted = self.context.gate.wanted(|| head.outgoing(&path, query.as_deref(), whole.clone()));
        let (mut filled, wanted) = wanted.map_or((None, Vec::new()), |(filled, wanted)| (Some(filled), wanted));
        let carries_secret = !wanted.is_empty();
        let length = whole.as_ref().map(Vec::len);
        if let Deed::HttpRequest { body, placeholders, .. } = &mut deed {
            *placeholders = wanted;
            *body = whole.clone().filter(|_| ruled || question.is_none()).map(content);
        }
        let explain = format!("http {}", deed.target());
        let armed = match self.context.admit(deed, self.process.clone(), gone.as_mut()).await {
            Ok(armed) => armed,
            Err(halt) => return Err(shaped(Refused::Halted(halt, explain))),
        };
        let api = llm::api_of(armed.verdict());
        if question.is_none() && api.is_some_and(|api| Shape::of(api, &head.method, &path).is_some()) {
            let why = "since this connection was made, the rule over its host says that models are asked there; connect again";
            self.context.close(armed, Outcome::new(OutcomeStatus::Stopped).with_detail(why)).await;
            return Err(Refused::Malformed(why.to_owned()));
        }
        let told = match head.body {
            BodyLength::Exact(told) => told,
            BodyLength::Chunked => length.and_then(|length| u64::try_from(length).ok()).unwrap_or(0),
        };
        if let (Some(limit), _) = limits(&armed)
            && told > limit
        {
            let stopped = Outcome::new(OutcomeStatus::Stopped).with_detail(too_long(limit));
            self.context.close(armed, stopped).await;
            return Err(shaped(Refused::Unread(Reply::too_large(&too_long(limit)))));
        }
        let conversation = match question {
            Some((api, shape)) => {
                let carrier = Carrier { shape, api, body: whole.as_deref() };
                match self.consult(carrier, gone.as_mut()).await {
                    Ok((conversation, sent)) => Some((conversation, sent.or(whole).unwrap_or_default())),
                    Err(unasked) => {
                        let stopped = Outcome::new(OutcomeStatus::Stopped).with_detail(unasked.detail.clone());
                        self.context.close(armed, stopped).await;
                        return Err(Refused::Unasked(unasked));
                    }
                }
            }
            None => None,
        };
        // Without what policy wants taken out of it.
        let (query, body) = match &armed.action().deed {
            Deed::HttpRequest { query, body, .. } => (query.clone(), body.as_ref().and_then(Content::bytes)),
            _ => (query, None),
        };
        let body = conversation.as_ref().map(|(_, body)| body.as_slice()).or(body);
        if conversation.is_some() {
            head.refuse_encodings();
        }
        if let Some(filled) = &mut filled {
            filled.query.clone_from(&query);
            filled.body = body.map(<[u8]>::to_vec);
            // What comes back is searched for values, which nobody could find in a compressed answer.
            filled.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("accept-encoding"));
            filled.headers.push(("accept-encoding".to_owned(), b"identity".to_vec()));
            if let Err(error) = armed.fill(filled) {
                let failed = Outcome::new(OutcomeStatus::Failed).with_detail(error.to_string());
                if let Some((conversation, _)) = conversation {
                    self.close_conversation(conversation, None, &error.to_string()).await;
                }
                self.context.close(armed, failed).await;
                return Err(shaped(Refused::Unfilled(error.to_string())));
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
            conversation,
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
        let Admitted { armed, conversation, started, .. } = admitted;
        let done = Ended::done();
        let ended = came_of_it.err().unwrap_or(&done);
        if let Some((conversation, _)) = conversation {
            self.close_conversation(conversation, came_of_it.ok(), &ended.detail).await;
        }
        let mut outcome = outcome(ended, address, meter, started);
        if let Ok(status) = came_of_it {
            outcome = outcome.with_figure("status", i64::from(status));
        }
        self.context.close(armed, outcome).await;
    }

    /// The same before anything is carried, when no bytes tell whether it goes on.
    pub(crate) async fn given_up(&self, request: Option<&Admitted>) -> Ended {
        let mut armed = vec![self.armed];
        armed.extend(request.into_iter().flat_map(Admitted::rests_on));
        tokio::select! {
            () = self.left_behind() => stopped("the run ended"),
            () = self.context.denied(&armed) => stopped("policy was changed and denies it now"),
        }
    }

    /// Resolves, with the reason, when something outside puts an end to what these carry.
    pub(crate) async fn interrupted(&self, meter: &Meter<'_>, request: Option<&Admitted>) -> Ended {
        let mut armed = vec![self.armed];
        armed.extend(request.into_iter().flat_map(Admitted::rests_on));
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
