"""The controller's configuration: one JSON object, read into frozen dataclasses."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path
from typing import Any, Final, Self

from controller.errors import InvalidError, UnknownNameError
from controller.partitions import Range
from hosts.credentials import TlsFiles

_MAC: Final = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}", re.ASCII | re.IGNORECASE)
_MAX_16: Final = (1 << 16) - 1
# BMv2 and most v1model targets keep the upper port numbers for drop and CPU.
_MAX_PORT: Final = 509


class Fields:
    """One JSON object being read; knows its path, so that errors can name the field."""

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise InvalidError(f"{path or 'configuration'}: expected an object, found {value!r}")
        self._values: dict[str, Any] = value
        self._path = path

    def path(self, name: str) -> str:
        """Return the full name of field `name`."""
        return f"{self._path}.{name}" if self._path else name

    def _get(self, name: str) -> object:
        if name not in self._values:
            raise InvalidError(f"{self.path(name)}: missing")
        return self._values[name]

    def text(self, name: str) -> str:
        """Return a non-empty string."""
        value = self._get(name)
        if not isinstance(value, str) or not value:
            raise InvalidError(f"{self.path(name)}: expected a non-empty string, found {value!r}")
        return value

    def integer(self, name: str, low: int, high: int) -> int:
        """Return an integer in `low`…`high`."""
        value = self._get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise InvalidError(
                f"{self.path(name)}: expected an integer from {low} to {high}, found {value!r}"
            )
        return value

    def optional_integer(self, name: str, low: int, high: int) -> int | None:
        """Return an integer in `low`…`high`, or None where the field is absent."""
        return None if self._values.get(name) is None else self.integer(name, low, high)

    def file(self, name: str) -> Path:
        """Return the path of a file that exists."""
        path = Path(self.text(name))
        if not path.is_file():
            raise InvalidError(f"{self.path(name)}: no file {path}")
        return path

    def optional_file(self, name: str) -> Path | None:
        """Return the path of a file that exists, or None where the field is absent."""
        return None if self._values.get(name) is None else self.file(name)

    def optional_tls(self, name: str) -> TlsFiles | None:
        """Return where certificate, key and CA are, or None where the field is absent."""
        if self._values.get(name) is None:
            return None
        fields = self.nested(name)
        return TlsFiles(
            fields.file("cert"),
            fields.file("key"),
            fields.file("ca"),
            options=(fields.path("cert"), fields.path("key"), fields.path("ca")),
        )

    def optional_endpoint(self, name: str) -> str | None:
        """Return HOST:PORT, or None where the field is absent."""
        if self._values.get(name) is None:
            return None
        value = self.text(name)
        host, _, port = value.rpartition(":")
        if not host or not port.isascii() or not port.isdecimal() or int(port) > _MAX_16:
            raise InvalidError(f"{self.path(name)}: expected HOST:PORT, found {value!r}")
        return value

    def ip(self, name: str) -> str:
        """Return an IPv4 address."""
        value = self.text(name)
        try:
            return str(IPv4Address(value))
        except AddressValueError:
            raise InvalidError(
                f"{self.path(name)}: expected an IPv4 address, found {value!r}"
            ) from None

    def mac(self, name: str) -> str:
        """Return a MAC address in lower case."""
        value = self.text(name)
        if _MAC.fullmatch(value) is None:
            raise InvalidError(f"{self.path(name)}: expected a MAC address, found {value!r}")
        return value.lower()

    def nested(self, name: str) -> "Fields":
        """Return a nested object."""
        return Fields(self._get(name), self.path(name))

    def each(self, name: str) -> "list[Fields]":
        """Return the objects of a list."""
        value = self._get(name)
        if not isinstance(value, list):
            raise InvalidError(f"{self.path(name)}: expected a list, found {value!r}")
        return [Fields(item, f"{self.path(name)}[{i}]") for i, item in enumerate(value)]


@dataclass(frozen=True, slots=True)
class Device:
    """The switch, as a P4Runtime server.

    `p4info` and `p4_device_config` are what the controller loads into a switch that does not
    load its program itself; both or neither.
    """

    name: str
    address: str
    device_id: int
    target: str
    program: str
    p4info: Path | None
    p4_device_config: Path | None
    thrift: str | None
    """Where BMv2 serves Thrift: its registers cannot be reached over P4Runtime."""
    tls: TlsFiles | None
    """What the controller shows to P4Runtime, and the CA of the switch."""

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Read it from JSON."""
        p4info, blob = (fields.optional_file(name) for name in ("p4info", "p4_device_config"))
        if (p4info is None) != (blob is None):
            raise InvalidError(
                f"{fields.path('p4info')} and {fields.path('p4_device_config')}: "
                "one without the other loads nothing"
            )
        return cls(
            fields.text("name"),
            fields.text("address"),
            fields.integer("device_id", 1, (1 << 63) - 1),
            fields.text("target"),
            fields.text("program"),
            p4info,
            blob,
            fields.optional_endpoint("thrift"),
            fields.optional_tls("tls"),
        )


