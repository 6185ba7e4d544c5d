"""What a user may set of a network and of a run."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from controller.model import MAX_LANES, Protocol
from hosts.wire import MAX_BATCH, is_batch

RUNTIME: Final = Path("/run/netmigrate")
WORKLOADS: Final = ("A", "B", "C", "D", "F")
SWITCHES: Final = ("embedded", "bmv2")


class SettingError(ValueError):
    """A setting that makes no sense; the message names it and what it may be."""


@dataclass(frozen=True)
class Network:
    """Shape of the emulated network. `directory` holds its sockets, logs and databases."""

    servers: int = 2
    clients: int = 1
    switch: str = "embedded"
    switch_name: str = "tor"
    directory: Path = RUNTIME
    rdb: Path | None = None
    log_packets: bool = False
    """Whether the switch traces packets in its log, `switch.log` in the directory."""
    cpu_budgets: dict[str, float] = field(default_factory=dict)
    """Host name → share of one core, for hosts that get a CPU quota."""

    def __post_init__(self) -> None:
        if not 2 <= self.servers <= 64:
            raise SettingError(f"SERVERS={self.servers}: a migration needs 2 to 64 servers")
        if not 1 <= self.clients <= 64:
            raise SettingError(f"CLIENTS={self.clients}: 1 to 64 client hosts")
        if self.switch not in SWITCHES:
            raise SettingError(f"SWITCH={self.switch}: one of {', '.join(SWITCHES)}")
        if self.rdb is not None and not self.rdb.is_file():
            raise SettingError(f"RDB={self.rdb}: no such file")


@dataclass(frozen=True)
class Run:
    """One measured migration under load. Rates in operations per second, times in seconds."""

    keys: int = 200_000
    value_size: int = 64
    workload: str = "B"
    rate: int = 8_000
    throttle: int = 20_000_000
    """Bits per second of group data; 0 is unthrottled."""
    lanes: int = 0
    """Parallel senders of the source; 0: as the controller thinks right."""
    group_batch: int = 0
    """How many groups move as one; 0: as the controller thinks right."""
    pull_reads: bool = False
    """Whether reads of groups on the move are pulled at the destination instead of doubled."""
    protocol: str = Protocol.NETMIGRATE
    seed: int = 1
    before: float = 10.0
    after: float = 10.0
    output: Path = Path("out/run")

    def __post_init__(self) -> None:
        if self.workload not in WORKLOADS:
            raise SettingError(f"WORKLOAD={self.workload}: one of {', '.join(WORKLOADS)}")
        for name in ("keys", "rate"):
            if getattr(self, name) < 1:
                raise SettingError(f"{name.upper()}={getattr(self, name)}: at least 1")
        if not 16 <= self.value_size <= 1300:
            raise SettingError(
                f"VALUE_SIZE={self.value_size}: 16 to 1300 bytes, so that a value with its command "
                "fits one datagram"
            )
        if self.throttle < 0:
            raise SettingError(f"THROTTLE={self.throttle}: Mbit/s, or 0 for unthrottled")
        if not 0 <= self.lanes <= MAX_LANES:
            raise SettingError(f"LANES={self.lanes}: 1 to {MAX_LANES}, 0 for as many as fit")
        if self.protocol not in tuple(Protocol):
            raise SettingError(f"PROTOCOL={self.protocol}: one of {', '.join(Protocol)}")
        if self.group_batch and not is_batch(self.group_batch):
            raise SettingError(f"GROUP_BATCH={self.group_batch}: a power of two, 1 to {MAX_BATCH}")
        if self.pull_reads and not Protocol(self.protocol).is_followed:
            raise SettingError(f"PULL_READS=1: with PROTOCOL={Protocol.NETMIGRATE} alone")
