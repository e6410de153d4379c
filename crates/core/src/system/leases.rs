//! `sys/leases`: looking up, renewing and ending what was handed out for a time.

use super::{Sys, System};
use crate::active::Active;
use crate::leases::{Force, How, LeaseRecord, Leases, Place, Stored};
use crate::mounts::Mount;
use crate::tokens::TokenRecord;
use schemars::JsonSchema;
use secretum_api::fields::Seconds;
use secretum_crypto::Timestamp;
use secretum_engine::{Context, Fault, Handle, ListPage, Listing, Reply, ReplyLease, listing};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many leases a list of irrevocable ones shows that does not ask for a number.
const IRREVOCABLE_SHOWN: usize = 10_000;

/// Looks up a lease.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Lookup {
    /// Id of the lease.
    #[serde(default)]
    lease_id: String,
}

/// Lists leases and folders of leases below a prefix.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ListLeases {
    /// What the ids begin with; all where it is missing.
    #[serde(default)]
    prefix: String,
    /// The name behind which a page begins.
    #[serde(default)]
    after: Option<String>,
    /// How many names a page has.
    #[serde(default)]
    limit: Option<i64>,
}

/// Gives a lease a longer life.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Renew {
    /// Id of the lease.
    #[serde(default)]
    lease_id: String,
    /// Id of the lease, in the path.
    #[serde(default)]
    url_lease_id: String,
    /// The life wanted.
    #[serde(default)]
    increment: Seconds,
}

/// Ends a lease.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Revoke {
    /// Id of the lease.
    #[serde(default)]
    lease_id: String,
    /// Id of the lease, in the path.
    #[serde(default)]
    url_lease_id: String,
    /// Whether the answer waits until it has ended.
    #[serde(default = "yes")]
    sync: bool,
}

/// Ends all leases below a prefix.
#[derive(Deserialize, JsonSchema)]
pub(super) struct RevokePrefix {
    /// What the ids begin with, up to a slash.
    prefix: String,
    /// Whether the answer waits until they have ended.
    #[serde(default = "yes")]
    sync: bool,
}

/// Ends all leases below a prefix, and gives up those that cannot be ended: what they stand for may go
/// on.
#[derive(Deserialize, JsonSchema)]
pub(super) struct RevokeForce {
    /// What the ids begin with, up to a slash.
    prefix: String,
}

/// Counts leases.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Count {
    /// `irrevocable` for those that could not be ended; all where it is missing.
    #[serde(rename = "type", default)]
    kind: String,
    /// Accepted for compatibility.
    #[serde(default)]
    #[expect(dead_code, reason = "clients send it, and it says nothing here")]
    include_child_namespaces: bool,
}

/// Lists leases that could not be ended and are not tried again.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ListIrrevocable {
    /// `irrevocable`.
    #[serde(rename = "type", default)]
    kind: String,
    /// How many; `none` for all.
    #[serde(default)]
    limit: String,
    /// Accepted for compatibility.
    #[serde(default)]
    #[expect(dead_code, reason = "clients send it, and it says nothing here")]
    include_child_namespaces: bool,
}

/// Mends what leads to leases; goes on behind the answer.
#[derive(Deserialize, JsonSchema)]
pub(super) struct Tidy {}

/// What is known of a lease.
#[derive(Serialize, JsonSchema)]
pub(super) struct LeaseFacts {
    /// Its id.
    id: String,
    /// When it was issued.
    issue_time: String,
    /// When it ends.
    expire_time: Option<String>,
    /// When it was renewed last.
    last_renewal: Option<String>,
    /// Whether it can be renewed.
    renewable: bool,
    /// Seconds of life left.
    ttl: u64,
    /// Why it could not be ended.
    #[serde(skip_serializing_if = "String::is_empty")]
    revoke_error: String,
}

/// How many leases there are.
#[derive(Serialize, JsonSchema)]
pub(super) struct Counts {
    /// All together.
    lease_count: u64,
    /// By the accessor of their mount.
    counts: BTreeMap<String, u64>,
}

/// Leases that could not be ended.
#[derive(Serialize, JsonSchema)]
pub(super) struct Irrevocable {
    /// How many are listed.
    lease_count: usize,
    /// Each.
    leases: Vec<IrrevocableLease>,
}

/// A lease that could not be ended.
#[derive(Serialize, JsonSchema)]
struct IrrevocableLease {
    /// Its id.
    lease_id: String,
    /// The accessor of its mount.
    mount_id: String,
    /// Why not.
    error: String,
}

fn yes() -> bool {
    true
}

fn rfc3339(seconds: i64) -> String {
    Timestamp::from_unix_seconds(seconds).to_rfc3339()
}

/// The id of a lease, from wherever it stands in the request.
fn wanted(in_body: String, in_path: String) -> Result<String, Fault> {
    match (in_body.is_empty(), in_path.is_empty()) {
        (false, _) => Ok(in_body),
        (true, false) => Ok(in_path),
        (true, true) => Err(Fault::invalid("lease_id must be specified")),
    }
}

