//! The system engines: `sys`, `auth/token` and `cubbyhole`, written on the framework like every other.
//!
//! They get more than others do: [`System`], with the vault's tables and the caller's identity.

/// Implements a handler of `Sys` in one line.
macro_rules! handler {
    ($request:ty, $data:ty, $ask:ident, $context:ident => $body:expr) => {
        impl Handle<$request> for Sys {
            type Data = $data;
            type Error = Fault;

            async fn handle(
                &self,
                $ask: $request,
                $context: &Context,
            ) -> Result<Reply<$data>, Fault> {
                $body
            }
        }
    };
}

mod activity;
mod audit;
mod capabilities;
mod cedar_policies;
mod ceremonies;
mod cluster;
pub(crate) mod cubbyhole;
mod internal;
mod keys;
mod leases;
mod lifecycle;
mod locked_users;
mod metrics;
mod mounts;
pub(crate) mod node;
mod policies;
mod policy_check;
mod quotas;
mod raw;
mod request_headers;
mod settings;
mod token;
mod tools;
pub(crate) mod wrapping;

use crate::active::Active;
use crate::identity::Identity;
use crate::{Core, CoreError, OpenCeremonies, Request};
use secretum_crypto::SecretString;
use secretum_engine::{
    Access, Context, Engine, Fault, MountStorage, Mounted, MountedEngine, Recorded, RouteTable,
    Routes, Shape, Verb,
};
use secretum_storage::{Key, Storage};
use std::sync::{Arc, Weak};

/// The kind of the `sys` mount.
pub(crate) const KIND: &str = "system";

/// Where it is told which headers are recorded.
const REQUEST_HEADERS: &str = "config/auditing/request-headers";
const REQUEST_HEADER: &str = "config/auditing/request-headers/{header}";

/// What the system engines get beyond what every engine gets.
#[derive(Debug)]
pub(crate) struct System {
    pub(crate) active: Arc<Active>,
    /// The caller; `None` on public routes without a valid token.
    pub(crate) identity: Option<Identity>,
    /// The token as the caller sent it.
    pub(crate) token: Option<SecretString>,
}

impl System {
    fn of(context: &Context) -> Result<Arc<Self>, Fault> {
        let system = context
            .system
            .clone()
            .and_then(|system| system.downcast::<Self>().ok());
        system.ok_or_else(|| Fault::Internal("a system route was called from outside".to_owned()))
    }

    fn identity(&self) -> Result<&Identity, Fault> {
        self.identity.as_ref().ok_or(Fault::Denied)
    }
}

/// The engine of `sys`.
#[derive(Debug)]
pub(crate) struct Sys {
    core: Weak<Core>,
}

impl Sys {
    fn core(&self) -> Result<Arc<Core>, Fault> {
        self.core.upgrade().ok_or(Fault::Sealed)
    }
}

impl Engine for Sys {
    const KIND: &'static str = KIND;
    const ABOUT: &'static str = "System endpoints used for control, policy and debugging";

