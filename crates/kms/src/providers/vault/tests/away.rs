//! Servers that hang, that are away for a time, and that renew no token for a moment.

use super::*;
use crate::test_answers::answering;
use futures::future::join_all;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

const TIMEOUT: Duration = Duration::from_millis(500);

/// Longer than one request may take, and much shorter than twenty, one behind the other.
const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn many_who_ask_a_server_that_hangs_are_told_so_at_once() {
    for auth in [token(ROOT), app_role("role", "secret")] {
        let mut config = config(&answering(None));
        config.timeout = TIMEOUT;
        let provider = VaultProvider::new(config, auth, "transit").unwrap();
        let key = id("k");
        let asked = join_all((0..20).map(|_| provider.describe(&key)));
        let answers = tokio::time::timeout(PATIENCE, asked).await;
        for answer in answers.expect("they wait one behind the other") {
            let refused = answer.unwrap_err();
            assert_eq!(refused.kind(), "timeout", "{refused}");
            assert!(refused.to_string().contains("within 500 ms"), "{refused}");
        }
        let refused = provider.health().await.unwrap_err();
        assert_eq!(refused.kind(), "timeout", "{refused}");
    }
}

impl Bao {
    /// Ends once it answers nothing more.
    fn stop(&self) {
        let pid = Pid::from_child(&self.process);
        kill_process(pid, Signal::STOP).unwrap();
        let (_, status) = waitpid(Some(pid), WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped(), "{status:?}");
    }

    fn go_on(&self) {
        kill_process(Pid::from_child(&self.process), Signal::CONT).unwrap();
    }
}

/// The token ends while nobody can renew it, and the next call logs in anew.
#[tokio::test]
async fn a_server_that_was_away_for_longer_than_a_token_lives_serves_again() {
    let Some(bao) = Bao::start().await else {
        return;
    };
    bao.allow_roles().await;
    let (role_id, secret_id) = bao.role("brief", "2s").await;
    let mut config = bao.config();
    config.timeout = Duration::from_secs(2);
    let provider = VaultProvider::new(config, app_role(&role_id, &secret_id), "transit").unwrap();
    let kms = ProviderKms::new(Arc::new(provider.clone()));
    let none = context("");
    let made = kms.encrypt(&id("k"), b"x", &none).await.unwrap();
    let before = provider.session.held_token().unwrap();
    bao.stop();
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        let refused = kms.decrypt(&made, &none).await.unwrap_err();
        assert_eq!(refused.kind(), "timeout", "{refused}");
    }
    bao.go_on();
    // What asks first may find it busy with what waited meanwhile.
    let until = Instant::now() + Duration::from_secs(60);
    let opened = loop {
        match kms.decrypt(&made, &none).await {
            Err(refused) if refused.kind() == "timeout" && Instant::now() < until => {}
            answer => break answer.unwrap(),
        }
    };
    assert_eq!(opened.expose(), b"x");
    assert!(provider.session.held_token().unwrap() != before);
}

/// Renewals are throttled for a while: the token at hand serves on, and is renewed once that is possible.
#[tokio::test]
async fn a_token_serves_while_its_renewal_fails_for_a_moment() {
    let Some(bao) = Bao::start().await else {
        return;
    };
    bao.allow_roles().await;
    let quota = "sys/quotas/rate-limit/renewals";
    let none_passes = json!({ "path": "auth/token/renew-self", "rate": 1, "interval": "1h" });
    bao.write(quota, none_passes).await;
    // One does.
    let passes = Request::post("auth/token/renew-self").json(&json!({}));
    let _ = bao.root().send(passes.unwrap()).await;

    let made = json!({ "policies": ["app"], "ttl": "14s", "explicit_max_ttl": "60s" });
    let made = bao.write("auth/token/create", made).await;
    let text = made["auth"]["client_token"].as_str().unwrap();
    let kms = bao.kms(token(text));
    let encrypt = async || kms.encrypt(&id("k"), b"x", &context("")).await;
    let (began, second) = (Instant::now(), Duration::from_secs(1));
    while began.elapsed() < 9 * second {
        encrypt().await.unwrap();
        tokio::time::sleep(second / 5).await;
    }
    bao.root().delete(quota).await.unwrap();
    while began.elapsed() < 18 * second {
        encrypt().await.unwrap();
        tokio::time::sleep(second / 5).await;
    }
}
