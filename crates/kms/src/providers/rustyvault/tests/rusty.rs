//! RustyVault itself.

use super::*;
use crate::conformance;

struct Rusty {
    server: Server,
    unseal_key: String,
}

fn run(home: &std::path::Path) -> Option<Program> {
    let binary = crate::test_peers::peer_of_all("SECRETUM_RUSTYVAULT")?;
    let mut command = Command::new(binary);
    command
        .args(["server", "--config"])
        .arg(home.join("rv.hcl"))
        .env("HOME", home)
        .current_dir(home);
    Some(Program::start(&mut command))
}

impl Rusty {
    async fn start() -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let listen = free_address();
        let folder = |name: &str| home.path().join(name).display().to_string();
        let settings = format!(
            "storage \"file\" {{\n  path = \"{}\"\n}}\nlistener \"tcp\" {{\n  address = \"{listen}\"\n  \
             tls_disable = \"true\"\n}}\nwork_dir = \"{}\"\nlog_level = \"warn\"\n",
            folder("data"),
            folder("work"),
        );
        std::fs::write(home.path().join("rv.hcl"), settings).unwrap();
        let mut server = Server {
            process: run(home.path())?,
            address: format!("http://{listen}"),
            root: "none".to_owned(),
            home,
        };
        server.answers("sys/init").await;
        let shares = json!({ "secret_shares": 1, "secret_threshold": 1 });
        let made = server.write("sys/init", shares).await;
        server.root = made["root_token"].as_str().unwrap().to_owned();
        let unseal_key = made["keys"][0].as_str().unwrap().to_owned();
        let rusty = Self { server, unseal_key };
        rusty.unseal().await;
        rusty
            .server
            .write("sys/mounts/kv1", json!({ "type": "kv" }))
            .await;
        Some(rusty)
    }

    async fn unseal(&self) {
        let key = json!({ "key": self.unseal_key });
        self.server.write("sys/unseal", key).await;
    }

    /// Ends it, not gently, and starts it again.
    async fn restart(&mut self) {
        self.server.process.end();
        self.server.process = run(self.server.home.path()).unwrap();
        self.server.answers("sys/init").await;
        self.unseal().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn conforms() {
    let Some(mut rusty) = Rusty::start().await else {
        return;
    };
    let server = &rusty.server;
    make(&server.provider(RustyVaultEngine::Auto), &["k", "other"]).await;
    conformance::run(&In(server, RustyVaultEngine::Auto))
        .await
        .unwrap();
    let health = server.kms(RustyVaultEngine::Auto).health_check().await;
    let health = health.unwrap().notes.join("; ");
    assert!(health.contains("this process encrypts"), "{health}");
    let transit = server.provider(RustyVaultEngine::Transit);
    let refused = transit.create(&id("t")).await.unwrap_err();
    assert!(
        refused.to_string().contains("enable a transit engine"),
        "{refused}"
    );
    let nowhere = server.with(token(&server.root), |keys| keys.kv_mount = "no".to_owned());
    let refused = nowhere.create(&id("t")).await.unwrap_err();
    assert!(
        refused.to_string().contains("correct kv_mount"),
        "{refused}"
    );
    races::race(server, "raced").await;
    an_app_role_logs_in(server).await;
    seals_and_restarts_are_told(&mut rusty).await;
}

async fn an_app_role_logs_in(server: &Server) {
    let method = json!({ "type": "approle" });
    server.write("sys/auth/approle", method).await;
    let role = json!({ "policies": "default", "token_ttl": "60s" });
    server.write("auth/approle/role/app", role).await;
    let role_id = server.read("auth/approle/role/app/role-id").await;
    let role_id = role_id["data"]["role_id"].as_str().unwrap().to_owned();
    let secret = server
        .write("auth/approle/role/app/secret-id", json!({}))
        .await;
    let secret = secret["data"]["secret_id"].as_str().unwrap().to_owned();
    let auth = |secret: &str| VaultAuth::AppRole {
        mount: "approle".to_owned(),
        role_id: role_id.clone(),
        secret_id: Arc::new(SecretString::new(secret.to_owned())),
    };
    let provider = server.with(auth(&secret), |_| {});
    let kms = ProviderKms::new(Arc::new(provider.clone()));
    opens(&kms, &encrypt(&kms, "k").await).await;
    // Somebody ends its token: the next request logs in anew.
    let first = provider.inner.session.held_token().unwrap();
    let path = format!("auth/token/revoke/{}", first.expose());
    server.write(&path, json!({})).await;
    provider.describe(&id("k")).await.unwrap();
    let second = provider.inner.session.held_token().unwrap();
    assert!(first != second);
    let wrong = server.with(auth("wrong"), |_| {});
    let refused = wrong.describe(&id("k")).await.unwrap_err();
    assert!(matches!(refused, KmsError::Credentials { .. }), "{refused}");
}

async fn seals_and_restarts_are_told(rusty: &mut Rusty) {
    let kms = rusty.server.kms(RustyVaultEngine::Auto);
    let made = encrypt(&kms, "k").await;
    let stranger = rusty.server.with(token("no-such-token"), |_| {});
    let refused = stranger.describe(&id("k")).await.unwrap_err();
    assert!(matches!(refused, KmsError::Credentials { .. }), "{refused}");
    rusty.server.write("sys/seal", json!({})).await;
    let refused = kms.health_check().await.unwrap_err();
    assert!(matches!(refused, KmsError::Unavailable { .. }), "{refused}");
    assert!(refused.to_string().contains("it is sealed"), "{refused}");
    let fresh = rusty.server.kms(RustyVaultEngine::Auto);
    let refused = fresh.decrypt(&made, &context("a=1")).await.unwrap_err();
    assert!(matches!(refused, KmsError::Unavailable { .. }), "{refused}");
    rusty.unseal().await;
    opens(&fresh, &made).await;
    rusty.restart().await;
    opens(&rusty.server.kms(RustyVaultEngine::Auto), &made).await;
}
