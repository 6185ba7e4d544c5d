"""Certificates made on the fly."""

from __future__ import annotations

import subprocess
from pathlib import Path


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


def make(directory: Path) -> Path:
    """Put there a CA, a server and a client of it, and a stranger signed by himself."""
    names = directory / "names"
    names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    for name in ("ca", "stranger"):
        key, cert = directory / f"{name}.key", directory / f"{name}.pem"
        openssl("req", "-x509", *new, "-keyout", key, "-out", cert, "-subj", f"/CN={name}")
    for name in ("server", "client"):
        key, request = directory / f"{name}.key", directory / f"{name}.csr"
        openssl("req", *new, "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        signing = ("-CA", directory / "ca.pem", "-CAkey", directory / "ca.key", "-CAcreateserial")
        cert = directory / f"{name}.pem"
        openssl("x509", "-req", "-in", request, *signing, "-extfile", names, "-out", cert)
    return directory


def tls(pki: Path, *, mutual: bool) -> tuple[str | Path, ...]:
    own = ("--tls-cert", pki / "server.pem", "--tls-key", pki / "server.key")
    return (*own, "--tls-ca", pki / "ca.pem") if mutual else own