impl LeaseFacts {
    fn of_secret(id: String, record: &LeaseRecord, now: Timestamp) -> Self {
        Self {
            id,
            issue_time: rfc3339(record.issued),
            expire_time: Some(rfc3339(record.expires)),
            last_renewal: record.last_renewal.map(rfc3339),
            renewable: record.renewable && !record.is_over(now),
            ttl: record.ttl_left(now),
            revoke_error: record.failure.clone(),
        }
    }

    fn of_token(id: String, record: &TokenRecord, now: Timestamp) -> Self {
        Self {
            id,
            issue_time: rfc3339(record.created),
            expire_time: record.expires.map(rfc3339),
            last_renewal: record.last_renewal.map(rfc3339),
            renewable: record.renewable,
            ttl: record.ttl_left(now),
            revoke_error: String::new(),
        }
    }
}

impl Handle<Lookup> for Sys {
    type Data = LeaseFacts;
    type Error = Fault;

    async fn handle(&self, request: Lookup, context: &Context) -> Result<Reply<LeaseFacts>, Fault> {
        let active = &System::of(context)?.active;
        let id = wanted(request.lease_id, String::new())?;
        let now = context.clock.now();
        let invalid = || Fault::invalid("invalid lease");
        let place = Leases::place(active, &id).ok_or_else(invalid)?;
        let (stored, _) = active.leases.read(&place).await?.ok_or_else(invalid)?;
        Ok(Reply::data(match stored {
            Stored::Secret(record) => LeaseFacts::of_secret(id, &record, now),
            Stored::Token => {
                let token = active.tokens.get(place.split().1).await?;
                LeaseFacts::of_token(id, &token.ok_or_else(invalid)?.record, now)
            }
        }))
    }
}

/// What a prefix of ids names.
enum Below {
    /// Folders of mounts.
    Mounts(Vec<Arc<Mount>>),
    /// A folder of a mount.
    Inside(Arc<Mount>, String),
}

impl Below {
    /// What stands below a prefix, which is empty or ends with a slash.
    fn of(active: &Active, prefix: &str) -> Self {
        match active.mounts.find(prefix) {
            Some((mount, path)) if !path.is_empty() => {
                let path = path.to_owned();
                Self::Inside(mount, path)
            }
            _ => Self::Mounts(active.mounts.below(prefix)),
        }
    }
}

/// A prefix with its slash; empty for all.
fn folder(prefix: &str) -> String {
    match prefix.trim_end_matches('/') {
        "" => String::new(),
        prefix => format!("{prefix}/"),
    }
}

impl Handle<ListLeases> for Sys {
    type Data = Listing;
    type Error = Fault;

    async fn handle(
        &self,
        request: ListLeases,
        context: &Context,
    ) -> Result<Reply<Listing>, Fault> {
        let active = &System::of(context)?.active;
        let prefix = folder(&request.prefix);
        let page = ListPage::of(request.after, request.limit);
        let children =
            async |mount: &Mount, folder: &str| active.leases.children(mount, folder, &page).await;
        match Below::of(active, &prefix) {
            Below::Inside(mount, folder) => listing(children(&mount, &folder).await?),
            Below::Mounts(mounts) => match mounts.as_slice() {
                [mount] if *mount.path == *prefix => listing(children(mount, "").await?),
                _ => listing(folders_of(active, &mounts, &prefix).await?),
            },
        }
    }
}

/// The next component of the paths of mounts that have leases.
async fn folders_of(
    active: &Active,
    mounts: &[Arc<Mount>],
    prefix: &str,
) -> Result<Vec<String>, Fault> {
    let mut folders: Vec<String> = Vec::new();
    for mount in mounts {
        let rest = mount.path.strip_prefix(prefix).unwrap_or_default();
        let Some(name) = rest.split_inclusive('/').next() else {
            continue;
        };
        if folders.last().is_none_or(|last| last != name) && active.leases.any(mount).await? {
            folders.push(name.to_owned());
        }
    }
    Ok(folders)
}

impl Handle<Renew> for Sys {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: Renew, context: &Context) -> Result<Reply<()>, Fault> {
        let active = &System::of(context)?.active;
        let id = wanted(request.lease_id, request.url_lease_id)?;
        let renewal = active
            .leases
            .renew(active, &id, request.increment.0)
            .await?;
        let reply = Reply::wrote(renewal.writes).under(ReplyLease::Granted(renewal.grant));
        Ok(renewal.warning.into_iter().fold(reply, Reply::warn))
    }
}

impl Handle<Revoke> for Sys {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: Revoke, context: &Context) -> Result<Reply<()>, Fault> {
        let active = &System::of(context)?.active;
        let id = wanted(request.lease_id, request.url_lease_id)?;
        // One that is not there has ended already.
        let Some(place) = Leases::place(active, &id) else {
            return Ok(Reply::empty());
        };
        if request.sync {
            active.leases.revoke(active, &place, Force::No).await?;
            return Ok(Reply::empty());
        }
        active.leases.end_soon(active, &place).await?;
        Ok(Reply::empty().accepted())
    }
}

