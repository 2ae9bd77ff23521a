//! Request heads of HTTP/2, read as strictly as those of HTTP/1 and written anew from what was read.

use http::header::{HOST, TE};
use http::{HeaderName, HeaderValue, Method, Request, Uri, request};

use bartizan_gate::Outgoing;

use crate::head::{BodyLength, Head, HeadError, Target, body_length, only, split_query};
use crate::host::Host;

impl Head {
    /// Reads what the framing layer has made of a request's headers.
    ///
    /// # Errors
    /// It could be read in several ways, or is none that goes to a server.
    pub(crate) fn from_http2(parts: &request::Parts, has_body: bool) -> Result<Self, HeadError> {
        let method = parts.method.as_str();
        if parts.method == Method::CONNECT {
            return Err(HeadError("`CONNECT` belongs to the proxy at 127.0.0.1:3128"));
        }
        if !method.bytes().all(|byte| byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_')) {
            return Err(HeadError("the method is not in upper case"));
        }
        if parts.uri.scheme_str().is_some_and(|scheme| scheme != "https") {
            return Err(HeadError("the request's scheme is other than `https`"));
        }
        let headers: Vec<(String, Vec<u8>)> =
            parts.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
        let odd = || HeadError("`:authority` is no plain host");
        let named = parts.uri.authority().map(|authority| Host::parse_with_optional_port(authority.as_str()));
        let named = named.transpose().map_err(|_| odd())?;
        let header = only(&headers, HOST.as_str())?.map(Host::parse_with_optional_port).transpose();
        let header = header.map_err(|_| HeadError("`Host` is no plain host"))?;
        let (host, port) = match (named, header) {
            (Some(named), Some(header)) if named != header => {
                return Err(HeadError("`:authority` and `Host` are different"));
            }
            (Some(named), _) | (None, Some(named)) => named,
            (None, None) => return Err(HeadError("there is no `:authority`")),
        };
        let target = parts.uri.path_and_query().map_or("", |target| target.as_str());
        if !target.starts_with('/') && target != "*" {
            return Err(HeadError("the target is no path"));
        }
        if !target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err(HeadError("the target holds other bytes than it may"));
        }
        let body = match (body_length(&headers, 1)?, only(&headers, "content-length")?) {
            // Without a length it ends with its stream, as a chunked one with its last chunk.
            (BodyLength::Exact(0), None) if has_body => BodyLength::Chunked,
            (BodyLength::Chunked, _) => return Err(HeadError("`Transfer-Encoding` has no place in HTTP/2")),
            (length, _) => length,
        };
        let (path, query) = split_query(target);
        Ok(Self {
            method: method.to_owned(),
            target: Target::Origin { path, query },
            host,
            port,
            body,
            upgrade: None,
            minor: 1,
            headers,
            connection: Vec::new(),
        })
    }

    /// The head as it goes upstream, for this path.
    ///
    /// # Errors
    /// It holds what HTTP/2 can't carry.
    pub(crate) fn to_http2(&self, path: &str, query: Option<&str>) -> Result<Request<()>, HeadError> {
        self.write_http2(path, query, &self.headers, false)
    }

    /// The same with what it became by being filled in. Its values are not to be kept in tables of headers.
    pub(crate) fn to_http2_filled(&self, filled: &Outgoing) -> Result<Request<()>, HeadError> {
        self.write_http2(&filled.path, filled.query.as_deref(), &filled.headers, true)
    }

    fn write_http2(
        &self,
        path: &str,
        query: Option<&str>,
        headers: &[(String, Vec<u8>)],
        sensitive: bool,
    ) -> Result<Request<()>, HeadError> {
        let odd = |_| HeadError("the request can't be written as HTTP/2");
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        let authority = match (&self.host, self.port) {
            (Host::Literal(std::net::IpAddr::V6(address)), port) => with_port(&format!("[{address}]"), port),
            (host, port) => with_port(&host.to_string(), port),
        };
        let uri = Uri::builder().scheme("https").authority(authority).path_and_query(format!("{path}{query}"));
        let mut request = Request::builder()
            .method(self.method.as_str())
            .uri(uri.build().map_err(odd)?)
            .version(http::Version::HTTP_2)
            .body(())
            .map_err(odd)?;
        for (name, value) in headers {
            let trailers = name == TE.as_str() && value == b"trailers";
            if name == HOST.as_str() || (self.is_hop_by_hop(name, false) && !trailers) {
                continue;
            }
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| HeadError("a header's name is odd"))?;
            let mut value = HeaderValue::from_bytes(value).map_err(|_| HeadError("a header's value is odd"))?;
            value.set_sensitive(sensitive);
            request.headers_mut().append(name, value);
        }
        Ok(request)
    }

    /// About how many bytes the headers are.
    pub(crate) fn size(&self) -> usize {
        self.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>() + self.method.len() + 16
    }
}

fn with_port(host: &str, port: Option<u16>) -> String {
    port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(uri: &str, headers: &[(&str, &str)], has_body: bool) -> Result<Head, HeadError> {
        let mut request = Request::builder().method("POST").uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Head::from_http2(&request.body(()).unwrap().into_parts().0, has_body)
    }

    #[test]
    fn what_is_written_is_what_was_read() {
        let headers = [("te", "trailers"), ("content-type", "application/grpc"), ("x", "1"), ("x", "2")];
        let head = read("https://a.test:8443/p.Service/Call?q=1", &headers, true).unwrap();
        assert_eq!((head.host.to_string().as_str(), head.port, head.body), ("a.test", Some(8443), BodyLength::Chunked));
        let request = head.to_http2("/p.Service/Call", Some("q=1")).unwrap();
        assert_eq!(request.uri().to_string(), "https://a.test:8443/p.Service/Call?q=1");
        assert_eq!(request.headers().get("te").unwrap(), "trailers");
        assert_eq!(request.headers().get_all("x").iter().count(), 2);
        let address = read("https://[2001:db8::1]/", &[], false).unwrap();
        assert_eq!(address.to_http2("/", None).unwrap().uri().to_string(), "https://[2001:db8::1]/");
    }

    #[test]
    fn two_readings_are_none() {
        for (uri, headers, error) in [
            ("https://a.test/", &[("host", "b.test")][..], "`:authority` and `Host` are different"),
            ("https://a.test/", &[("host", "a.test"), ("host", "a.test")], "a header stands twice that may stand once"),
            ("/", &[], "there is no `:authority`"),
            ("http://a.test/", &[], "the request's scheme is other than `https`"),
            ("https://user@a.test/", &[], "`:authority` is no plain host"),
            ("https://0x7f.1/", &[], "`:authority` is no plain host"),
            ("https://a.test/", &[("content-length", "+1")], "`Content-Length` is no plain number"),
            ("https://a.test/", &[("transfer-encoding", "chunked")], "`Transfer-Encoding` has no place in HTTP/2"),
        ] {
            assert_eq!(read(uri, headers, false).unwrap_err().to_string(), error, "{uri} {headers:?}");
        }
        assert!(read("/", &[("host", "a.test")], false).is_ok());
    }
}
