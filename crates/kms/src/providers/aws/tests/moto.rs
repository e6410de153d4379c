//! The service as moto plays it. Its key material has no identifier, so that the version is the number of
//! rotations.

use super::*;
use crate::conformance::{self, Harness, Subject};
use crate::test_peers::{Program, peer};
use crate::{DataKeySpec, KeyManagementService, ProviderKms};
use std::process::Command;
use std::time::Instant;

/// A running server with the keys of the suite.
pub(super) struct Moto {
    _program: Program,
    pub(super) url: String,
    pub(super) keys: Vec<KeyId>,
}

impl Moto {
    pub(super) async fn start() -> Option<Self> {
        let (program, url) = Program::moto()?;
        let mut moto = Self {
            _program: program,
            url,
            keys: Vec::new(),
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        while let Err(error) = moto.provider().health().await {
            assert!(Instant::now() < deadline, "moto does not answer: {error}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for _ in 0..2 {
            let key = moto.create().await;
            moto.keys.push(key);
        }
        Some(moto)
    }

    fn provider(&self) -> AwsProvider {
        AwsProvider::new(settings(&self.url))
    }

    fn kms(&self) -> ProviderKms {
        ProviderKms::new(Arc::new(self.provider()))
    }

    /// A new key, by its ARN.
    async fn create(&self) -> KeyId {
        let provider = self.provider();
        let client = provider.session.client().await.unwrap();
        let made = client.create_key().send().await.unwrap();
        id(made.key_metadata.unwrap().arn().unwrap())
    }

    async fn point(&self, alias: &str, key: &KeyId, anew: bool) {
        let provider = self.provider();
        let client = provider.session.client().await.unwrap();
        if anew {
            let request = client.update_alias().alias_name(alias);
            request.target_key_id(key.as_str()).send().await.unwrap();
        } else {
            let request = client.create_alias().alias_name(alias);
            request.target_key_id(key.as_str()).send().await.unwrap();
        }
    }

    /// Runs a program of boto3, in which `kms` is a client; what it prints.
    fn boto3(&self, program: &str) -> String {
        let head = "import base64, boto3, sys\n\
                    kms = boto3.client('kms', region_name='eu-central-1', endpoint_url=sys.argv[1],\n\
                    aws_access_key_id='AKIDEXAMPLE', aws_secret_access_key='x')\n";
        let python = peer("SECRETUM_MOTO").unwrap().with_file_name("python");
        let run = Command::new(python)
            .args(["-c", &format!("{head}{program}"), &self.url])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{said}");
        String::from_utf8(run.stdout).unwrap().trim().to_owned()
    }
}

#[async_trait]
impl Harness for Moto {
    async fn open(&self) -> Subject {
        Subject {
            kms: Arc::new(self.kms()),
            key: self.keys[0].clone(),
            other_key: Some(self.keys[1].clone()),
        }
    }
}

#[tokio::test]
async fn conforms() {
    let Some(moto) = Moto::start().await else {
        return;
    };
    conformance::run(&moto).await.unwrap();
    boto3_opens_what_is_made_here_and_back(&moto).await;
    an_alias_may_be_pointed_elsewhere(&moto).await;
    a_key_has_several_names(&moto).await;
    nothing_opens_by_the_name_of_another_key(&moto).await;
    a_key_out_of_use_is_told(&moto).await;
}

async fn boto3_opens_what_is_made_here_and_back(moto: &Moto) {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let (kms, key) = (moto.kms(), &moto.keys[0]);
    let bound = context("env=prod,service=api");
    let ours = kms.encrypt(key, b"ours", &bound).await.unwrap();
    let spec = DataKeySpec::AES_256;
    let data_key = kms.generate_data_key(key, spec, &bound).await.unwrap();
    for (blob, wanted) in [
        (&ours, b"ours".as_slice()),
        (&data_key.wrapped, data_key.plaintext.expose()),
    ] {
        let blob = STANDARD.encode(&blob.wrapped().bytes);
        let opened = moto.boto3(&format!(
            "made = kms.decrypt(CiphertextBlob=base64.b64decode('{blob}'),\n\
             EncryptionContext={{'service': 'api', 'env': 'prod'}})\n\
             print(base64.b64encode(made['Plaintext']).decode())"
        ));
        assert_eq!(STANDARD.decode(opened).unwrap(), wanted);
    }
    let blob = moto.boto3(&format!(
        "made = kms.encrypt(KeyId='{key}', Plaintext=b'theirs', EncryptionContext={{'env': 'prod'}})\n\
         print(base64.b64encode(made['CiphertextBlob']).decode())"
    ));
    let wrapped = Wrapped {
        key: key.clone(),
        version: KeyVersion::default(),
        bytes: STANDARD.decode(blob).unwrap(),
    };
    let theirs = crate::Ciphertext::native(NAME, wrapped).unwrap();
    let opened = kms.decrypt(&theirs, &context("env=prod")).await.unwrap();
    assert_eq!(opened.expose(), b"theirs");
    let refused = kms.decrypt(&theirs, &context("env=dev")).await;
    assert!(matches!(refused, Err(KmsError::NotAuthentic { .. })));
}

async fn an_alias_may_be_pointed_elsewhere(moto: &Moto) {
    let (alias, none) = (id("alias/app"), context(""));
    moto.point("alias/app", &moto.keys[0], false).await;
    let kms = moto.kms();
    let before = kms.encrypt(&alias, b"x", &none).await.unwrap();
    assert_eq!(*before.key(), moto.keys[0]);
    assert_eq!(kms.key_info(&alias).await.unwrap().key, moto.keys[0]);
    moto.point("alias/app", &moto.keys[1], true).await;
    let after = kms.encrypt(&alias, b"y", &none).await.unwrap();
    assert_eq!(*after.key(), moto.keys[1]);
    // What was remembered of the alias is of the other key.
    assert_eq!(after.key_version().as_str(), "");
    assert_eq!(kms.decrypt(&before, &none).await.unwrap().expose(), b"x");
    assert_eq!(kms.decrypt(&after, &none).await.unwrap().expose(), b"y");
    let rotated = moto.kms().rotate_key(&alias).await.unwrap();
    assert_eq!(rotated.key, moto.keys[1]);
    let missing = kms.encrypt(&id("alias/none"), b"x", &none).await;
    assert!(matches!(missing, Err(KmsError::KeyNotFound { .. })));
}

async fn a_key_has_several_names(moto: &Moto) {
    let (kms, arn) = (moto.kms(), moto.create().await);
    let (_, short) = arn.as_str().split_once("key/").unwrap();
    let short = id(short);
    let made = kms.encrypt(&short, b"x", &context("")).await.unwrap();
    assert_eq!((made.key(), made.key_version().as_str()), (&short, "1"));
    // A rotation by one of its names is known by the others at once.
    kms.rotate_key(&arn).await.unwrap();
    let made = kms.encrypt(&short, b"x", &context("")).await.unwrap();
    assert_eq!(made.key_version().as_str(), "2");
    let info = kms.key_info(&arn).await.unwrap();
    assert!(info.enabled && info.rotated_at.is_some());
    moto.provider().rotate_every(&arn, Some(90)).await.unwrap();
    let said = format!("print(kms.get_key_rotation_status(KeyId='{arn}')['KeyRotationEnabled'])");
    assert_eq!(moto.boto3(&said), "True");
}

async fn nothing_opens_by_the_name_of_another_key(moto: &Moto) {
    let provider = moto.provider();
    let made = provider.wrap(&moto.keys[0], b"x", &context("")).await;
    let renamed = Wrapped {
        key: moto.keys[1].clone(),
        ..made.unwrap()
    };
    let refused = provider.unwrap(&renamed, &context("")).await.unwrap_err();
    // The service says IncorrectKeyException; moto says that it permits no such thing.
    assert!(
        matches!(
            refused,
            KmsError::NotAuthentic { .. } | KmsError::AccessDenied { .. }
        ),
        "{refused}"
    );
}

/// moto encrypts under a disabled key, and describes it as it is.
async fn a_key_out_of_use_is_told(moto: &Moto) {
    let key = moto.create().await;
    let provider = moto.provider();
    let client = provider.session.client().await.unwrap();
    // By its ARN moto does not find the key here.
    let (_, short) = key.as_str().split_once("key/").unwrap();
    let request = client.disable_key().key_id(short);
    request.send().await.unwrap();
    assert!(!provider.describe(&key).await.unwrap().enabled);
}
