//! A server that speaks the protocols of language models from a script: which model is asked decides what it says, and
//! how it is asked in which protocol, streamed or not.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::{HttpServer, Request, Response};

/// How long a script waits for its client: a test that is stuck must end.
const WAIT: Duration = Duration::from_secs(30);

/// One thing a model says.
#[derive(Clone, Debug)]
pub enum Part {
    /// A piece of text, sent as a piece of its own.
    Text(&'static str),
    /// Waits until somebody asks for `/seen`.
    Wait,
    /// A call of a tool, its arguments cut into pieces of some bytes.
    Tool { name: &'static str, arguments: Value },
}

/// What a model of this name says.
pub type Script = Vec<Part>;

#[derive(Default)]
struct Shared {
    seen: AtomicBool,
    scripts: Mutex<Vec<(String, Script)>>,
}

/// The scripts of a server.
pub struct Models {
    shared: Arc<Shared>,
}

impl Models {
    /// Has this server speak every protocol.
    pub fn on(server: &HttpServer) -> Self {
        let shared = Arc::new(Shared::default());
        let say = |speak: fn(&Script, bool, &str, &Arc<Shared>) -> Response| {
            let shared = Arc::clone(&shared);
            move |request: &Request| {
                let asked: Value = serde_json::from_slice(&request.body).unwrap_or_default();
                let model = asked["model"].as_str().unwrap_or_default();
                let ollama = request.target.starts_with("/api/");
                let stream = asked["stream"].as_bool().unwrap_or(ollama);
                let scripts = shared.scripts.lock().unwrap();
                let script = scripts.iter().find(|(name, _)| name == model).map(|(_, script)| script.clone());
                drop(scripts);
                match script {
                    Some(script) => speak(&script, stream, model, &shared),
                    None => json_answer(404, &json!({ "error": { "message": "no such model", "type": "not_found" } })),
                }
            }
        };
        server
            .route("/v1/chat/completions", say(chat))
            .route("/v1/responses", say(responses))
            .route("/v1/messages", say(messages))
            .route("/api/chat", say(ollama));
        let seen = Arc::clone(&shared);
        server.route("/seen", move |_| {
            seen.seen.store(true, Ordering::SeqCst);
            Response::ok("seen\n")
        });
        Self { shared }
    }

    /// What the model of this name says.
    pub fn script(&self, model: &str, parts: impl Into<Script>) -> &Self {
        self.shared.scripts.lock().unwrap().push((model.to_owned(), parts.into()));
        self
    }

    /// As if nobody had asked for `/seen`.
    pub fn forget(&self) {
        self.shared.seen.store(false, Ordering::SeqCst);
    }

    /// Whether somebody has asked for `/seen`.
    pub fn was_seen(&self) -> bool {
        self.shared.seen.load(Ordering::SeqCst)
    }
}

fn json_answer(status: u16, body: &Value) -> Response {
    Response::new(status, body.to_string()).header("Content-Type", "application/json")
}

/// Sends these pieces, waiting where the script says so.
fn stream(kind: &str, pieces: Vec<Option<String>>, shared: &Arc<Shared>) -> Response {
    let shared = Arc::clone(shared);
    let write = move |write: &mut dyn FnMut(&[u8])| {
        for piece in &pieces {
            match piece {
                Some(piece) => write(piece.as_bytes()),
                None => {
                    let started = Instant::now();
                    while !shared.seen.load(Ordering::SeqCst) && started.elapsed() < WAIT {
                        std::thread::sleep(Duration::from_millis(2));
                    }
                }
            }
        }
    };
    Response::streamed(write).header("Content-Type", kind)
}

fn text(script: &Script) -> String {
    script.iter().filter_map(|part| if let Part::Text(text) = part { Some(*text) } else { None }).collect()
}

fn tools(script: &Script) -> impl Iterator<Item = (usize, &'static str, &Value)> {
    let tool = |part| if let &Part::Tool { name, ref arguments } = part { Some((name, arguments)) } else { None };
    script.iter().filter_map(tool).enumerate().map(|(at, (name, arguments))| (at, name, arguments))
}

/// Text in pieces, none of which is all of it.
fn cut(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    letters.chunks(5).map(|piece| piece.iter().collect()).collect()
}

fn event(data: &Value) -> Option<String> {
    let name = data["type"].as_str().map(|name| format!("event: {name}\n")).unwrap_or_default();
    Some(format!("{name}data: {data}\n\n"))
}

fn chat(script: &Script, streams: bool, model: &str, shared: &Arc<Shared>) -> Response {
    let usage = json!({ "prompt_tokens": 7, "completion_tokens": 11, "total_tokens": 18 });
    let (id, made) = ("chatcmpl-1", 1_700_000_000);
    if !streams {
        let calls: Vec<_> = tools(script)
            .map(|(at, name, arguments)| {
                json!({ "id": format!("call_{at}"), "type": "function",
                    "function": { "name": name, "arguments": arguments.to_string() } })
            })
            .collect();
        let mut message = json!({ "role": "assistant", "content": text(script) });
        if !calls.is_empty() {
            message["tool_calls"] = calls.into();
        }
        let choice = json!({ "index": 0, "message": message, "finish_reason": "stop" });
        let body = json!({ "id": id, "object": "chat.completion", "created": made, "model": model,
            "choices": [choice], "usage": usage });
        return json_answer(200, &body);
    }
    let piece = |delta: Value, reason: Value| {
        event(&json!({ "id": id, "object": "chat.completion.chunk", "created": made, "model": model,
            "choices": [{ "index": 0, "delta": delta, "finish_reason": reason }] }))
    };
    let mut pieces = vec![piece(json!({ "role": "assistant", "content": "" }), Value::Null)];
    let mut at = 0;
    for part in script {
        match part {
            Part::Text(text) => pieces.push(piece(json!({ "content": text }), Value::Null)),
            Part::Wait => pieces.push(None),
            Part::Tool { name, arguments } => {
                let call = json!({ "index": at, "id": format!("call_{at}"), "type": "function",
                    "function": { "name": name, "arguments": "" } });
                pieces.push(piece(json!({ "tool_calls": [call] }), Value::Null));
                for cut in cut(&arguments.to_string()) {
                    let call = json!({ "index": at, "function": { "arguments": cut } });
                    pieces.push(piece(json!({ "tool_calls": [call] }), Value::Null));
                }
                at += 1;
            }
        }
    }
    pieces.push(piece(json!({}), json!(if at > 0 { "tool_calls" } else { "stop" })));
    pieces.push(event(&json!({ "id": id, "object": "chat.completion.chunk", "created": made, "model": model,
        "choices": [], "usage": usage })));
    pieces.push(Some("data: [DONE]\n\n".to_owned()));
    stream("text/event-stream", pieces, shared)
}

fn responses(script: &Script, streams: bool, model: &str, shared: &Arc<Shared>) -> Response {
    let message = json!({ "id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
        "content": [{ "type": "output_text", "text": text(script), "annotations": [] }] });
    let call = |at: usize, name: &str, arguments: &str| {
        json!({ "id": format!("fc_{at}"), "call_id": format!("call_{at}"), "type": "function_call",
            "name": name, "arguments": arguments, "status": "completed" })
    };
    let mut output = vec![message];
    output.extend(tools(script).map(|(at, name, arguments)| call(at, name, &arguments.to_string())));
    let whole = json!({ "id": "resp_1", "object": "response", "created_at": 1_700_000_000, "status": "completed",
        "model": model, "output": output, "parallel_tool_calls": true, "tool_choice": "auto", "tools": [],
        "usage": { "input_tokens": 7, "output_tokens": 11, "total_tokens": 18,
            "input_tokens_details": { "cached_tokens": 0 }, "output_tokens_details": { "reasoning_tokens": 0 } } });
    if !streams {
        return json_answer(200, &whole);
    }
    let mut begun = whole.clone();
    begun["output"] = json!([]);
    begun["status"] = json!("in_progress");
    begun["usage"] = Value::Null;
    let mut number = 0;
    let mut numbered = |mut data: Value| {
        data["sequence_number"] = json!(number);
        number += 1;
        event(&data)
    };
    let mut pieces = vec![numbered(json!({ "type": "response.created", "response": begun }))];
    for part in script {
        match part {
            Part::Text(text) => pieces
                .push(numbered(json!({ "type": "response.output_text.delta", "item_id": "msg_1",
                "output_index": 0, "content_index": 0, "delta": text, "logprobs": [] }))),
            Part::Wait => pieces.push(None),
            Part::Tool { .. } => {}
        }
    }
    for (at, name, arguments) in tools(script) {
        let index = at + 1;
        pieces.push(numbered(json!({ "type": "response.output_item.added", "output_index": index,
            "item": call(at, name, "") })));
        for cut in cut(&arguments.to_string()) {
            pieces.push(numbered(json!({ "type": "response.function_call_arguments.delta",
                "item_id": format!("fc_{at}"), "output_index": index, "delta": cut })));
        }
        pieces.push(numbered(json!({ "type": "response.output_item.done", "output_index": index,
            "item": call(at, name, &arguments.to_string()) })));
    }
    pieces.push(numbered(json!({ "type": "response.completed", "response": whole })));
    stream("text/event-stream; charset=utf-8", pieces, shared)
}

fn messages(script: &Script, streams: bool, model: &str, shared: &Arc<Shared>) -> Response {
    let reason = if tools(script).next().is_some() { "tool_use" } else { "end_turn" };
    let block = |at: usize, name: &str, input: &Value| json!({ "type": "tool_use", "id": format!("toolu_{at}"), "name": name, "input": input });
    let mut whole = json!({ "id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": reason, "stop_sequence": null, "usage": { "input_tokens": 7, "output_tokens": 11 } });
    if !streams {
        let mut content = vec![json!({ "type": "text", "text": text(script) })];
        content.extend(tools(script).map(|(at, name, arguments)| block(at, name, arguments)));
        whole["content"] = content.into();
        return json_answer(200, &whole);
    }
    whole["stop_reason"] = Value::Null;
    let mut pieces = vec![
        event(&json!({ "type": "message_start", "message": whole })),
        event(&json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } })),
    ];
    for part in script {
        match part {
            Part::Text(text) => pieces.push(event(&json!({ "type": "content_block_delta", "index": 0,
                "delta": { "type": "text_delta", "text": text } }))),
            Part::Wait => pieces.push(None),
            Part::Tool { .. } => {}
        }
    }
    pieces.push(event(&json!({ "type": "content_block_stop", "index": 0 })));
    for (at, name, arguments) in tools(script) {
        let index = at + 1;
        pieces.push(event(&json!({ "type": "content_block_start", "index": index,
            "content_block": block(at, name, &json!({})) })));
        for cut in cut(&arguments.to_string()) {
            pieces.push(event(&json!({ "type": "content_block_delta", "index": index,
                "delta": { "type": "input_json_delta", "partial_json": cut } })));
        }
        pieces.push(event(&json!({ "type": "content_block_stop", "index": index })));
    }
    pieces.push(event(&json!({ "type": "message_delta", "delta": { "stop_reason": reason, "stop_sequence": null },
        "usage": { "output_tokens": 11 } })));
    pieces.push(event(&json!({ "type": "message_stop" })));
    stream("text/event-stream; charset=utf-8", pieces, shared)
}

