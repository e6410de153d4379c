//! `operator members`: the nodes of a cluster.

use crate::arguments::flags::Connection;
use crate::failure::{During, Failure};
use crate::output::{console, go_value, structured, table};
use crate::session::Session;
use clap::Args;
use secretum_client::{Json, Object};

/// Heading and name of each column.
const COLUMNS: [(&str, &str); 6] = [
    ("Host Name", "hostname"),
    ("API Address", "api_address"),
    ("Cluster Address", "cluster_address"),
    ("Active Node", "active_node"),
    ("Version", "version"),
    ("Last Echo", "last_echo"),
];

/// Shows the nodes of the cluster, and which one is active.
#[derive(Args)]
pub(crate) struct Members {
    #[command(flatten)]
    connection: Connection,
}

impl Members {
    pub(crate) async fn run(self) -> Result<(), Failure> {
        let session = Session::open(&self.connection)?;
        let asked = session.client.read("sys/ha-status").await;
        let found = asked
            .during(|| "reading the nodes of the cluster".to_owned())?
            .unwrap_or_default();
        let nodes = found.data.get("nodes");
        if !session.style.is_table() {
            let nodes = nodes.cloned().unwrap_or(Json::Null);
            // As Vault's command names them.
            let object: Object = [("Nodes", nodes)].into_iter().collect();
            return structured(&object.into(), session.style.format);
        }
        let rows = nodes.and_then(Json::as_array).unwrap_or_default().iter();
        let cell = |node: &Json, name: &str| {
            let value = node.get(name).filter(|value| !value.is_null());
            value.map(go_value::text).unwrap_or_default()
        };
        let rows = rows.map(|node| COLUMNS.map(|(_, name)| cell(node, name)).to_vec());
        let heading = COLUMNS.map(|(heading, _)| heading);
        console::out(&table::headed(&heading, rows.collect()))
    }
}
