//! The `listener "unix"` stanza, as far as it differs from `tcp`.

use super::section::{PATH, Section};
use super::{Place, Placed, Problem, values};
use crate::listener::SocketFile;
use nix::unistd::{Group, User};
use secretum_hcl::Value;
use std::path::PathBuf;

const MODE: &str = "permissions in octal digits, such as `\"660\"`";
const USER: &str = "a user of this system, by name or number";
const GROUP: &str = "a group of this system, by name or number";

/// The permissions that a mode can have.
const MODE_MAX: u32 = 0o7777;

/// The socket of the stanza at this place; none if it is faulty, which is said.
pub(crate) fn read(section: &mut Section<'_, '_>, place: &Place) -> Option<SocketFile> {
    let path: Option<Placed<PathBuf>> = section.take("address", PATH, values::path);
    let mode = section.take("socket_mode", MODE, mode);
    let user = section.take("socket_user", USER, user);
    let group = section.take("socket_group", GROUP, group);
    let said = ["address", "socket_mode", "socket_user", "socket_group"];
    let is_whole = [
        path.is_some(),
        mode.is_some(),
        user.is_some(),
        group.is_some(),
    ]
    .iter()
    .zip(said)
    .all(|(read, key)| *read || !section.has(key));
    if path.is_none() && !section.has("address") {
        let problem = Problem::NoSocketPath;
        section.notices.push(place.clone(), problem);
    }
    Some(SocketFile {
        path: path.filter(|_| is_whole)?.value,
        mode: mode.map(|mode| mode.value),
        user: user.map(|user| user.value),
        group: group.map(|group| group.value),
    })
}

/// Octal digits; a number is read by its digits too, as its writer meant them.
fn mode(value: &Value) -> Option<u32> {
    let digits = values::name(value)?;
    let mode = u32::from_str_radix(&digits, 8).ok()?;
    (mode <= MODE_MAX).then_some(mode)
}

fn user(value: &Value) -> Option<u32> {
    let name = values::name(value)?;
    let found = || Some(User::from_name(&name).ok()??.uid.as_raw());
    name.parse().ok().or_else(found)
}

fn group(value: &Value) -> Option<u32> {
    let name = values::name(value)?;
    let found = || Some(Group::from_name(&name).ok()??.gid.as_raw());
    name.parse().ok().or_else(found)
}