    fn routes() -> Routes<Self> {
        let routes = lifecycle_rows(Routes::new());
        let routes = mount_rows(routes);
        let routes = node_rows(quota_rows(lease_rows(policy_rows(routes))));
        audit_rows(routes)
            .on::<wrapping::Wrap>(Verb::Write, "wrapping/wrap", Access::Token)
            .whole_body("data")
            .on::<wrapping::Unwrap>(Verb::Write, "wrapping/unwrap", Access::Token)
            // Who holds the token may open the answer: that there is one is no secret to them.
            .on::<wrapping::LookupWrapped>(Verb::Write, "wrapping/lookup", Access::Public)
            .on::<wrapping::LookupWrapped>(Verb::Read, "wrapping/lookup", Access::Token)
            .on::<wrapping::Rewrap>(Verb::Write, "wrapping/rewrap", Access::Token)
            .on::<tools::Random>(Verb::Write, "tools/random", Access::Token)
            .on::<tools::Random>(Verb::Write, "tools/random/{first}", Access::Token)
            .on::<tools::Random>(
                Verb::Write,
                "tools/random/{first}/{urlbytes}",
                Access::Token,
            )
            .on::<tools::Hash>(Verb::Write, "tools/hash", Access::Token)
            .on::<tools::Hash>(Verb::Write, "tools/hash/{urlalgorithm}", Access::Token)
            .on::<keys::Seal>(Verb::Write, "seal", Access::Sudo)
            .on::<keys::ReadKeyStatus>(Verb::Read, "key-status", Access::Token)
            .shape(Shape::Lifted)
            .on::<keys::Rotate>(Verb::Write, "rotate", Access::Sudo)
            .on::<keys::Rotate>(Verb::Write, "rotate/keyring", Access::Sudo)
            .on::<keys::ReadRotation>(Verb::Read, "rotate/config", Access::Token)
            .on::<keys::WriteRotation>(Verb::Write, "rotate/config", Access::Token)
            .on::<internal::ReadOpenApi>(Verb::Read, "internal/specs/openapi", Access::Public)
            .shape(Shape::Bare)
            .recorded(Recorded::Digest)
            .on::<metrics::ReadMetrics>(Verb::Read, "metrics", Access::Token)
            .shape(Shape::Plain)
            .recorded(Recorded::Digest)
            .on::<internal::ReadResultantAcl>(
                Verb::Read,
                "internal/ui/resultant-acl",
                Access::Token,
            )
            .on::<internal::ListUiMounts>(Verb::Read, "internal/ui/mounts", Access::Public)
            .on::<internal::ReadUiMount>(Verb::Read, "internal/ui/mounts/{path+}", Access::Public)
    }
}

fn lifecycle_rows(routes: Routes<Sys>) -> Routes<Sys> {
    routes
        .on::<lifecycle::ReadInit>(Verb::Read, "init", Access::Public)
        .shape(Shape::Bare)
        .on::<lifecycle::Initialize>(Verb::Write, "init", Access::Public)
        .shape(Shape::Bare)
        .on::<lifecycle::Unseal>(Verb::Write, "unseal", Access::Public)
        .shape(Shape::Bare)
        .on::<lifecycle::ReadSealStatus>(Verb::Read, "seal-status", Access::Public)
        .shape(Shape::Bare)
        .on::<lifecycle::ReadHealth>(Verb::Read, "health", Access::Public)
        .shape(Shape::Bare)
        .on::<lifecycle::ReadLeader>(Verb::Read, "leader", Access::Public)
        .shape(Shape::Bare)
        .on::<cluster::StepDown>(Verb::Write, "step-down", Access::Sudo)
        .on::<cluster::ReadHaStatus>(Verb::Read, "ha-status", Access::Token)
        .shape(Shape::Lifted)
}

fn mount_rows(routes: Routes<Sys>) -> Routes<Sys> {
    routes
        .on::<mounts::ListMounts>(Verb::Read, "mounts", Access::Token)
        .shape(Shape::Lifted)
        .on::<mounts::ReadMount>(Verb::Read, "mounts/{path+}", Access::Token)
        .shape(Shape::Lifted)
        .on::<mounts::EnableMount>(Verb::Write, "mounts/{path+}", Access::Token)
        .on::<mounts::DisableMount>(Verb::Delete, "mounts/{path+}", Access::Token)
        .on::<mounts::ReadMountTune>(Verb::Read, "mounts/{path+}/tune", Access::Token)
        .shape(Shape::Lifted)
        .on::<mounts::TuneMount>(Verb::Write, "mounts/{path+}/tune", Access::Token)
        .whole_body("settings")
        .on::<mounts::ListAuth>(Verb::Read, "auth", Access::Token)
        .shape(Shape::Lifted)
        .on::<mounts::ReadAuth>(Verb::Read, "auth/{path+}", Access::Sudo)
        .shape(Shape::Lifted)
        .on::<mounts::EnableAuth>(Verb::Write, "auth/{path+}", Access::Sudo)
        .on::<mounts::DisableAuth>(Verb::Delete, "auth/{path+}", Access::Sudo)
        .on::<mounts::ReadAuthTune>(Verb::Read, "auth/{path+}/tune", Access::Sudo)
        .shape(Shape::Lifted)
        .on::<mounts::TuneAuth>(Verb::Write, "auth/{path+}/tune", Access::Sudo)
        .whole_body("settings")
        .on::<mounts::Remount>(Verb::Write, "remount", Access::Sudo)
        .shape(Shape::Lifted)
        .on::<mounts::ReadRemount>(Verb::Read, "remount/status/{migration_id}", Access::Token)
}

