"""How the two ends of a channel's connection come to trust each other.

    connecting → HELLO(own index, nonce)
    accepting  → CHALLENGE(nonce, proof of "accepting")
    connecting → PROOF(proof of "connecting")

A proof is an HMAC-SHA256 by the secret that all agents share, of the role, both indexes and both
nonces: it shows who is there, to this end, in this direction, now. So nothing of one connection is
of use in another. What comes after it is not protected: whoever can change packets between two
servers needs TLS to be kept out (docs/security.md). Without a secret HELLO is all, and is believed.
"""

import hmac
import os
import struct
from pathlib import Path
from typing import Final, Self

from hosts.agent import frames
from hosts.agent.frames import FrameError, Kind
from hosts.credentials import CredentialsError, read_secret

LONGEST: Final = 256
"""Bytes of a frame before its sender is trusted."""
SECONDS: Final = 5.0
"""Time for the whole handshake."""

_NONCE: Final = 16
_PROOF: Final = 32
_LEAST: Final = 16
_CONNECTING: Final = b"netmigrate channel 1, connecting"
_ACCEPTING: Final = b"netmigrate channel 1, accepting"
_SERVERS: Final = struct.Struct("!HH")


class UntrustedError(FrameError):
    """The other end is not who it should be; the message may be shown to it."""


class Secret:
    """What all agents of a network know, and nobody else."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def read(cls, file: Path | None) -> Self | None:
        """Return the secret in `file`."""
        if file is None:
            return None
        key = read_secret("--channel-secret-file", file).strip()
        if len(key) < _LEAST:
            raise CredentialsError(
                f"--channel-secret-file: {file} holds {len(key)} bytes, fewer than {_LEAST}: "
                "take `openssl rand -hex 32`"
            )
        return cls(key)

    def proof(self, role: bytes, connecting: int, accepting: int, nonces: bytes) -> bytes:
        """Return what only an end that knows the secret can say."""
        text = role + _SERVERS.pack(connecting, accepting) + nonces
        return hmac.digest(self._key, text, "sha256")


class Connecting:
    """The end that connects."""

    def __init__(self, own: int, peer: int, secret: Secret | None) -> None:
        self.trusted = secret is None
        self._own, self._peer, self._secret = own, peer, secret
        self._nonce = os.urandom(_NONCE) if secret else b""

    def hello(self) -> bytes:
        """Return the first frame."""
        return frames.hello(self._own, self._nonce)

    def take(self, kind: Kind, body: bytes) -> bytes:
        """Take a frame of the other end; return the answer."""
        if kind is Kind.REFUSED:
            text = "".join(chr(byte) if 32 <= byte < 127 else "?" for byte in body)
            raise UntrustedError(f"it says: {text}")
        if kind is not Kind.CHALLENGE or self._secret is None or self.trusted:
            raise FrameError(f"{kind.name} on a connection that we opened")
        if len(body) != _NONCE + _PROOF:
            raise FrameError(f"CHALLENGE of {len(body)} bytes")
        nonces = self._nonce + body[:_NONCE]
        expected = self._secret.proof(_ACCEPTING, self._own, self._peer, nonces)
        if not hmac.compare_digest(expected, body[_NONCE:]):
            raise UntrustedError("it has another secret, or is another server")
        self.trusted = True
        return frames.frame(
            Kind.PROOF, self._secret.proof(_CONNECTING, self._own, self._peer, nonces)
        )


class Accepting:
    """The end that is connected to."""

    def __init__(self, own: int, secret: Secret | None) -> None:
        self.peer = 0
        """The other end's server, once it is trusted."""
        self._own, self._secret = own, secret
        self._claimed = 0
        self._nonces = b""

    def take(self, kind: Kind, body: bytes) -> bytes:
        """Take a frame of the other end; return the answer, if there is one."""
        if kind is Kind.HELLO and not self._claimed:
            return self._hello(body)
        if kind is Kind.PROOF and self._claimed and self._secret is not None:
            expected = self._secret.proof(_CONNECTING, self._claimed, self._own, self._nonces)
            if not hmac.compare_digest(expected, body):
                raise UntrustedError(f"server {self._claimed} does not prove who it is")
            self.peer = self._claimed
            return b""
        raise FrameError(f"{kind.name} before HELLO and PROOF")

    def _hello(self, body: bytes) -> bytes:
        self._claimed, nonce = frames.read_hello(memoryview(body))
        if self._claimed in (0, self._own):
            raise FrameError(f"HELLO of server {self._claimed}")
        if self._secret is None:
            if nonce:
                raise UntrustedError(f"server {self._own} has no --channel-secret-file")
            self.peer = self._claimed
            return b""
        if len(nonce) != _NONCE:
            raise UntrustedError(f"server {self._own} has a --channel-secret-file, take the same")
        own = os.urandom(_NONCE)
        self._nonces = nonce + own
        proof = self._secret.proof(_ACCEPTING, self._claimed, self._own, self._nonces)
        return frames.frame(Kind.CHALLENGE, own, proof)
