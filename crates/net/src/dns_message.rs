//! DNS messages from hostile bytes and back: one question in, one answer out, everything else an error.

use std::net::{IpAddr, Ipv4Addr};

use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, PTR};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use crate::host::Host;

/// Longest query that is read. One question with a name of 255 bytes and EDNS options is far shorter.
pub const QUERY_BYTES_MAX: usize = 4096;
/// What we tell clients that UDP answers hold at most (RFC 9715).
const UDP_PAYLOAD: u16 = 1232;
/// How long a client may keep a synthetic address. It is good for the whole run; this lets a tightened policy show.
const TTL_SECONDS: u32 = 60;
const HEADER_BYTES: usize = 12;

/// What a datagram turned out to be.
#[derive(Debug)]
#[non_exhaustive]
pub enum Received {
    /// Nothing that can be answered.
    Nonsense,
    /// A message that is answered with an error at once.
    Rejected(Vec<u8>),
    /// One question.
    Question(Box<Question>),
}

/// One question for one name.
#[derive(Debug)]
pub struct Question {
    /// What is asked for.
    pub subject: Subject,
    metadata: Metadata,
    query: Query,
    edns: bool,
}

/// What a question asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// Records of a name in plain form; the type as it is written, e.g. `A` or `TYPE65`.
    Name {
        /// The name.
        name: String,
        /// The type.
        record_type: String,
    },
    /// The name of an IPv4 address.
    Reverse(Option<Ipv4Addr>),
    /// A name that is none: odd bytes, or an address in disguise.
    Odd,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The name has this address.
    Address(Ipv4Addr),
    /// The name has these, of the kind that was asked for.
    Addresses(Vec<IpAddr>),
    /// The address has this name.
    Name(String),
    /// The name exists and has no such record.
    NoData,
    /// There is no such name.
    NoSuchName,
    /// It is not answered here.
    Refused,
    /// Something is used up or broken.
    Failed,
}

/// Reads one message. Never panics, whatever the bytes are.
#[must_use]
pub fn read(bytes: &[u8]) -> Received {
    let Some(&[id_high, id_low, flags, ..]) = bytes.get(..HEADER_BYTES) else { return Received::Nonsense };
    // Answering a response could start a loop between two servers.
    if flags & 0x80 != 0 || bytes.len() > QUERY_BYTES_MAX {
        return Received::Nonsense;
    }
    let id = u16::from_be_bytes([id_high, id_low]);
    let Ok(message) = Message::from_vec(bytes) else { return rejected(id, OpCode::Query, ResponseCode::FormErr) };
    if message.metadata.message_type != MessageType::Query {
        return Received::Nonsense;
    }
    if message.metadata.op_code != OpCode::Query {
        return rejected(id, message.metadata.op_code, ResponseCode::NotImp);
    }
    let [query] = message.queries.as_slice() else { return rejected(id, OpCode::Query, ResponseCode::FormErr) };
    let lean = message.answers.is_empty() && message.authorities.is_empty() && message.additionals.is_empty();
    if !lean || message.signature.is_some() || message.metadata.truncation {
        return rejected(id, OpCode::Query, ResponseCode::FormErr);
    }
    if query.query_class() != DNSClass::IN {
        return rejected(id, OpCode::Query, ResponseCode::Refused);
    }
    Received::Question(Box::new(Question {
        subject: subject(query),
        metadata: message.metadata,
        query: query.clone(),
        edns: message.edns.is_some(),
    }))
}

fn rejected(id: u16, op_code: OpCode, code: ResponseCode) -> Received {
    Message::error_msg(id, op_code, code).to_vec().map_or(Received::Nonsense, Received::Rejected)
}

fn subject(query: &Query) -> Subject {
    let Some(name) = plain(query.name()) else { return Subject::Odd };
    if query.query_type() == RecordType::PTR && name.ends_with(".arpa") {
        return Subject::Reverse(reverse4(&name));
    }
    let record_type = match query.query_type() {
        RecordType::Unknown(number) => format!("TYPE{number}"),
        known => known.to_string(),
    };
    Subject::Name { name, record_type }
}

/// The name in the one form policy knows, if it has one.
fn plain(name: &Name) -> Option<String> {
    let mut text = String::new();
    for label in name.iter() {
        // A dot within a label would read as two labels.
        let label = std::str::from_utf8(label).ok().filter(|label| label.is_ascii() && !label.contains('.'))?;
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(label);
    }
    match Host::parse(&text) {
        Ok(Host::Name(name)) => Some(name),
        _ => None,
    }
}

/// The address in `4.3.2.1.in-addr.arpa`.
fn reverse4(name: &str) -> Option<Ipv4Addr> {
    let mut octets = name.strip_suffix(".in-addr.arpa")?.split('.').map(str::parse::<u8>);
    let mut next = || octets.next()?.ok();
    let (d, c, b, a) = (next()?, next()?, next()?, next()?);
    next().is_none().then(|| Ipv4Addr::new(a, b, c, d))
}