@dataclass(frozen=True, slots=True)
class Host:
    """A client host: addresses, switch port, and the pid of its network namespace if known."""

    name: str
    ip: str
    mac: str
    port: int
    pid: int | None

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Read it from JSON."""
        return cls(
            fields.text("name"),
            fields.ip("ip"),
            fields.mac("mac"),
            fields.integer("port", 1, _MAX_PORT),
            fields.optional_integer("pid", 1, (1 << 31) - 1),
        )


@dataclass(frozen=True, slots=True)
class Server(Host):
    """A host that runs a store and an agent; `index` is its key in the switch's tables."""

    index: int
    udp_port: int
    channel_port: int
    agent: str

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Read it from JSON."""
        host = Host.read(fields)
        return cls(
            host.name,
            host.ip,
            host.mac,
            host.port,
            host.pid,
            # A clone session carries the server's index, and session 0 does not exist.
            fields.integer("index", 1, 511),
            fields.integer("udp_port", 1, _MAX_16),
            fields.integer("channel_port", 1, _MAX_16),
            fields.text("agent"),
        )


@dataclass(frozen=True, slots=True)
class Partition:
    """The first placement of a partition."""

    name: str
    groups: Range
    server: str

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Read it from JSON."""
        name = fields.text("name")
        first, last = (fields.integer(field, 0, _MAX_16) for field in ("first", "last"))
        try:
            groups = Range(first, last)
            groups.require_aligned()
        except InvalidError as error:
            raise InvalidError(f"{fields.path('first')}: partition {name!r}: {error}") from None
        if name[0].isdigit() or "." in name:
            raise InvalidError(
                f"{fields.path('name')}: {name!r}: a name starts with a letter and has no dot "
                "(ranges and pieces of split partitions look like that)"
            )
        return cls(name, groups, fields.text("server"))


@dataclass(frozen=True, slots=True)
class Service:
    """One key space behind one virtual address."""

    name: str
    id: int
    vip: str
    vip_mac: str
    port: int
    partitions: tuple[Partition, ...]

    @classmethod
    def read(cls, fields: Fields) -> Self:
        """Read it from JSON."""
        return cls(
            fields.text("name"),
            fields.integer("id", 1, _MAX_16),
            fields.ip("vip"),
            fields.mac("vip_mac"),
            fields.integer("port", 1, _MAX_16),
            tuple(Partition.read(each) for each in fields.each("partitions")),
        )


@dataclass(frozen=True, slots=True)
class Config:
    """All that the controller is told at its start."""

    device: Device
    router_mac: str
    hosts: tuple[Host, ...]
    servers: tuple[Server, ...]
    service: Service
    store: Path
    listen: str
    tls: TlsFiles | None
    """What the controller shows to agents that it reaches by TCP, and their CA."""

    @classmethod
    def parse(cls, value: object) -> Self:
        """Check and convert the JSON value of a configuration."""
        fields = Fields(value, "")
        services = [Service.read(each) for each in fields.each("services")]
        if len(services) != 1:
            # An agent answers for one service; so a rack of servers has one.
            raise InvalidError(f"services: expected exactly one service, found {len(services)}")
        config = cls(
            Device.read(fields.nested("device")),
            fields.mac("router_mac"),
            tuple(Host.read(each) for each in fields.each("hosts")),
            tuple(Server.read(each) for each in fields.each("servers")),
            services[0],
            Path(fields.text("store")),
            fields.text("listen"),
            fields.optional_tls("tls"),
        )
        config._check()
        return config

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the configuration file `path`."""
        try:
            return cls.parse(json.loads(path.read_text()))
        except OSError as error:
            raise InvalidError(f"{path}: {error.strerror}") from None
        except (UnicodeDecodeError, json.JSONDecodeError) as error:
            raise InvalidError(f"{path}: not JSON: {error}") from None
        except InvalidError as error:
            raise InvalidError(f"{path}: {error}") from None

    def server_named(self, name: str) -> Server:
        """Return the server called `name`."""
        for server in self.servers:
            if server.name == name:
                return server
        known = ", ".join(server.name for server in self.servers)
        raise UnknownNameError(f"no server {name!r}: there are {known}")

    def _check(self) -> None:
        if not self.servers:
            raise InvalidError("servers: expected at least one")
        for field in ("name", "ip", "mac", "port"):
            _check_unique(field, (*self.servers, *self.hosts))
        for field in ("index", "agent"):
            _check_unique(field, self.servers)
        seen: dict[str, Partition] = {}
        for partition in self.service.partitions:
            if partition.name in seen:
                raise InvalidError(f"services[0].partitions: two are called {partition.name!r}")
            try:
                self.server_named(partition.server)
            except UnknownNameError as error:
                raise InvalidError(
                    f"services[0].partitions: partition {partition.name!r}: {error}"
                ) from None
            for other in seen.values():
                if other.groups.overlaps(partition.groups):
                    raise InvalidError(
                        f"services[0].partitions: {other.name!r} ({other.groups}) and "
                        f"{partition.name!r} ({partition.groups}) overlap"
                    )
            seen[partition.name] = partition


def _check_unique(field: str, hosts: Sequence[Host]) -> None:
    owners: dict[object, str] = {}
    for host in hosts:
        value = getattr(host, field)
        if value in owners:
            raise InvalidError(
                f"servers and hosts: {owners[value]!r} and {host.name!r} both have {field} {value}"
            )
        owners[value] = host.name
