//! [`Supervisor`]: who started this process and wants to know when it is ready.
//!
//! **Source**: sd_notify(3) of systemd: datagrams to the Unix socket that `NOTIFY_SOCKET` names, by its
//! path or, after an `@`, by its name in the abstract namespace (Linux).

use rustix::time::{ClockId, clock_gettime};
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Who started this process, or nobody who wants to know.
#[derive(Debug, Default)]
pub struct Supervisor(Option<(UnixDatagram, SocketAddr)>);

impl Supervisor {
    /// Who started this process, by its variable `NOTIFY_SOCKET`.
    pub fn of_process() -> Self {
        let place = std::env::var_os("NOTIFY_SOCKET");
        Self::at(place.as_deref()).unwrap_or_else(|error| {
            tracing::warn!(%error, "NOTIFY_SOCKET names no socket");
            Self::default()
        })
    }

    /// The one who is reached at this place, where there is one.
    ///
    /// **Errors**: the system's, where that names no socket.
    fn at(place: Option<&OsStr>) -> io::Result<Self> {
        let Some(place) = place.filter(|place| !place.is_empty()) else {
            return Ok(Self::default());
        };
        let address = match place.as_bytes().strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(place)?,
        };
        let socket = UnixDatagram::unbound()?;
        // A supervisor that reads nothing does not keep the server from serving.
        socket.set_nonblocking(true)?;
        Ok(Self(Some((socket, address))))
    }

    /// Requests are served.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// The configuration is being read anew; [`Self::ready`] ends it.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1_000;
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// The process is about to end.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    fn tell(&self, what: &str) {
        if let Some((socket, address)) = &self.0
            && let Err(error) = socket.send_to_addr(what.as_bytes(), address)
        {
            tracing::warn!(%error, "the supervisor could not be told of `{what}`");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 256];
        let count = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    }

    fn hears(place: &OsStr, socket: &UnixDatagram) {
        let supervisor = Supervisor::at(Some(place)).unwrap();
        supervisor.ready();
        assert_eq!(said(socket), "READY=1");
        supervisor.reloading();
        let text = said(socket);
        let micros = text.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(micros.parse::<u64>().unwrap() > 0);
        supervisor.stopping();
        assert_eq!(said(socket), "STOPPING=1");
    }

    #[test]
    fn a_supervisor_hears_by_path_and_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        hears(path.as_os_str(), &UnixDatagram::bind(&path).unwrap());
        let name = format!("secretum-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        hears(OsStr::new(&format!("@{name}")), &socket);
    }

    #[test]
    fn nobody_and_who_is_gone_are_no_faults() {
        Supervisor::at(None).unwrap().ready();
        Supervisor::at(Some(OsStr::new(""))).unwrap().ready();
        Supervisor::at(Some(OsStr::new("/nowhere/at/all")))
            .unwrap()
            .ready();
        assert!(Supervisor::at(Some(OsStr::new(&"x".repeat(200)))).is_err());
    }
}
