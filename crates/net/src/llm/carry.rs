//! A model's answer over HTTP/1: framed anew, since what is passed on is not always what came.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bartizan_gate::Mask;
use tokio::io::{AsyncRead, AsyncWrite};

use super::consult::Conversation;
use super::passage::{Cut, Passage};
use super::refusal;
use crate::answer::{Answer, AnswerLength};
use crate::body::{BODY_READ_BYTES, Body, Failure, Reader, chunk, send, too_long};
use crate::context::Context;
use crate::traffic::{Direction, Meter};

/// Where an answer comes from and goes to.
pub(crate) struct Way<'a, R, W> {
    pub(crate) from: &'a mut Reader<R>,
    pub(crate) to: &'a mut W,
    pub(crate) meter: &'a Meter<'a>,
    /// Becomes true when something was sent to the program.
    pub(crate) begun: &'a AtomicBool,
    /// Whether the program understands chunks.
    pub(crate) chunks: bool,
}

impl Conversation {
    /// Passes the answer on as far as policy lets it; `close`: the connection ends with it.
    pub(crate) async fn carry<R, W>(
        &self,
        context: &Arc<Context>,
        mut answer: Answer,
        mut mask: Option<Mask>,
        limit: Option<u64>,
        close: bool,
        way: Way<'_, R, W>,
    ) -> Result<(), Failure>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let Way { from, to, meter, begun, chunks } = way;
        if answer.is_encoded() {
            let why = "the model's answer was stopped: the server encoded it although it was asked not to, so nobody could look through it";
            return Err(Failure::Held(why.to_owned()));
        }
        let passage = Passage::new(context, self.expected(), answer.status, answer.named("content-type"));
        let mut passage = passage.map_err(|Cut(reason)| Failure::Held(reason))?;
        let mut body = Body::of_answer(answer.body, true);
        let until_close = answer.body == AnswerLength::UntilClose;
        let whole = passage.is_whole();
        if !whole {
            answer.reframe(chunks.then_some(None));
            begun.store(true, Ordering::Relaxed);
            send(&answer.forward(close || !chunks), to, meter, Direction::Received).await?;
        }
        let framed = |data: Vec<u8>, is_last: bool| if chunks { chunk(&data, is_last) } else { data };
        let (mut raw, mut out) = (Vec::new(), Vec::new());
        let (mut ended, mut received) = (false, 0_u64);
        loop {
            if until_close {
                // Its end is known when nothing more comes.
                raw.append(&mut from.bytes);
            } else {
                ended = body.gather(from, &mut raw).map_err(|error| Failure::Server(error.to_string()))?;
            }
            let data = covered(&raw, mask.as_mut(), ended);
            received = received.saturating_add(u64::try_from(raw.len()).unwrap_or(u64::MAX));
            raw.clear();
            let mut passed = match limit.filter(|limit| received > *limit) {
                Some(limit) => Err(Cut(format!("the model's answer was stopped: {}", too_long(limit)))),
                None => passage.push(&data, &mut out).await,
            };
            if ended && passed.is_ok() {
                passed = passage.finish(&mut out).await;
            }
            self.note(&passage);
            match passed {
                Ok(()) if whole => {}
                Ok(()) => send(&framed(std::mem::take(&mut out), ended), to, meter, Direction::Received).await?,
                Err(Cut(reason)) if whole => return Err(Failure::Held(reason)),
                Err(Cut(reason)) => {
                    out.extend(refusal::last_piece(self.shape(), &format!("bartizan: {reason}")));
                    send(&framed(out, true), to, meter, Direction::Received).await?;
                    return Err(Failure::Cut(reason));
                }
            }
            if ended {
                break;
            }
            match from.more(BODY_READ_BYTES).await {
                Ok(true) => {}
                Ok(false) if until_close => ended = true,
                Ok(false) => return Err(Failure::Server("the server broke off in its answer".to_owned())),
                Err(error) => return Err(Failure::Server(format!("the server broke off: {error}"))),
            }
        }
        if whole {
            answer.reframe(Some(Some(out.len())));
            begun.store(true, Ordering::Relaxed);
            send(&answer.forward(close), to, meter, Direction::Received).await?;
            send(&out, to, meter, Direction::Received).await?;
        }
        Ok(())
    }
}

/// The data with known values covered, as far as they can be told yet.
fn covered(data: &[u8], mask: Option<&mut Mask>, is_last: bool) -> Vec<u8> {
    let Some(mask) = mask else { return data.to_vec() };
    let mut out = Vec::with_capacity(data.len());
    mask.push(data, &mut out);
    if is_last {
        mask.finish(&mut out);
    }
    out
}
