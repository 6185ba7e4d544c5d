"""What a process proves itself with: certificates and shared secrets, read at its start."""

from hosts.credentials.files import CredentialsError, private, read_secret
from hosts.credentials.tls import Tls, TlsFiles, handshake_trouble

__all__ = ["CredentialsError", "Tls", "TlsFiles", "handshake_trouble", "private", "read_secret"]