fn ollama(script: &Script, streams: bool, model: &str, shared: &Arc<Shared>) -> Response {
    let calls: Vec<_> = tools(script)
        .map(|(_, name, arguments)| json!({ "function": { "name": name, "arguments": arguments } }))
        .collect();
    let line = |content: &str, calls: &[Value], done: bool| {
        let mut message = json!({ "role": "assistant", "content": content });
        if !calls.is_empty() {
            message["tool_calls"] = calls.into();
        }
        let mut line =
            json!({ "model": model, "created_at": "2024-01-01T00:00:00Z", "message": message, "done": done });
        if done {
            line["prompt_eval_count"] = json!(7);
            line["eval_count"] = json!(11);
        }
        line
    };
    if !streams {
        return json_answer(200, &line(&text(script), &calls, true));
    }
    let mut pieces: Vec<_> = script
        .iter()
        .filter_map(|part| match part {
            Part::Text(text) => Some(Some(format!("{}\n", line(text, &[], false)))),
            Part::Wait => Some(None),
            Part::Tool { .. } => None,
        })
        .collect();
    if !calls.is_empty() {
        pieces.push(Some(format!("{}\n", line("", &calls, false))));
    }
    pieces.push(Some(format!("{}\n", line("", &[], true))));
    stream("application/x-ndjson", pieces, shared)
}