fn policy_rows(routes: Routes<Sys>) -> Routes<Sys> {
    routes
        .on::<policies::ListLegacy>(Verb::Read, "policy", Access::Token)
        .shape(Shape::Lifted)
        .on::<policies::ListLegacy>(Verb::List, "policy", Access::Token)
        .shape(Shape::Lifted)
        .on::<policies::ReadLegacy>(Verb::Read, "policy/{name+}", Access::Token)
        .shape(Shape::Lifted)
        .on::<policies::WritePolicy>(Verb::Write, "policy/{name+}", Access::Token)
        .on::<policies::DeletePolicy>(Verb::Delete, "policy/{name+}", Access::Token)
        .on::<policies::ListPolicies>(Verb::List, "policies/acl", Access::Token)
        .shape(Shape::Lifted)
        .on::<policies::ReadPolicy>(Verb::Read, "policies/acl/{name+}", Access::Token)
        .shape(Shape::Lifted)
        .on::<policies::WritePolicy>(Verb::Write, "policies/acl/{name+}", Access::Token)
        .on::<policies::DeletePolicy>(Verb::Delete, "policies/acl/{name+}", Access::Token)
        .on::<cedar_policies::ListCedar>(Verb::List, "policies/cedar", Access::Token)
        .shape(Shape::Lifted)
        .on::<cedar_policies::ReadCedar>(Verb::Read, "policies/cedar/{name+}", Access::Token)
        .shape(Shape::Lifted)
        .on::<cedar_policies::WriteCedar>(Verb::Write, "policies/cedar/{name+}", Access::Token)
        .on::<cedar_policies::DeleteCedar>(Verb::Delete, "policies/cedar/{name+}", Access::Token)
        .on::<policy_check::CheckPolicies>(Verb::Write, "policies/check", Access::Sudo)
        .on::<capabilities::OfToken>(Verb::Write, "capabilities", Access::Token)
        .shape(Shape::Lifted)
        .on::<capabilities::OfSelf>(Verb::Write, "capabilities-self", Access::Token)
        .shape(Shape::Lifted)
        .on::<capabilities::OfAccessor>(Verb::Write, "capabilities-accessor", Access::Token)
        .shape(Shape::Lifted)
}

fn lease_rows(routes: Routes<Sys>) -> Routes<Sys> {
    let routes = routes
        .on::<leases::Lookup>(Verb::Write, "leases/lookup", Access::Token)
        .on::<leases::ListLeases>(Verb::List, "leases/lookup", Access::Sudo)
        .on::<leases::ListLeases>(Verb::List, "leases/lookup/{prefix+}", Access::Sudo)
        .on::<leases::Count>(Verb::Read, "leases/count", Access::Token)
        .on::<leases::ListIrrevocable>(Verb::Read, "leases", Access::Sudo)
        .on::<leases::Tidy>(Verb::Write, "leases/tidy", Access::Token);
    // Each stands under its older path, too.
    routes
        .on::<leases::Renew>(Verb::Write, "leases/renew", Access::Token)
        .on::<leases::Renew>(Verb::Write, "leases/renew/{url_lease_id+}", Access::Token)
        .on::<leases::Renew>(Verb::Write, "renew", Access::Token)
        .on::<leases::Renew>(Verb::Write, "renew/{url_lease_id+}", Access::Token)
        .on::<leases::Revoke>(Verb::Write, "leases/revoke", Access::Token)
        .on::<leases::Revoke>(Verb::Write, "leases/revoke/{url_lease_id+}", Access::Token)
        .on::<leases::Revoke>(Verb::Write, "revoke", Access::Token)
        .on::<leases::Revoke>(Verb::Write, "revoke/{url_lease_id+}", Access::Token)
        .on::<leases::RevokePrefix>(Verb::Write, "leases/revoke-prefix/{prefix+}", Access::Sudo)
        .on::<leases::RevokePrefix>(Verb::Write, "revoke-prefix/{prefix+}", Access::Sudo)
        .on::<leases::RevokeForce>(Verb::Write, "leases/revoke-force/{prefix+}", Access::Sudo)
        .on::<leases::RevokeForce>(Verb::Write, "revoke-force/{prefix+}", Access::Sudo)
}

