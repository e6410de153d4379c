//! [`Device`]: one place that records go to.

use crate::AuditError;
use crate::chain::RECORD_BEGIN;
use crate::form::Form;
use crate::head::{Signer, signing_key};
use crate::options::{DeviceOptions, Target};
use crate::queue::{PATIENCE, Queue};
use crate::sink::{Opened, Place};
use crate::writer::Writer;
use futures::FutureExt;
use secretum_crypto::ClockRef;
use secretum_crypto::ed25519::{PUBLIC_KEY_BYTES, SigningKey};
use serde::Serialize;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// How long it is until a file that is in use is asked for again.
const CLAIM_PAUSE: Duration = Duration::from_millis(10);

/// What a device is made from.
#[derive(Debug)]
pub struct DeviceConfig<'a> {
    /// Its path, with a slash at its end.
    pub path: &'a str,
    /// The key of its HMACs.
    pub hmac_key: &'a [u8],
    /// Where it writes, and how.
    pub options: DeviceOptions,
    /// The time, for its heads.
    pub clock: ClockRef,
}

/// One place that records go to: how it tells of them, and a queue to the thread that writes them.
#[derive(Debug)]
pub struct Device {
    path: String,
    form: Form,
    queue: Queue,
    place: Place,
    public_key: [u8; PUBLIC_KEY_BYTES],
}

impl Device {
    /// Opens the device. Its task runs on the runtime of the caller, and ends with the device. Where
    /// the file's last writer is about to end, it waits for that.
    ///
    /// **Errors**: [`AuditError::File`], [`AuditError::Option`], [`AuditError::InUse`],
    /// [`AuditError::Unreachable`]. A peer that does not listen is none: it may come later.
    pub async fn open(config: DeviceConfig<'_>) -> Result<Self, AuditError> {
        let DeviceOptions { target, form, .. } = config.options;
        let opened = patiently(&target, Target::open).await?;
        let signer = Signer::new(head_key(config.hmac_key)?, config.clock);
        Self::on(
            config.path,
            Form::new(config.hmac_key, form),
            opened,
            signer,
        )
    }

    /// A device on a sink that is open.
    pub(crate) fn on(
        path: &str,
        form: Form,
        opened: Opened,
        signer: Signer,
    ) -> Result<Self, AuditError> {
        let public_key = signer.public_key();
        let writer = Writer::new(opened, &form.options.prefix, signer);
        let place = writer.place();
        let queue = Queue::start(path, writer).map_err(|source| AuditError::Unreachable {
            place: path.to_owned(),
            reason: format!("there is no thread for it: {source}"),
        })?;
        Ok(Self {
            path: path.to_owned(),
            form,
            queue,
            place,
            public_key,
        })
    }

    /// Whether a device with these options could write now; leaves a file as it is, or empty.
    ///
    /// **Errors**: as [`Self::open`], and where a peer does not listen.
    pub async fn try_open(options: &DeviceOptions) -> Result<(), AuditError> {
        if options.skips_test() {
            return Ok(());
        }
        patiently(&options.target, Target::try_open).await
    }

    /// A device on a sink that is open and that devices can share.
    #[cfg(test)]
    pub(crate) fn on_sink(path: &str, sink: impl crate::sink::Sink + 'static) -> Self {
        let form = Form::new(b"key", crate::form::FormOptions::default());
        let clock = std::sync::Arc::new(secretum_crypto::SystemClock);
        let signer = Signer::new(signing_key(b"key").unwrap(), clock);
        Self::on(path, form, Opened::elsewhere(sink), signer).unwrap()
    }

    /// Its path, with a slash at its end.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether it writes where a device with these options would, or will when it is opened anew, and
    /// the two cannot share that.
    pub fn excludes(&self, options: &DeviceOptions) -> bool {
        options.target.is_at(&self.place)
    }

    /// Refuses what comes from here on. What was accepted is written, and then its file is free.
    pub fn close(&self) {
        self.queue.close();
    }

    /// Waits until it has written everything, after it was closed; whether that came in time.
    pub async fn ended(&self) -> bool {
        let ended = tokio::time::timeout(PATIENCE, self.queue.ended()).await;
        ended.is_ok()
    }

    /// How it tells of what it records.
    pub(crate) fn form(&self) -> &Form {
        &self.form
    }

