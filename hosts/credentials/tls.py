"""Mutual TLS: both ends of a connection have a certificate of the same CA."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from hosts.credentials.files import CredentialsError, read, read_secret


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificate chain, its private key, and the CA that the other end's certificate must be of;
    all in PEM format."""

    chain: bytes
    key: bytes
    ca: bytes


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where they are, and by which options or fields of a configuration they were named."""

    chain: Path
    key: Path
    ca: Path
    options: tuple[str, str, str] = ("--tls-cert", "--tls-key", "--tls-ca")

    @classmethod
    def named(cls, chain: Path | None, key: Path | None, ca: Path | None) -> Self | None:
        """Return what the command line names: all three, or None of them."""
        if chain is None and key is None and ca is None:
            return None
        if chain is None or key is None or ca is None:
            raise CredentialsError("TLS takes --tls-cert, --tls-key and --tls-ca, all three")
        return cls(chain, key, ca)

    def load(self) -> Tls:
        """Read and check the files."""
        for_chain, for_key, for_ca = self.options
        found = Tls(
            read(for_chain, self.chain), read_secret(for_key, self.key), read(for_ca, self.ca)
        )
        self._check()
        return found

    def _check(self) -> None:
        """gRPC itself takes any bytes, and then fails every handshake."""
        for_chain, for_key, for_ca = self.options
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        for option, path in ((for_chain, self.chain), (for_ca, self.ca)):
            try:
                context.load_verify_locations(path)
            except ssl.SSLError:
                raise CredentialsError(
                    f"{option}: {path} holds no certificate in PEM format"
                ) from None
        try:
            # The empty password keeps OpenSSL from asking for one at the terminal.
            context.load_cert_chain(self.chain, self.key, password="")
        except ssl.SSLError as error:
            why = f"{self.key} is no unencrypted private key in PEM format"
            if error.reason == "KEY_VALUES_MISMATCH":
                why = f"{self.key} is not the key of {self.chain}"
            raise CredentialsError(f"{for_key}: {why}") from None


_TROUBLE: Final = (
    ("CERTIFICATE_VERIFY_FAILED", "its certificate is not of our CA"),
    ("WRONG_VERSION_NUMBER", "it does not speak TLS"),
    ("Hostname Verification", "its certificate is for another address"),
)


def handshake_trouble(details: str, *, secure: bool) -> str:
    """Return what went wrong between two ends that differ about TLS, out of gRPC's words for a
    failed connection; "" if that was something else."""
    for words, meaning in _TROUBLE:
        if words in details:
            return meaning
    if "failed to connect" in details and ("closed" in details or "reset" in details):
        return "it takes no certificate of ours" if secure else "it may want TLS"
    return ""
