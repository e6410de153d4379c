//! Names that Vault and OpenBao know and this server does not serve, and names that are nearly right.

/// Keys and stanzas of the whole configuration.
pub(crate) const UNSERVED: &[&str] = &[
    "adaptive_overload_protection",
    "administrative_namespace_path",
    "allow_audit_log_prefixing",
    "allow_unauthenticated_workflows",
    "cache_size",
    "cluster_cipher_suites",
    "detect_deadlocks",
    "development",
    "disable_cache",
    "disable_clustering",
    "disable_indexing",
    "disable_performance_standby",
    "disable_printable_check",
    "disable_sealwrap",
    "disable_sentinel_trace",
    "disable_standby_reads",
    "enable_multiseal",
    "enable_post_unseal_trace",
    "enable_response_header_hostname",
    "enable_response_header_raft_node_id",
    "enable_ui",
    "entropy",
    "experiments",
    "feature_flags",
    "ha_backend",
    "ha_storage",
    "imprecise_lease_role_tracking",
    "initialize",
    "introspection_endpoint",
    "kms",
    "kms_library",
    "license",
    "license_path",
    "log_file",
    "log_rotate_bytes",
    "log_rotate_duration",
    "log_rotate_max_files",
    "pid_file",
    "plugin",
    "plugin_auto_download",
    "plugin_auto_register",
    "plugin_directory",
    "plugin_download_behavior",
    "plugin_download_max_size",
    "plugin_file_permissions",
    "plugin_file_uid",
    "plugin_tmpdir",
    "post_unseal_trace_directory",
    "remove_irrevocable_lease_after",
    "replication",
    "reporting",
    "request_limiter",
    "sentinel",
    "service_registration",
    "ui",
    "unsafe_allow_api_audit_creation",
    "unsafe_cross_namespace_identity",
    "unsafe_relative_paths",
    "user_lockout",
];

/// Keys of a listener.
pub(crate) const LISTENER_UNSERVED: &[&str] = &[
    "agent_api",
    "chroot_namespace",
    "cors_allow_credentials",
    "cors_allowed_headers",
    "cors_allowed_origins",
    "cors_enabled",
    "custom_response_headers",
    "disable_replication_status_endpoints",
    "disable_request_limiter",
    "disable_unauthed_generate_root_endpoints",
    "disable_unauthed_rekey_endpoints",
    "enable_quit",
    "inflight_requests_logging",
    "max_json_array_element_count",
    "max_json_depth",
    "max_json_object_entry_count",
    "max_json_string_value_length",
    "max_request_json_memory",
    "max_request_json_strings",
    "profiling",
    "proxy_api",
    "purpose",
    "redact_addresses",
    "redact_cluster_name",
    "redact_version",
    "require_request_header",
    "role",
    "tls_acme_ca_directory",
    "tls_acme_ca_root",
    "tls_acme_cache_path",
    "tls_acme_disable_alpn_challenge",
    "tls_acme_disable_http_challenge",
    "tls_acme_domains",
    "tls_acme_eab_key_id",
    "tls_acme_eab_mac_key",
    "tls_acme_email",
    "tls_acme_key_type",
    "tls_acme_test_ca_directory",
    "tls_auto_reload",
    "tls_auto_reload_interval",
    "tls_cipher_suites",
    "tls_key_exchange_preferences",
    "tls_prefer_server_cipher_suites",
    "x_forwarded_for_client_cert_decoders",
    "x_forwarded_for_client_cert_header",
    "x_forwarded_for_client_cert_keep_not_forwarded",
    "x_forwarded_for_client_cert_keep_unauthorized",
];

/// Keys of a storage.
pub(crate) const STORAGE_UNSERVED: &[&str] = &[
    "apply_delay",
    "autopilot_reconcile_interval",
    "autopilot_redundancy_zone",
    "autopilot_update_interval",
    "autopilot_upgrade_version",
    "disable_clustering",
    "last_contact_threshold",
    "max_entry_size",
    "max_mount_and_namespace_table_entry_size",
    "max_parallel",
    "max_transaction_size",
    "performance_multiplier",
    "raft_log_verifier_enabled",
    "raft_log_verification_interval",
    "raft_wal",
    "retry_join",
    "retry_join_as_non_voter",
    "snapshot_delay",
    "snapshot_interval",
    "snapshot_threshold",
    "trailing_logs",
];

/// The most characters of a name that is compared with others.
const NAME_CHARACTERS_MAX: usize = 64;

/// The most letters that may differ.
const TYPOS_MAX: usize = 2;

/// The name that was probably meant: the one with the fewest other letters, of which one in three is
/// the most.
pub(crate) fn nearest<'a>(name: &str, names: &[&'a str]) -> Option<&'a str> {
    let letters: Vec<char> = name.chars().take(NAME_CHARACTERS_MAX + 1).collect();
    if letters.len() > NAME_CHARACTERS_MAX {
        return None;
    }
    names
        .iter()
        .map(|known| (typos(&letters, known), *known))
        .filter(|(typos, known)| *typos <= TYPOS_MAX.min(known.len() / 3))
        .min()
        .map(|(_, known)| known)
}

/// How many letters must be put in, left out or replaced to make one into the other.
fn typos(letters: &[char], other: &str) -> usize {
    let mut row: Vec<usize> = (0..=letters.len()).collect();
    for (line, character) in other.chars().enumerate() {
        // The row above and to the left, and the value to the left in this row.
        let (mut diagonal, mut left) = (line, line.saturating_add(1));
        for (cell, letter) in row.iter_mut().skip(1).zip(letters) {
            let above = *cell;
            let replaced = diagonal.saturating_add(usize::from(*letter != character));
            left = replaced
                .min(above.saturating_add(1))
                .min(left.saturating_add(1));
            (diagonal, *cell) = (above, left);
        }
        if let Some(first) = row.first_mut() {
            *first = line.saturating_add(1);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_differ() {
        for (one, other, count) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("storage", "stowage", 1),
            ("listeners", "listener", 1),
            ("disabel", "disable", 2),
        ] {
            let letters: Vec<char> = one.chars().collect();
            assert_eq!(typos(&letters, other), count, "{one} {other}");
        }
    }

    #[test]
    fn what_was_meant() {
        let names = ["path", "node_id", "storage", "ui"];
        for (name, meant) in [
            ("stowage", Some("storage")),
            ("node-id", Some("node_id")),
            ("pth", Some("path")),
            ("pat", Some("path")),
            ("odd", None),
            ("u", None),
            ("patron", None),
        ] {
            assert_eq!(nearest(name, &names), meant, "{name}");
        }
        assert_eq!(nearest(&"a".repeat(100_000), &names), None);
    }

    #[test]
    fn lists_hold_each_name_once() {
        for list in [UNSERVED, LISTENER_UNSERVED, STORAGE_UNSERVED] {
            let names: std::collections::BTreeSet<_> = list.iter().collect();
            assert_eq!(names.len(), list.len());
        }
    }
}
