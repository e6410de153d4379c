//! The `listener` stanza.

use super::names::LISTENER_UNSERVED;
use super::notice::Notices;
use super::section::{ADDRESS, Section, Source};
use super::stanza::Stanza;
use super::{
    Address, CONNECTIONS_DEFAULT, CONNECTIONS_MAX, IDLE_TIME_DEFAULT, Place, Problem,
    READ_HEADER_TIME_DEFAULT, READ_TIME_DEFAULT, REQUEST_BYTES_DEFAULT, REQUEST_BYTES_MAX,
    REQUEST_DURATION_DEFAULT, Tls, WRITE_TIME_DEFAULT, origin, telemetry, tls, unix, values,
};
use crate::http::ForwardedFor;
use crate::listener::{ProxyProtocol, SocketFile};
use secretum_hcl::{Value, ValueKind};
use std::fmt;
use std::time::Duration;

/// What a listener binds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenAddress {
    /// An address of TCP.
    Tcp(Address),
    /// A Unix socket.
    Unix(SocketFile),
}

impl ListenAddress {
    /// The kind of its stanza.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Tcp(_) => "tcp",
            Self::Unix(_) => "unix",
        }
    }

    /// Whether the system chooses where it is, so that two may be alike.
    pub(crate) fn is_any_port(&self) -> bool {
        matches!(self, Self::Tcp(Address { port: 0, .. }))
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(formatter),
            Self::Unix(file) => file.path.display().fmt(formatter),
        }
    }
}

/// Where clients are listened to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// What is bound. Default: `127.0.0.1:8200`.
    pub address: ListenAddress,
    /// The address that is bound for other nodes. Default: `None`.
    pub cluster_address: Option<Address>,
    /// Its TLS; `None` only if the configuration says that it shall have none.
    pub tls: Option<Tls>,
    /// The most bytes of a request's body, from 1 to [`REQUEST_BYTES_MAX`]. Default:
    /// [`REQUEST_BYTES_DEFAULT`].
    pub max_request_size_bytes: u64,
    /// How long a request may take. Default: [`REQUEST_DURATION_DEFAULT`].
    pub max_request_duration: Duration,
    /// How many connections may be open at once, from 1 to [`CONNECTIONS_MAX`]. Default:
    /// [`CONNECTIONS_DEFAULT`].
    pub max_connections: usize,
    /// How long its clients may take, and how long they may rest.
    pub http_times: HttpTimes,
    /// Whose PROXY headers are believed. Default: `None`; none is read.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Whose X-Forwarded-For is believed. Default: `None`; none is read.
    pub forwarded_for: Option<ForwardedFor>,
    /// Whether metrics are given to who has no token. Default: false.
    pub unauthenticated_metrics: bool,
    /// Where it stands in the configuration.
    pub place: Place,
}

/// How long the clients of a listener may take, and how long they may rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HttpTimes {
    /// For a handshake, the first request, or the head of any. Default:
    /// [`READ_HEADER_TIME_DEFAULT`].
    pub read_header: Duration,
    /// For the body of a request. Default: [`READ_TIME_DEFAULT`].
    pub read: Duration,
    /// For taking nothing of what waits for them. Default: [`WRITE_TIME_DEFAULT`].
    pub write: Duration,
    /// Between two requests. Default: [`IDLE_TIME_DEFAULT`].
    pub idle: Duration,
}

impl Default for HttpTimes {
    fn default() -> Self {
        Self {
            read_header: READ_HEADER_TIME_DEFAULT,
            read: READ_TIME_DEFAULT,
            write: WRITE_TIME_DEFAULT,
            idle: IDLE_TIME_DEFAULT,
        }
    }
}

impl HttpTimes {
    fn take(section: &mut Section<'_, '_>) -> Self {
        let mut of = |key: &'static str, default: Duration| {
            let time = section.duration(key);
            time.map_or(default, |time| time.value)
        };
        Self {
            read_header: of("http_read_header_timeout", READ_HEADER_TIME_DEFAULT),
            read: of("http_read_timeout", READ_TIME_DEFAULT),
            write: of("http_write_timeout", WRITE_TIME_DEFAULT),
            idle: of("http_idle_timeout", IDLE_TIME_DEFAULT),
        }
    }
}

impl Listener {
    /// The defaults, with this address and TLS; `place` is the flag or variable that asks for it.
    pub fn new(address: ListenAddress, tls: Option<Tls>, place: Place) -> Self {
        Self {
            address,
            cluster_address: None,
            tls,
            max_request_size_bytes: REQUEST_BYTES_DEFAULT,
            max_request_duration: REQUEST_DURATION_DEFAULT,
            max_connections: CONNECTIONS_DEFAULT,
            http_times: HttpTimes::default(),
            proxy_protocol: None,
            forwarded_for: None,
            unauthenticated_metrics: false,
            place,
        }
    }
}

const DEFAULT_HOST: &str = "127.0.0.1";
const DEFAULT_PORT: u16 = 8200;
const REQUEST_SIZE: &str = "a number of bytes from 1 to 1073741824";
const CONNECTIONS: &str = "a number of connections from 1 to 1000000";

