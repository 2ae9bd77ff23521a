//! A question to a model as an action of its own: read from its request, decided before anything of it is sent, and
//! closed with what it came to.

use std::future::Future;
use std::sync::{Arc, Mutex};

use bartizan_gate::Armed;
use bartizan_model::{Content, Deed, LlmApi, Obligation, Outcome, OutcomeStatus, Verdict};

use super::passage::{Expected, Figures, Passage, reason};
use super::refusal;
use super::request::{self, Shape};
use crate::context::Halt;
use crate::flow::Flow;
use crate::reply::Reply;

/// A question that was admitted. It holds the armed action, so it has to be given back to be closed.
pub(crate) struct Conversation {
    armed: Armed,
    expected: Arc<Expected>,
    input_tokens: u64,
    /// What the answer has come to so far.
    figures: Mutex<Figures>,
}

/// Why a question is not asked.
pub(crate) struct Unasked {
    /// What the ledger says of the request that carried it.
    pub(crate) detail: String,
    /// What the program is told.
    pub(crate) reply: Reply,
}

/// A request as far as a question stands in it.
pub(crate) struct Carrier<'a> {
    pub(crate) shape: Shape,
    pub(crate) api: LlmApi,
    /// The whole body, where it is at hand.
    pub(crate) body: Option<&'a [u8]>,
}

/// The protocol of models that the rule says is spoken there.
pub(crate) fn api_of(verdict: &Verdict) -> Option<LlmApi> {
    verdict.obligations.iter().find_map(|obligation| match obligation {
        Obligation::ReadLlm { api } => Some(*api),
        _ => None,
    })
}

/// What a program is told whose connection or request was not let through.
pub(crate) fn halted(shape: Shape, halt: &Halt, explain: &str) -> Reply {
    let shown = format!("bartizan: {}; next: bartizan policy explain '{explain}'", reason(halt));
    Reply::json("403 Forbidden", refusal::answer(shape, &shown))
}

impl Unasked {
    /// What a program is told anyway, in the form of the server's own errors.
    pub(crate) fn said(shape: Shape, reply: &Reply) -> Self {
        let detail = reply.reason();
        let told = refusal::answer(shape, &format!("bartizan: {detail}"));
        Self { reply: Reply::json(reply.status(), told), detail }
    }

    fn new(shape: Shape, status: &'static str, detail: String) -> Self {
        let reply = Reply::json(status, refusal::answer(shape, &format!("bartizan: {detail}")));
        Self { detail, reply }
    }
}

impl Flow<'_> {
    /// Takes the question through the gate. Gives it back with the body to send in place of the one that came, where
    /// policy wants something taken out of it.
    pub(crate) async fn consult(
        &self,
        carrier: Carrier<'_>,
        gone: impl Future<Output = ()>,
    ) -> Result<(Conversation, Option<Vec<u8>>), Unasked> {
        let Carrier { shape, api, body } = carrier;
        let malformed = |detail: String| Unasked::new(shape, "400 Bad Request", detail);
        let body = body.ok_or_else(|| {
            let detail = "the question to the model can't be looked through: its body is too large, comes in chunks, or is encoded; send it whole";
            Unasked::new(shape, "413 Content Too Large", detail.to_owned())
        })?;
        let asked = request::read(shape, body).map_err(|error| malformed(error.to_string()))?;
        let text =
            std::str::from_utf8(body).map_err(|_| malformed("the question to the model is no UTF-8".to_owned()))?;
        let deed = Deed::LlmRequest {
            provider: Some(api.as_str().to_owned()),
            model: asked.model.clone(),
            content: Content::from(text),
            input_tokens: Some(asked.input_tokens),
            output_tokens_max: asked.output_tokens_max,
        };
        let explain = format!("model {}/{}", api.as_str(), asked.model);
        let armed = self.context.admit(deed, self.process.clone(), gone).await.map_err(|halt| {
            let detail = format!("the question to the model was refused: {}", reason(&halt));
            let shown = format!("bartizan: {detail}; next: bartizan policy explain '{explain}'");
            Unasked { reply: Reply::json("403 Forbidden", refusal::answer(shape, &shown)), detail }
        })?;
        let sent = match &armed.action().deed {
            Deed::LlmRequest { content, .. } => content.bytes().filter(|sent| *sent != body).map(<[u8]>::to_vec),
            _ => None,
        };
        // What was taken out must leave a question, and the same one.
        let same = |sent: &[u8]| {
            request::read(shape, sent).is_ok_and(|left| left.model == asked.model && left.stream == asked.stream)
        };
        if sent.as_deref().is_some_and(|sent| !same(sent)) {
            let detail = "without what policy wants taken out of it the question can't be asked; send it without";
            let failed = Outcome::new(OutcomeStatus::Failed).with_detail(detail);
            self.context.close(armed, failed).await;
            return Err(Unasked::new(shape, "403 Forbidden", detail.to_owned()));
        }
        let expected = Expected {
            shape,
            stream: asked.stream,
            server: api.as_str(),
            model: asked.model,
            decides_calls: armed.verdict().obligations.contains(&Obligation::DecideToolCalls),
            process: self.process.clone(),
        };
        let input_tokens = asked.input_tokens;
        let figures = Mutex::default();
        Ok((Conversation { armed, expected: Arc::new(expected), input_tokens, figures }, sent))
    }

    /// Closes a question's entry with what it came to.
    pub(crate) async fn close_conversation(&self, conversation: Conversation, status: Option<u16>, stopped: &str) {
        let figures = *crate::lock(&conversation.figures);
        let refused = status.is_some_and(|status| status >= 400);
        // An error costs nothing; anything else that ended early is taken for what could be seen of it.
        let counted = if refused { 0 } else { figures.input_tokens.unwrap_or(conversation.input_tokens) };
        let output = if refused { 0 } else { figures.output_tokens };
        let figure = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let ended = if stopped.is_empty() { OutcomeStatus::Done } else { OutcomeStatus::Stopped };
        let mut outcome = Outcome::new(ended)
            .with_figure("input_tokens", figure(counted))
            .with_figure("output_tokens", figure(output))
            .with_figure("tool_calls", figure(figures.calls));
        if figures.is_estimate && !refused {
            outcome = outcome.with_figure("tokens_estimated", 1);
        }
        if let Some(status) = status {
            outcome = outcome.with_figure("status", i64::from(status));
        }
        if !stopped.is_empty() {
            outcome = outcome.with_detail(stopped);
        }
        self.context.close(conversation.armed, outcome).await;
    }
}

impl Conversation {
    /// The admitted question.
    pub(crate) fn armed(&self) -> &Armed {
        &self.armed
    }

    /// Its form.
    pub(crate) fn shape(&self) -> Shape {
        self.expected.shape
    }

    /// What the program is told when its answer is held back before any of it was sent on.
    pub(crate) fn reply(&self, reason: &str) -> Reply {
        Reply::json("403 Forbidden", refusal::answer(self.shape(), &format!("bartizan: {reason}")))
    }

    /// What its answer is read with.
    pub(crate) fn expected(&self) -> &Arc<Expected> {
        &self.expected
    }

    /// Keeps what the answer has come to.
    pub(crate) fn note(&self, passage: &Passage) {
        *crate::lock(&self.figures) = passage.figures();
    }
}
