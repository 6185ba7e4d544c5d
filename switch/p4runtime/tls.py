"""TLS and mutual TLS for the gRPC channel (P4Runtime spec section 3.1.1)."""

from __future__ import annotations

import ssl
import stat
from pathlib import Path

import grpc


class TlsError(ValueError):
    """Certificates that cannot be used; the message names the file or option."""


def credentials(
    certificate: Path | None, key: Path | None, ca: Path | None
) -> grpc.ServerCredentials | None:
    """None without a certificate: plaintext. With a CA, clients must have a certificate of it."""
    if certificate is None or key is None:
        if certificate or key or ca:
            raise TlsError("TLS takes both --tls-cert and --tls-key")
        return None
    chain, secret = _content("--tls-cert", certificate), _content("--tls-key", key)
    authority = _content("--tls-ca", ca) if ca else None
    _check(certificate, key, ca)
    if key.stat().st_mode & stat.S_IRWXO:
        raise TlsError(f"--tls-key: everybody may use {key}: chmod o= {key}")
    return grpc.ssl_server_credentials(
        [(secret, chain)], root_certificates=authority, require_client_auth=ca is not None
    )


def _content(option: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise TlsError(f"{option}: cannot read {path}: {error.strerror}") from None


def _check(certificate: Path, key: Path, ca: Path | None) -> None:
    """gRPC itself takes any bytes, and then fails every handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_verify_locations(certificate)
    except ssl.SSLError:
        raise TlsError(f"--tls-cert: {certificate} is no certificate in PEM format") from None
    try:
        # The empty password keeps OpenSSL from asking for one at the terminal.
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise TlsError(f"--tls-key: {key} is not the key of {certificate}") from None
        raise TlsError(f"--tls-key: {key} is no unencrypted private key in PEM format") from None
    if ca:
        try:
            context.load_verify_locations(ca)
        except ssl.SSLError:
            raise TlsError(f"--tls-ca: {ca} holds no certificates in PEM format") from None