/// A listener as one file has it.
#[derive(Debug)]
pub(crate) struct ListenerDraft {
    listener: Listener,
    max_request_duration: Option<Duration>,
}

impl ListenerDraft {
    /// Reads a stanza of this file; none if it is faulty or of a kind that is not served, which is
    /// said.
    pub(crate) fn read(
        source: &Source,
        stanza: &Stanza<'_>,
        notices: &mut Notices,
    ) -> Option<Self> {
        match stanza.kind.as_str() {
            "tcp" => Self::take(Section::new(source, stanza.body, notices), &stanza.place),
            "unix" => Self::take_unix(Section::new(source, stanza.body, notices), &stanza.place),
            kind => {
                let (kind, example) = (values::shortened(kind), example(source));
                let problem = Problem::ListenerKind { kind, example };
                notices.push(stanza.place.clone(), problem);
                None
            }
        }
    }

    fn take(mut section: Section<'_, '_>, place: &Place) -> Option<Self> {
        let address = section.take_filled("address", ADDRESS, Address::parse);
        let address_is_faulty = address.is_none() && section.has("address");
        let cluster_address = section.take_filled("cluster_address", ADDRESS, Address::parse);
        let tls = tls::read(&mut section, place);
        let proxy_protocol = origin::proxy_protocol(&mut section);
        let forwarded_for = origin::forwarded_for(&mut section);
        let address = address.map_or_else(default_address, |address| address.value);
        let address = ListenAddress::Tcp(address);
        let draft = Self::take_common(&mut section, Listener::new(address, None, place.clone()));
        section.finish(LISTENER_UNSERVED);
        if address_is_faulty {
            return None;
        }
        Some(Self {
            listener: Listener {
                tls: tls?,
                cluster_address: cluster_address.map(|address| address.value),
                proxy_protocol: proxy_protocol?,
                forwarded_for: forwarded_for?,
                ..draft.listener
            },
            ..draft
        })
    }

    fn take_unix(mut section: Section<'_, '_>, place: &Place) -> Option<Self> {
        let file = unix::read(&mut section, place);
        // There is no TLS; who says so is right.
        section.knows("tls_disable");
        let draft = file.map(|file| {
            let listener = Listener::new(ListenAddress::Unix(file), None, place.clone());
            Self::take_common(&mut section, listener)
        });
        section.finish(&[LISTENER_UNSERVED, origin::KEYS, tls::KEYS].concat());
        draft
    }

    /// What listeners of every kind say.
    fn take_common(section: &mut Section<'_, '_>, listener: Listener) -> Self {
        section.knows("type");
        let size = request_size(section);
        let max_request_duration = section.duration("max_request_duration");
        let connections = section.take("max_connections", CONNECTIONS, connections);
        Self {
            listener: Listener {
                max_connections: connections.map_or(CONNECTIONS_DEFAULT, |number| number.value),
                http_times: HttpTimes::take(section),
                max_request_size_bytes: size.unwrap_or(REQUEST_BYTES_DEFAULT),
                unauthenticated_metrics: telemetry::unauthenticated_metrics(section),
                ..listener
            },
            max_request_duration: max_request_duration.map(|duration| duration.value),
        }
    }

    /// The listener, with what the whole configuration says of listeners.
    pub(crate) fn finish(self, max_request_duration: Option<Duration>) -> Listener {
        Listener {
            max_request_duration: self
                .max_request_duration
                .or(max_request_duration)
                .unwrap_or(REQUEST_DURATION_DEFAULT),
            ..self.listener
        }
    }
}

fn default_address() -> Address {
    Address {
        host: DEFAULT_HOST.to_owned(),
        port: DEFAULT_PORT,
    }
}

/// A number of bytes; 0 is the default, as in Vault, and what is less stands for no limit there.
fn request_size(section: &mut Section<'_, '_>) -> Option<u64> {
    const KEY: &str = "max_request_size";
    let has_no_limit = |value: &Value| match &value.kind {
        ValueKind::Integer(number) => *number < 0,
        ValueKind::String(text) => text.parse().is_ok_and(|number: i64| number < 0),
        _ => false,
    };
    let size = section.take(KEY, REQUEST_SIZE, |value| {
        match values::whole_number(value) {
            Some(0) => Some(Some(REQUEST_BYTES_DEFAULT)),
            Some(size) => (size <= REQUEST_BYTES_MAX).then_some(Some(size)),
            None => has_no_limit(value).then_some(None),
        }
    })?;
    if size.value.is_none() {
        let taken = REQUEST_BYTES_MAX.to_string();
        (section.notices).push(size.place, Problem::TakenAs { key: KEY, taken });
    }
    Some(size.value.unwrap_or(REQUEST_BYTES_MAX))
}

/// A number of connections; 0 is the default.
fn connections(value: &Value) -> Option<usize> {
    match usize::try_from(values::whole_number(value)?).ok()? {
        0 => Some(CONNECTIONS_DEFAULT),
        number => (number <= CONNECTIONS_MAX).then_some(number),
    }
}

/// How a listener is written in this file.
pub(crate) fn example(source: &Source) -> String {
    let address = format!("{DEFAULT_HOST}:{DEFAULT_PORT}");
    source.syntax.stanza("listener", "tcp", "address", &address)
}
