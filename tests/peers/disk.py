"""A file system of limited size, which a test can fill up."""

import contextlib
import ctypes
import os
import subprocess

CLONE_NEWNS, CLONE_NEWUSER = 0x00020000, 0x10000000


def allow_mounts():
    """Lets this process and its children mount file systems that nobody else sees; why not, else.

    Who is not root becomes it in a namespace of its own, where that means nothing outside.
    """
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0:
        reason = os.strerror(ctypes.get_errno())
        return (
            f"a small file system cannot be mounted ({reason}): run as root, or allow namespaces "
            "with `sysctl kernel.unprivileged_userns_clone=1 "
            "kernel.apparmor_restrict_unprivileged_userns=0`"
        )
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"0 {user} 1"),
        ("gid_map", f"0 {group} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    return None


class SmallDisk:
    """A file system of its own that tests can fill up."""

    def __init__(self, directory, size_bytes):
        self.directory, self.filler = directory, directory / "filler"
        options = f"size={size_bytes}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", directory], check=True)

    def fill(self):
        with open(self.filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))

    def free(self):
        self.filler.unlink()

    def unmount(self):
        subprocess.run(["umount", "--lazy", self.directory], check=True)