    /// The public half of the key that signs the heads of its log, 32 bytes.
    ///
    /// **Source**: RFC 8032, Ed25519.
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// The same, of a device with this HMAC key, without opening one.
    ///
    /// **Errors**: [`AuditError::Option`] for a key that cannot be used.
    pub fn public_key_of(hmac_key: &[u8]) -> Result<[u8; PUBLIC_KEY_BYTES], AuditError> {
        Ok(head_key(hmac_key)?.public_key())
    }

    /// A text as this device shows it.
    pub fn hash(&self, text: &str) -> String {
        format!("hmac-sha256:{}", self.form.key.sign_hex(text.as_bytes()))
    }

    /// Opens its file anew, after it was moved away; connects its peer anew.
    ///
    /// **Errors**: [`AuditError::File`], [`AuditError::Option`], [`AuditError::Unreachable`]: it then
    /// goes on as it was;
    /// [`AuditError::TimedOut`] where it hangs: it does so when it answers again.
    pub async fn reopen(&self) -> Result<(), AuditError> {
        match tokio::time::timeout(PATIENCE, self.queue.reopen()).await {
            Ok(Ok(reopened)) => reopened,
            Ok(Err(_)) => Err(self.queue.busy()),
            Err(_) => Err(self.queue.hangs()),
        }
    }

    /// How many records it did not take since it was opened.
    pub fn failures(&self) -> u64 {
        self.queue.failures()
    }

    /// Puts a record that is not of a request to the vault into the log: a JSON object of which the first
    /// field is its `timestamp`. It is written as it is: nothing in it is concealed, whatever
    /// [`DeviceOptions`] say.
    ///
    /// **Errors**: [`AuditError::Busy`], [`AuditError::TimedOut`] while the device hangs;
    /// [`AuditError::Option`] for anything else.
    pub fn record(&self, record: &impl Serialize) -> Result<Sent, AuditError> {
        let text = serde_json::to_vec(record).ok();
        let fields = text.as_deref().and_then(|text| text.strip_suffix(b"}"));
        match fields.filter(|fields| fields.starts_with(RECORD_BEGIN)) {
            Some(fields) => self.send(fields),
            None => Err(AuditError::Option(
                "a record is a JSON object that begins with its timestamp".to_owned(),
            )),
        }
    }

    /// Puts a line into the queue, without the brace that ends it.
    ///
    /// **Errors**: [`AuditError::Busy`], [`AuditError::TimedOut`] while the device hangs.
    pub(crate) fn send(&self, line: &[u8]) -> Result<Sent, AuditError> {
        self.queue.put(line).map(Sent)
    }
}

/// What signs the heads of a device with this HMAC key.
fn head_key(hmac_key: &[u8]) -> Result<SigningKey, AuditError> {
    signing_key(hmac_key)
        .map_err(|error| AuditError::Option(format!("there is no key for its heads: {error}")))
}

/// Opens a target, once its file is free. A peer may keep a thread waiting, but not this.
async fn patiently<T: Send + 'static>(
    target: &Target,
    open: fn(&Target) -> Result<T, AuditError>,
) -> Result<T, AuditError> {
    let until = Instant::now() + PATIENCE;
    loop {
        let own = target.clone();
        let opening = tokio::task::spawn_blocking(move || open(&own));
        let opened = tokio::time::timeout(PATIENCE, opening).await;
        match opened.map_err(|_| "it does not answer".to_owned()) {
            Ok(Ok(Err(AuditError::InUse { .. }))) if Instant::now() < until => {
                tokio::time::sleep(CLAIM_PAUSE).await;
            }
            Ok(Ok(opened)) => return opened,
            Ok(Err(ended)) => return Err(unreachable(target, ended.to_string())),
            Err(reason) => return Err(unreachable(target, reason)),
        }
    }
}

fn unreachable(target: &Target, reason: String) -> AuditError {
    AuditError::Unreachable {
        place: target.to_string(),
        reason,
    }
}

/// A record in the queue of a device: ready when the system took it.
///
/// **Errors**: [`AuditError::Busy`], [`AuditError::TimedOut`], [`AuditError::File`],
/// [`AuditError::Unreachable`].
#[derive(Debug)]
pub struct Sent(oneshot::Receiver<Result<(), AuditError>>);

impl Future for Sent {
    type Output = Result<(), AuditError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = std::task::ready!(self.0.poll_unpin(context));
        Poll::Ready(answer.unwrap_or(Err(AuditError::NoDeviceTookIt)))
    }
}
