"""The configuration: what is read, and how errors name the field."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from controller.config import Config
from controller.errors import InvalidError, UnknownNameError
from controller.partitions import Range
from tests.controller.networks import network


def test_reads_a_network(tmp_path: Path) -> None:
    config = Config.parse(network(tmp_path))
    assert config.device.address == "127.0.0.1:1"
    assert [server.index for server in config.servers] == [1, 2]
    assert config.servers[0].pid is None
    assert config.service.partitions[0].groups == Range(0, 16383)
    assert config.server_named("server2").ip == "10.0.1.2"
    with pytest.raises(UnknownNameError, match="no server 'x': there are server1, server2"):
        config.server_named("x")


def _set(path: str, value: Any) -> Callable[[Any], None]:
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]

    def change(net: Any) -> None:
        for part in parents:
            net = net[part]
        if value is KeyError:
            del net[last]
        else:
            net[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("device.address", KeyError), "device.address: missing"),
        (_set("device.p4info", "/nowhere"), "device.p4info: no file /nowhere"),
        (_set("device.p4info", __file__), "device.p4info and device.p4_device_config: one without"),
        (_set("device.thrift", "9090"), "device.thrift: expected HOST:PORT, found '9090'"),
        (_set("tls", {"cert": __file__, "key": "/no"}), "tls.key: no file /no"),
        (_set("device.tls", {"cert": __file__}), "device.tls.key: missing"),
        (_set("device", 3), "device: expected an object, found 3"),
        (_set("servers.1.port", "2"), r"servers\[1\].port: expected an integer from 1 to 509"),
        (_set("servers.1.port", True), r"servers\[1\].port: expected an integer"),
        (_set("servers.0.index", 0), r"servers\[0\].index: expected an integer from 1 to 511"),
        (_set("servers.0.ip", "10.0.0"), r"servers\[0\].ip: expected an IPv4 address"),
        (_set("hosts.0.mac", "02:00"), r"hosts\[0\].mac: expected a MAC address, found '02:00'"),
        (_set("hosts.0.pid", -1), r"hosts\[0\].pid: expected an integer"),
        (_set("hosts.0.port", 1), "'server1' and 'client1' both have port 1"),
        (_set("servers.1.index", 1), "'server1' and 'server2' both have index 1"),
        (_set("hosts", {}), "hosts: expected a list"),
        (_set("servers", []), "servers: expected at least one"),
        (_set("services", []), "services: expected exactly one service, found 0"),
        (
            _set("services.0.partitions.0.last", 16000),
            "partition 'p0': groups 0-16000: a partition",
        ),
        (_set("services.0.partitions.0.last", 40000), "partition 'p0': groups 0-40000: expected"),
        (_set("services.0.partitions.0.server", "s9"), "partition 'p0': no server 's9'"),
        (_set("services.0.partitions.0.name", "0-8191"), "a name starts with a letter"),
        (_set("store", ""), "store: expected a non-empty string"),
    ],
)
def test_an_error_names_the_field(
    tmp_path: Path, change: Callable[[Any], None], message: str
) -> None:
    net = network(tmp_path)
    change(net)
    with pytest.raises(InvalidError, match=message):
        Config.parse(net)


def test_partitions_must_not_overlap(tmp_path: Path) -> None:
    net = network(tmp_path)
    net["services"][0]["partitions"].append(
        {"name": "p1", "first": 8192, "last": 16383, "server": "server2"}
    )
    with pytest.raises(InvalidError, match=r"'p0' \(0-16383\) and 'p1' \(8192-16383\) overlap"):
        Config.parse(net)


def test_a_file_is_named_in_its_errors(tmp_path: Path) -> None:
    path = tmp_path / "net.json"
    with pytest.raises(InvalidError, match=r"net.json: No such file"):
        Config.load(path)
    path.write_text("{")
    with pytest.raises(InvalidError, match=r"net.json: not JSON"):
        Config.load(path)
    path.write_text(json.dumps([]))
    with pytest.raises(InvalidError, match=r"net.json: configuration: expected an object"):
        Config.load(path)
    path.write_text(json.dumps(network(tmp_path)))
    assert Config.load(path).device.name == "tor"