fn quota_rows(routes: Routes<Sys>) -> Routes<Sys> {
    routes
        .on::<quotas::ReadConfig>(Verb::Read, "quotas/config", Access::Token)
        .on::<quotas::WriteConfig>(Verb::Write, "quotas/config", Access::Token)
        .on::<quotas::ListRates>(Verb::List, "quotas/rate-limit", Access::Token)
        .on::<quotas::ReadRate>(Verb::Read, "quotas/rate-limit/{name}", Access::Token)
        .on::<quotas::WriteRate>(Verb::Write, "quotas/rate-limit/{name}", Access::Token)
        .on::<quotas::DeleteRate>(Verb::Delete, "quotas/rate-limit/{name}", Access::Token)
        .on::<quotas::ListCounts>(Verb::List, "quotas/lease-count", Access::Token)
        .on::<quotas::ReadCount>(Verb::Read, "quotas/lease-count/{name}", Access::Token)
        .on::<quotas::WriteCount>(Verb::Write, "quotas/lease-count/{name}", Access::Token)
        .on::<quotas::DeleteCount>(Verb::Delete, "quotas/lease-count/{name}", Access::Token)
}

fn node_rows(routes: Routes<Sys>) -> Routes<Sys> {
    routes
        .on::<settings::ReadCors>(Verb::Read, "config/cors", Access::Sudo)
        .shape(Shape::Lifted)
        .on::<settings::WriteCors>(Verb::Write, "config/cors", Access::Sudo)
        .on::<settings::DeleteCors>(Verb::Delete, "config/cors", Access::Sudo)
        .on::<settings::ListUiHeaders>(Verb::List, "config/ui/headers", Access::Sudo)
        .on::<settings::ReadUiHeader>(Verb::Read, "config/ui/headers/{header}", Access::Sudo)
        .on::<settings::WriteUiHeader>(Verb::Write, "config/ui/headers/{header}", Access::Sudo)
        .on::<settings::DeleteUiHeader>(Verb::Delete, "config/ui/headers/{header}", Access::Sudo)
        .on::<settings::ReadConfiguration>(Verb::Read, "config/state/sanitized", Access::Token)
        .on::<settings::ReloadConfiguration>(Verb::Write, "config/reload/{subsystem}", Access::Sudo)
        .on::<node::ReadInFlight>(Verb::Read, "in-flight-req", Access::Token)
        .shape(Shape::Bare)
        .on::<node::CountRequests>(Verb::Read, "internal/counters/requests", Access::Token)
        .on::<node::CountTokens>(Verb::Read, "internal/counters/tokens", Access::Token)
        .on::<node::CountEntities>(Verb::Read, "internal/counters/entities", Access::Token)
        .on::<activity::ReadActivity>(Verb::Read, "internal/counters/activity", Access::Token)
        .on::<activity::ReadMonth>(
            Verb::Read,
            "internal/counters/activity/monthly",
            Access::Token,
        )
        .on::<activity::ReadSettings>(Verb::Read, "internal/counters/config", Access::Token)
        .on::<activity::WriteSettings>(Verb::Write, "internal/counters/config", Access::Token)
        .on::<node::ReadLoggers>(Verb::Read, "loggers", Access::Token)
        .on::<node::WriteLoggers>(Verb::Write, "loggers", Access::Token)
        .on::<node::ResetLoggers>(Verb::Delete, "loggers", Access::Token)
        .on::<node::ReadLogger>(Verb::Read, "loggers/{name}", Access::Token)
        .on::<node::WriteLogger>(Verb::Write, "loggers/{name}", Access::Token)
        .on::<node::ResetLogger>(Verb::Delete, "loggers/{name}", Access::Token)
        .on::<locked_users::ReadLocked>(Verb::Read, "locked-users", Access::Token)
        .on::<locked_users::Unlock>(
            Verb::Write,
            "locked-users/{mount_accessor}/unlock/{alias_identifier}",
            Access::Token,
        )
        .on::<node::ReadHost>(Verb::Read, "host-info", Access::Token)
        .on::<node::ListVersions>(Verb::List, "version-history", Access::Token)
        .on::<raw::ReadRaw>(Verb::Read, "raw/{path+}", Access::Sudo)
        .on::<raw::WriteRaw>(Verb::Write, "raw/{path+}", Access::Sudo)
        .on::<raw::DeleteRaw>(Verb::Delete, "raw/{path+}", Access::Sudo)
        .on::<raw::ListRaw>(Verb::List, "raw", Access::Sudo)
        .on::<raw::ListRaw>(Verb::List, "raw/{path+}", Access::Sudo)
}

