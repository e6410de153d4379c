"""GnuPG with a home of its own: holders of keys, who open what was encrypted for them."""

import base64
import os
import shutil
import subprocess


class Gpg:
    """One `gpg` with a key ring that nobody else sees."""

    def __init__(self, home):
        assert shutil.which("gpg"), "no `gpg` command: apt-get install gnupg"
        self.home = home
        home.mkdir(mode=0o700, exist_ok=True)

    def __call__(self, *arguments, stdin=b""):
        done = subprocess.run(
            ["gpg", "--batch", "--no-tty", "--quiet", *arguments],
            input=stdin,
            capture_output=True,
            timeout=60,
            env={**os.environ, "GNUPGHOME": str(self.home)},
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def holder(self, name, signing="ed25519", encrypting="cv25519"):
        """Makes a key pair without a passphrase, and another below it that encrypts."""
        unlocked = ("--passphrase", "", "--pinentry-mode", "loopback")
        self(*unlocked, "--quick-gen-key", name, signing, "sign,cert", "never")
        holder = Holder(self, name)
        self(*unlocked, "--quick-add-key", holder.fingerprint, encrypting, "encr", "never")
        return holder

    def stop(self):
        """Ends the agent that `gpg` started for this home."""
        environment = {**os.environ, "GNUPGHOME": str(self.home)}
        subprocess.run(["gpgconf", "--kill", "all"], env=environment, timeout=60, check=True)


class Holder:
    """Somebody with a PGP key."""

    def __init__(self, gpg, name):
        self.gpg, self.name = gpg, name
        listing = gpg("--list-keys", "--with-colons", name).decode().splitlines()
        prints = [line.split(":")[9] for line in listing if line.startswith("fpr")]
        self.fingerprint = prints[0].lower()

    @property
    def public(self):
        return self.gpg("--export", self.name)

    @property
    def armored(self):
        return self.gpg("--armor", "--export", self.name)

    @property
    def base64(self):
        return base64.b64encode(self.public).decode()

    def open(self, message):
        """The text of a message, given in base64 or as bytes."""
        message = base64.b64decode(message) if isinstance(message, str) else message
        return self.gpg("--decrypt", stdin=message).decode()
