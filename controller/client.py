"""A running controller, called from a program: what the `netmigrate` CLI does, in Python."""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import grpc

from controller import controller_pb2 as pb
from controller.config import Config
from controller.controller_pb2_grpc import ControllerStub


class Controller:
    """A connection to the controller of the network whose configuration is at `config`.

    What the controller refuses is a grpc.RpcError whose `details()` say why.
    """

    def __init__(self, config: Path | str = "/run/netmigrate/net.json") -> None:
        self.config = Config.load(Path(config))
        self._channel = grpc.insecure_channel(
            self.config.listen, options=[("grpc.enable_http_proxy", 0)]
        )
        self._stub: Any = ControllerStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._channel.close()

    def status(self) -> pb.Status:
        """Return services, partitions, servers and running migrations."""
        status: pb.Status = self._stub.GetStatus(pb.StatusRequest())
        return status

    def migrate(
        self,
        partition: str,
        destination: str,
        *,
        throttle: int = 0,
        lanes: int = 0,
        group_batch: int = 0,
        protocol: str = "",
        stop_bytes: int = 0,
        pull_reads: bool = False,
    ) -> pb.Migration:
        """Begin a migration; what is 0 is chosen for you (but a throttle of 0 is none)."""
        migration: pb.Migration = self._stub.Migrate(
            pb.MigrateRequest(
                partition=partition,
                destination=destination,
                throttle=throttle,
                lanes=lanes,
                group_batch=group_batch,
                protocol=protocol,
                stop_bytes=stop_bytes,
                pull_reads=pull_reads,
            )
        )
        return migration

    def abort(self, migration: int) -> pb.Migration:
        """Stop a migration; return the one that moves back what was moved."""
        back: pb.Migration = self._stub.Abort(pb.MigrationRef(migration=migration))
        return back

    def resume(self, migration: int) -> pb.Migration:
        """Let a paused or stalled migration go on."""
        resumed: pb.Migration = self._stub.Resume(pb.MigrationRef(migration=migration))
        return resumed

    def watch(
        self, migration: int, progress: Callable[[pb.Migration], None] = lambda _: None
    ) -> pb.Migration:
        """Follow a migration to its end; `progress` sees every message."""
        latest = pb.Migration()
        for latest in self._stub.Watch(pb.MigrationRef(migration=migration)):
            progress(latest)
        return latest

    def history(self) -> list[pb.Migration]:
        """Return all migrations there have been, oldest first."""
        return list(self._stub.GetHistory(pb.HistoryRequest()).migrations)

    def counters(self) -> dict[str, dict[str, tuple[int, int]]]:
        """Return packets and bytes of the switch's counters: counter → cell → both."""
        found: dict[str, dict[str, tuple[int, int]]] = {}
        for cell in self._stub.ReadCounters(pb.CountersRequest()).counters:
            name = cell.name.rpartition(".")[2]
            found.setdefault(name, {})[cell.cell] = (cell.packets, cell.bytes)
        return found

    def agent_counters(self) -> dict[str, int]:
        """Return the agents' counters, summed over all servers."""
        total: dict[str, int] = {}
        for server in self.status().servers:
            for name, count in server.counters.items():
                total[name] = total.get(name, 0) + count
        return total

    def registers_match(self, migration: int = 0) -> bool:
        """Say whether the switch's view of every group equals the agents' truth."""
        return bool(self._stub.CompareGroups(pb.CompareRequest(migration=migration)).match)