fn audit_rows(routes: Routes<Sys>) -> Routes<Sys> {
    routes
        .on::<audit::ListDevices>(Verb::Read, "audit", Access::Sudo)
        .shape(Shape::Lifted)
        .on::<audit::EnableDevice>(Verb::Write, "audit/{path+}", Access::Sudo)
        .on::<audit::DisableDevice>(Verb::Delete, "audit/{path+}", Access::Sudo)
        .on::<audit::Hash>(Verb::Write, "audit-hash/{path+}", Access::Token)
        .shape(Shape::Lifted)
        .on::<audit::ReadKey>(Verb::Read, "audit-key/{path+}", Access::Token)
        .on::<request_headers::ListHeaders>(Verb::Read, REQUEST_HEADERS, Access::Sudo)
        .shape(Shape::Lifted)
        .on::<request_headers::ReadHeader>(Verb::Read, REQUEST_HEADER, Access::Sudo)
        .shape(Shape::Lifted)
        .on::<request_headers::WriteHeader>(Verb::Write, REQUEST_HEADER, Access::Sudo)
        .on::<request_headers::DeleteHeader>(Verb::Delete, REQUEST_HEADER, Access::Sudo)
}

/// The rows of `sys`, prepared.
pub(crate) fn table(open: OpenCeremonies) -> Result<Arc<RouteTable<Sys>>, CoreError> {
    let routes = ceremonies::rows(Sys::routes(), open);
    Ok(Arc::new(RouteTable::new(routes)?))
}

/// The engine of `sys`, for a core.
pub(crate) fn engine(core: Weak<Core>, table: Arc<RouteTable<Sys>>) -> Arc<dyn Mounted> {
    Arc::new(MountedEngine::new(Sys { core }, table))
}

/// The engine of `auth/token`.
pub(crate) fn token_engine() -> Result<Arc<dyn Mounted>, CoreError> {
    let table = Arc::new(RouteTable::new(token::TokenEngine::routes())?);
    Ok(Arc::new(MountedEngine::new(token::TokenEngine, table)))
}

/// The engine of `cubbyhole`, over the whole of the barrier's storage.
pub(crate) fn cubbyhole_engine(storage: Arc<dyn Storage>) -> Result<Arc<dyn Mounted>, CoreError> {
    let store = MountStorage::new(storage, Key::try_from(cubbyhole::PREFIX)?);
    let table = Arc::new(RouteTable::new(cubbyhole::Cubbyhole::routes())?);
    Ok(Arc::new(MountedEngine::new(
        cubbyhole::Cubbyhole { store },
        table,
    )))
}

/// Whether a request is one of those that a sealed vault answers, or asks what these do.
pub(crate) fn answers_while_sealed(request: &Request) -> bool {
    let paths = [
        "sys/init",
        "sys/unseal",
        "sys/seal-status",
        "sys/health",
        "sys/leader",
    ];
    paths.contains(&request.path.as_str())
}

/// Verb, path and access of every row of the engines that every vault has.
///
/// **Errors**: [`CoreError::Routes`] where the rows of one are no table.
pub fn system_rows() -> Result<Vec<(Verb, String, Access)>, CoreError> {
    fn of<E: Engine>(
        mount: &'static str,
        table: &RouteTable<E>,
    ) -> impl Iterator<Item = (Verb, String, Access)> {
        let rows = table.rows().iter();
        rows.map(move |row| (row.verb, format!("{mount}{}", row.pattern), row.access))
    }
    let sys = table(OpenCeremonies::default())?;
    let token = RouteTable::new(token::TokenEngine::routes())?;
    let cubbyhole = RouteTable::new(cubbyhole::Cubbyhole::routes())?;
    let rows = of("sys/", &*sys).chain(of("auth/token/", &token));
    Ok(rows.chain(of("cubbyhole/", &cubbyhole)).collect())
}
