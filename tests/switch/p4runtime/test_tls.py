"""TLS and mutual TLS of `p4switch run`, with certificates made on the fly."""

from __future__ import annotations

from pathlib import Path

import finsy as fy
import grpc
import pytest
from finsy.proto import p4r, p4r_grpc

from tests.switch.pki import openssl, tls
from tests.switch.test_cli import p4switch, running


def secure(pki: Path, port: int, client: str | None) -> grpc.Channel:
    key = (pki / f"{client}.key").read_bytes() if client else None
    chain = (pki / f"{client}.pem").read_bytes() if client else None
    roots = (pki / "ca.pem").read_bytes()
    options = [("grpc.use_local_subchannel_pool", 1)]
    credentials = grpc.ssl_channel_credentials(roots, key, chain)
    return grpc.secure_channel(f"127.0.0.1:{port}", credentials, options)


def version(channel: grpc.Channel) -> str:
    with channel:
        stub = p4r_grpc.P4RuntimeStub(channel)
        answer = stub.Capabilities(p4r.CapabilitiesRequest(), timeout=10)
    return answer.p4runtime_api_version


def refused(channel: grpc.Channel) -> bool:
    with pytest.raises(grpc.RpcError) as error:
        version(channel)
    return bool(error.value.code() == grpc.StatusCode.UNAVAILABLE)


def test_tls(pki: Path) -> None:
    with running(*tls(pki, mutual=False)) as (_, port):
        assert version(secure(pki, port, None))
        assert refused(grpc.insecure_channel(f"127.0.0.1:{port}"))


def test_mutual_tls(pki: Path) -> None:
    with running(*tls(pki, mutual=True)) as (_, port):
        assert version(secure(pki, port, "client"))
        assert refused(secure(pki, port, None))
        assert refused(secure(pki, port, "stranger"))
        assert refused(grpc.insecure_channel(f"127.0.0.1:{port}"))


async def test_finsy_over_mutual_tls(pki: Path) -> None:
    credentials = fy.GRPCCredentialsTLS(
        cacert=pki / "ca.pem", cert=pki / "client.pem", private_key=pki / "client.key"
    )
    with running(*tls(pki, mutual=True)) as (_, port):
        options = fy.SwitchOptions(channel_credentials=credentials)
        async with fy.Switch("s1", f"127.0.0.1:{port}", options) as switch:
            assert switch.is_primary


@pytest.mark.parametrize(
    ("cert", "key", "ca", "message"),
    [
        ("server.pem", None, None, "TLS takes both --tls-cert and --tls-key"),
        (None, "server.key", None, "TLS takes both --tls-cert and --tls-key"),
        (None, None, "ca.pem", "TLS takes both --tls-cert and --tls-key"),
        ("none.pem", "server.key", None, "--tls-cert: cannot read {}/none.pem"),
        ("server.pem", "none.key", None, "--tls-key: cannot read {}/none.key"),
        ("server.pem", "server.key", "none.pem", "--tls-ca: cannot read {}/none.pem"),
        ("names", "server.key", None, "--tls-cert: {}/names is no certificate"),
        ("server.pem", "names", None, "--tls-key: {}/names is no unencrypted private key"),
        ("server.pem", "locked.key", None, "--tls-key: {}/locked.key is no unencrypted"),
        ("server.pem", "client.key", None, "--tls-key: {0}/client.key is not the key of {0}"),
        ("server.pem", "open.key", None, "--tls-key: everybody may use {0}/open.key: chmod o= {0}"),
        ("server.pem", "server.key", "names", "--tls-ca: {}/names holds no certificates"),
    ],
)
def test_bad_certificates(
    pki: Path, cert: str | None, key: str | None, ca: str | None, message: str
) -> None:
    locked = pki / "locked.key"
    if key == locked.name:
        openssl("ec", "-in", pki / "server.key", "-aes128", "-passout", "pass:x", "-out", locked)
    if key == "open.key":
        (pki / key).write_bytes((pki / "server.key").read_bytes())
        (pki / key).chmod(0o644)
    given = (("--tls-cert", cert), ("--tls-key", key), ("--tls-ca", ca))
    arguments = [each for option, name in given if name for each in (option, pki / name)]
    failed = p4switch("run", "--grpc", "127.0.0.1:0", *arguments)
    assert failed.returncode == 2
    assert failed.stderr.startswith("p4switch: " + message.format(pki))
    assert failed.stderr.count("\n") == 1
