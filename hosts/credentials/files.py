"""Files that hold secrets."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class CredentialsError(ValueError):
    """Credentials that cannot be used; the message is one line that names option and file."""


def read(option: str, path: Path) -> bytes:
    """Return what the file holds that was named by `option`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise CredentialsError(f"{option}: cannot read {path}: {error.strerror}") from None


def read_secret(option: str, path: Path) -> bytes:
    """Return what a file holds that must be no stranger's to read.

    A group may read it, as it is usual for private keys (Debian's `ssl-cert`).
    """
    content = read(option, path)
    mode = stat.S_IMODE(os.stat(path).st_mode)
    if mode & stat.S_IRWXO:
        raise CredentialsError(
            f"{option}: everybody may use {path} (mode {mode:04o}): chmod o= {path}"
        )
    return content


@contextmanager
def private() -> Iterator[None]:
    """Make the files and sockets that are made meanwhile this user's alone."""
    mask = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(mask)