async fn revoke_prefix(active: &Active, prefix: &str, how: How) -> Result<(), Fault> {
    let prefix = folder(prefix);
    if prefix.is_empty() {
        return Err(Fault::invalid("the prefix is missing"));
    }
    let revoke = async |mount: &Mount, folder: &str| {
        let all = Place::folder(&mount.record.uuid, folder)?;
        active.leases.revoke_below(active, all, how).await
    };
    match Below::of(active, &prefix) {
        Below::Inside(mount, folder) => drop(revoke(&mount, &folder).await?),
        Below::Mounts(mounts) => {
            let mut failed = None;
            // One that cannot be ended keeps none of another mount.
            for mount in mounts {
                if let Err(fault) = revoke(&mount, "").await {
                    failed.get_or_insert(fault);
                }
            }
            return failed.map_or(Ok(()), Err);
        }
    }
    Ok(())
}

impl Handle<RevokePrefix> for Sys {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: RevokePrefix, context: &Context) -> Result<Reply<()>, Fault> {
        let active = &System::of(context)?.active;
        if request.sync {
            revoke_prefix(active, &request.prefix, How::Now(Force::No)).await?;
            return Ok(Reply::empty());
        }
        revoke_prefix(active, &request.prefix, How::Soon).await?;
        Ok(Reply::empty().accepted())
    }
}

impl Handle<RevokeForce> for Sys {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, request: RevokeForce, context: &Context) -> Result<Reply<()>, Fault> {
        let active = &System::of(context)?.active;
        revoke_prefix(active, &request.prefix, How::Now(Force::Yes)).await?;
        Ok(Reply::empty())
    }
}

/// Whether irrevocable leases are meant; all, where no type is named.
fn is_irrevocable(kind: &str) -> Result<bool, Fault> {
    match kind.to_lowercase().as_str() {
        "irrevocable" => Ok(true),
        "" => Ok(false),
        _ => Err(Fault::invalid(
            "the type of the leases is `irrevocable`, or missing",
        )),
    }
}

impl Handle<Count> for Sys {
    type Data = Counts;
    type Error = Fault;

    async fn handle(&self, request: Count, context: &Context) -> Result<Reply<Counts>, Fault> {
        let active = &System::of(context)?.active;
        let irrevocable = is_irrevocable(&request.kind)?;
        let tally = active.leases.count(active, irrevocable).await?;
        Ok(Reply::data(Counts {
            lease_count: tally.all,
            counts: tally.by_mount,
        }))
    }
}

impl Handle<ListIrrevocable> for Sys {
    type Data = Irrevocable;
    type Error = Fault;

    async fn handle(
        &self,
        request: ListIrrevocable,
        context: &Context,
    ) -> Result<Reply<Irrevocable>, Fault> {
        let active = &System::of(context)?.active;
        if !is_irrevocable(&request.kind)? {
            return Err(Fault::invalid(
                "`type=irrevocable` is missing: list other leases with LIST at \
                 sys/leases/lookup/<prefix>",
            ));
        }
        let most = match request.limit.as_str() {
            "" => IRREVOCABLE_SHOWN,
            "none" => usize::MAX,
            limit => (limit.parse().ok().filter(|limit| *limit > 0))
                .ok_or_else(|| Fault::invalid("limit must be 'none' or a positive integer"))?,
        };
        let (found, is_more) = active.leases.irrevocable(most).await?;
        let leases: Vec<_> = (found.into_iter())
            .map(|(place, record)| irrevocable(active, &place, record))
            .collect();
        let reply = Reply::data(Irrevocable {
            lease_count: leases.len(),
            leases,
        });
        Ok(if is_more {
            reply.warn("there are more irrevocable leases: ask for a higher `limit`, or for `none`")
        } else {
            reply
        })
    }
}

fn irrevocable(active: &Active, place: &Place, record: LeaseRecord) -> IrrevocableLease {
    let mount = active.mounts.of(&place.mount);
    let of_mount = |fact: fn(&Mount) -> &str| mount.as_deref().map_or("", fact).to_owned();
    IrrevocableLease {
        lease_id: of_mount(|mount| &mount.path) + &place.path,
        mount_id: of_mount(|mount| &mount.record.accessor),
        error: record.failure,
    }
}

impl Handle<Tidy> for Sys {
    type Data = ();
    type Error = Fault;

    async fn handle(&self, _: Tidy, context: &Context) -> Result<Reply<()>, Fault> {
        let active = Arc::clone(&System::of(context)?.active);
        let own = Arc::clone(&active);
        let round = async move { own.leases.tidy(&own).await };
        Ok(active.leases.tidying.begin_behind(&active, round))
    }
}