impl Question {
    /// The whole answering message.
    #[must_use]
    pub fn answer(&self, answer: &Answer) -> Option<Vec<u8>> {
        let mut message = Message::response(self.metadata.id, OpCode::Query);
        message.metadata.recursion_desired = self.metadata.recursion_desired;
        message.metadata.recursion_available = true;
        message.add_query(self.query.clone());
        let data = match answer {
            Answer::Address(address) => vec![RData::A(A(*address))],
            Answer::Addresses(addresses) => addresses
                .iter()
                .map(|address| match address {
                    IpAddr::V4(four) => RData::A(A(*four)),
                    IpAddr::V6(six) => RData::AAAA(AAAA(*six)),
                })
                .collect(),
            Answer::Name(name) => {
                Name::from_ascii(format!("{name}.")).ok().map(|name| RData::PTR(PTR(name))).into_iter().collect()
            }
            _ => Vec::new(),
        };
        for data in data {
            message.add_answer(Record::from_rdata(self.query.name().clone(), TTL_SECONDS, data));
        }
        message.metadata.response_code = match answer {
            Answer::Address(_) | Answer::Addresses(_) | Answer::Name(_) | Answer::NoData => ResponseCode::NoError,
            Answer::NoSuchName => ResponseCode::NXDomain,
            Answer::Refused => ResponseCode::Refused,
            Answer::Failed => ResponseCode::ServFail,
        };
        if self.edns {
            let mut edns = Edns::new();
            edns.set_max_payload(UDP_PAYLOAD);
            message.set_edns(edns);
        }
        message.to_vec().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(name: &str, kind: RecordType) -> Message {
        let mut message = Message::query();
        message.metadata.id = 7;
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        message
    }

    fn subject_of(message: &Message) -> Subject {
        match read(&message.to_vec().unwrap()) {
            Received::Question(question) => question.subject,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_question_in_one_form() {
        let expected = Subject::Name { name: "api.example.com".into(), record_type: "A".into() };
        assert_eq!(subject_of(&query("API.example.com.", RecordType::A)), expected);
        let unknown = subject_of(&query("a.com.", RecordType::Unknown(999)));
        assert_eq!(unknown, Subject::Name { name: "a.com".into(), record_type: "TYPE999".into() });
        assert_eq!(
            subject_of(&query("9.1.18.198.in-addr.arpa.", RecordType::PTR)),
            Subject::Reverse(Some(Ipv4Addr::new(198, 18, 1, 9)))
        );
        for odd in ["2130706433.", "0x7f.1.", "."] {
            assert_eq!(subject_of(&query(odd, RecordType::A)), Subject::Odd, "{odd}");
        }
        for label in [b"a b".as_slice(), b"a.b", b"a\0b", b"\xffab"] {
            let header = &query("x.", RecordType::A).to_vec().unwrap()[..HEADER_BYTES];
            let bytes = [header, &[3], label, &[3, b'c', b'o', b'm', 0, 0, 1, 0, 1]].concat();
            let Received::Question(question) = read(&bytes) else { panic!("{label:?}") };
            assert_eq!(question.subject, Subject::Odd, "{label:?}");
            assert!(question.answer(&Answer::NoSuchName).is_some());
        }
    }

    #[test]
    fn answers_parse_again() {
        let Received::Question(question) = read(&query("a.com.", RecordType::A).to_vec().unwrap()) else { panic!() };
        for answer in
            [Answer::Address(Ipv4Addr::new(198, 18, 1, 0)), Answer::NoData, Answer::NoSuchName, Answer::Failed]
        {
            let message = Message::from_vec(&question.answer(&answer).unwrap()).unwrap();
            assert_eq!(message.metadata.id, 7);
            assert_eq!(message.queries.len(), 1);
            assert_eq!(message.answers.len(), usize::from(matches!(answer, Answer::Address(_))));
        }
    }

    #[test]
    fn anything_but_one_question_is_an_error() {
        let good = query("a.com.", RecordType::A);
        let mut two = good.clone();
        two.add_query(Query::query(Name::from_ascii("b.com.").unwrap(), RecordType::A));
        let mut update = good.clone();
        update.metadata.op_code = OpCode::Update;
        let mut carrying = good.clone();
        carrying.add_answer(Record::from_rdata(Name::root(), 0, RData::A(A(Ipv4Addr::LOCALHOST))));
        for message in [Message::query(), two, update, carrying] {
            assert!(matches!(read(&message.to_vec().unwrap()), Received::Rejected(_)), "{message:?}");
        }
        let bytes = good.to_vec().unwrap();
        for length in 0..bytes.len() {
            let expected_answer = length >= HEADER_BYTES;
            match read(&bytes[..length]) {
                Received::Nonsense => assert!(!expected_answer),
                Received::Rejected(_) => assert!(expected_answer),
                Received::Question(_) => panic!("read {length} of {} bytes", bytes.len()),
            }
        }
        let mut response = bytes.clone();
        response[2] |= 0x80;
        assert!(matches!(read(&response), Received::Nonsense));
        // A label longer than 63 bytes, and a pointer to itself.
        for tail in [[64, b'a'].as_slice(), &[0xc0, 12]] {
            let message = [&bytes[..HEADER_BYTES], tail, &[0, 0, 1, 0, 1]].concat();
            assert!(matches!(read(&message), Received::Rejected(_)));
        }
        assert!(matches!(read(&vec![0; QUERY_BYTES_MAX + 1]), Received::Nonsense));
    }
}
