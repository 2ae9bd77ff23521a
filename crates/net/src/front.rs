//! A server of our own in front of one server of models, for programs that take nothing but a base URL: what they send
//! here is taken through the gate and goes on to that server, like any request of a box.

use std::net::SocketAddr;

use bartizan_model::LlmApi;

use crate::fetch::Place;
use crate::head::{Head, Target};
use crate::host::Host;
use crate::llm::request::Shape;
use crate::reply::Reply;

/// In front of what, and under which names.
#[derive(Debug)]
pub struct Front {
    upstream: Place,
    api: LlmApi,
    own: SocketAddr,
    /// Whether programs may call it by any name: it listens for other machines.
    exposed: bool,
}

impl Front {
    /// In front of this place, which speaks this protocol, at this address.
    #[must_use]
    pub fn new(upstream: Place, api: LlmApi, own: SocketAddr) -> Self {
        Self { upstream, api, own, exposed: !own.ip().is_loopback() }
    }

    /// The place.
    pub(crate) fn upstream(&self) -> &Place {
        &self.upstream
    }

    /// The protocol.
    pub(crate) fn api(&self) -> LlmApi {
        self.api
    }

    /// A form of error that every program shows that speaks the protocol.
    pub(crate) fn shape(&self) -> Shape {
        match self.api {
            LlmApi::Anthropic => Shape::Messages,
            LlmApi::Ollama => Shape::OllamaChat,
            _ => Shape::Chat,
        }
    }

    /// Makes a request that is for us one that is for the server.
    ///
    /// # Errors
    /// It isn't for us, or is that of a web page; what the program is told.
    pub(crate) fn turn(&self, head: &mut Head) -> Result<(), Reply> {
        let Target::Origin { path, .. } = &mut head.target else {
            return Err(Reply::bad_request("this is no proxy that URLs are sent to; use its address as the base URL"));
        };
        let named = match &head.host {
            Host::Literal(address) => self.exposed || *address == self.own.ip(),
            Host::Name(name) => self.exposed || name == "localhost",
        };
        if !named || head.port.unwrap_or(80) != self.own.port() {
            return Err(Reply::bad_request(&format!("`Host` is `{}`, and this is `{}`", head.host, self.own)));
        }
        // A page that somebody looks at must not ask models in their name.
        if head.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("origin")) {
            return Err(Reply::bad_request("this is for programs and not for web pages; leave `Origin` away"));
        }
        path.insert_str(0, self.upstream.path());
        let (host, port) = (self.upstream.named().clone(), self.upstream.port());
        for (name, value) in &mut head.headers {
            if name.eq_ignore_ascii_case("host") {
                *value = self.upstream.authority().into_bytes();
            }
        }
        head.host = host;
        head.port = Some(port);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::{Afterwards, Reading, read};

    fn check(request: &str, expected: Option<&str>) {
        let front = Front::new(
            Place::parse("https://api.test:8443/base").unwrap(),
            LlmApi::Openai,
            "127.0.0.1:9000".parse().unwrap(),
        );
        let Reading::Complete(mut head, _) = read(format!("{request}\r\n\r\n").as_bytes()) else { panic!("{request}") };
        let turned = front.turn(&mut head).ok().map(|()| {
            let Target::Origin { path, query } = &head.target else { panic!("{request}") };
            String::from_utf8(head.forward(path, query.as_deref(), Afterwards::Keep)).unwrap()
        });
        assert_eq!(turned.as_deref(), expected.map(|text| format!("{text}\r\n\r\n")).as_deref(), "{request}");
    }

    #[test]
    fn only_what_is_for_us_is_turned() {
        check(
            "GET /v1/models?a=b HTTP/1.1\r\nHost: 127.0.0.1:9000",
            Some("GET /base/v1/models?a=b HTTP/1.1\r\nHost: api.test:8443"),
        );
        check(
            "GET /v1 HTTP/1.1\r\nHost: localhost:9000\r\nX: y",
            Some("GET /base/v1 HTTP/1.1\r\nHost: api.test:8443\r\nX: y"),
        );
        check("GET / HTTP/1.1\r\nHost: evil.test:9000", None);
        check("GET / HTTP/1.1\r\nHost: 127.0.0.1:9001", None);
        check("GET / HTTP/1.1\r\nHost: 127.0.0.2:9000", None);
        check("GET / HTTP/1.1\r\nHost: 127.0.0.1:9000\r\nOrigin: http://127.0.0.1:9000", None);
        check("GET http://127.0.0.1:9000/ HTTP/1.1\r\nHost: 127.0.0.1:9000", None);
    }
}
