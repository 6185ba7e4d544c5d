"""The switch, through P4Runtime: connection, tables, counters, and a way to its registers."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

import finsy as fy
import grpc
from finsy.p4schema import P4Table

from controller.config import Device
from controller.entries import Entity, Stage, flood_by_default, stage_of
from controller.errors import ControllerError, RefusedError, UnknownNameError, UnreachableError
from controller.p4runtime import read, reason
from controller.registers import P4RuntimeRegisters, Registers, ThriftRegisters
from hosts.credentials import Tls

log = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 0.5

Key = bytes


@dataclass(frozen=True, slots=True)
class Found:
    """What was on the switch when the controller connected.

    fresh: it steers nothing yet, so tables and registers have to be restored.
    pristine: nobody has written anything to it, so all registers are still zero.
    """

    fresh: bool
    pristine: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One table entry as text; `packets` and `bytes` where the table counts."""

    table: str
    match: dict[str, str]
    action: str
    is_default: bool
    packets: int | None
    bytes: int | None


class Session:
    """One P4Runtime connection as primary controller, with what is installed as it knows it."""

    def __init__(self, switch: fy.Switch, registers: Registers) -> None:
        self.switch = switch
        self.registers = registers
        self.lost: asyncio.Future[None] = switch.ee.event_future(fy.SwitchEvent.CHANNEL_DOWN)
        self._installed: dict[Key, Entity] = {}

    async def look(self) -> Found:
        """Read what is installed."""
        wildcards = [fy.P4TableEntry(), fy.P4MulticastGroupEntry(), fy.P4CloneSessionEntry()]
        async for entity in read(self.switch, wildcards, object):
            assert isinstance(entity, Entity)
            if isinstance(entity, fy.P4TableEntry) and (
                entity.is_const or entity.is_default_action
            ):
                continue
            self._installed[self._key(entity)] = entity
        fresh = all(stage_of(entity) is not Stage.SERVICE for entity in self._installed.values())
        return Found(fresh, not self._installed)

    def _key(self, entity: Entity) -> Key:
        """Return what makes an entity the same one: all but its action, replicas and counts."""
        encoded = entity.encode(self.switch.p4info)
        if isinstance(entity, fy.P4TableEntry):
            entry = encoded.table_entry
            match = sorted(field.SerializeToString(deterministic=True) for field in entry.match)
            return b"table %d %d " % (entry.table_id, entry.priority) + b"|".join(match)
        if isinstance(entity, fy.P4MulticastGroupEntry):
            return b"multicast %d" % entity.multicast_group_id
        return b"clone %d" % entity.session_id

    def _same(self, one: Entity, other: Entity) -> bool:
        schema = self.switch.p4info
        a, b = one.encode(schema), other.encode(schema)
        if a.HasField("table_entry"):
            return a.table_entry.action == b.table_entry.action
        return a == b

    async def update(self, desired: Sequence[Entity], stages: Sequence[Stage]) -> None:
        """Make the switch hold `desired`, as far as `stages` go, and nothing else in them.

        Entries come before those that rely on them and go after them, so that a partition is
        always steered: pieces of it are there before the whole is taken away.
        """
        wanted = {self._key(entity): entity for entity in desired if stage_of(entity) in stages}
        for stage in stages:
            inserted, modified = [], []
            for key, entity in wanted.items():
                if stage_of(entity) is not stage:
                    continue
                if key not in self._installed:
                    inserted.append(entity)
                elif not self._same(entity, self._installed[key]):
                    modified.append(entity)
            await self.switch.insert(inserted)
            await self.switch.modify(modified)
            self._installed.update((self._key(each), each) for each in (*inserted, *modified))
        for stage in reversed(stages):
            stale = [
                key
                for key, entity in self._installed.items()
                if stage_of(entity) is stage and key not in wanted
            ]
            await self.switch.delete([self._installed[key] for key in stale])
            for key in stale:
                del self._installed[key]
        if Stage.BASE in stages:
            await self.switch.modify([flood_by_default()])


class Switch:
    """The switch of the configuration, connected again whenever the connection is lost."""

    def __init__(
        self, device: Device, desired: Callable[[], Sequence[Entity]], tls: Tls | None
    ) -> None:
        self.device = device
        self._tls = tls
        self._desired = desired
        self._session: Session | None = None
        self._updating = asyncio.Lock()
        self.ready = asyncio.Event()
        self.error = "not connected yet"

    @property
    def name(self) -> str:
        """How messages name the switch."""
        return f"switch {self.device.name} ({self.device.address})"

    async def run(self, take_over: Callable[[Session, Found], Awaitable[None]]) -> None:
        """Stay connected; `take_over` installs everything after each connection."""
        while True:
            try:
                await self._run_once(take_over)
            except (fy.P4ClientError, ControllerError, RuntimeError) as error:
                self._set_error(reason(error, secure=self._tls is not None))
            except Exception:
                log.exception("%s: trying again", self.name)
            finally:
                self._session = None
                self.ready.clear()
            await asyncio.sleep(_RETRY_SECONDS)

    async def _run_once(self, take_over: Callable[[Session, Found], Awaitable[None]]) -> None:
        # The latest controller wins: a stale one must not stay primary.
        options = fy.SwitchOptions(
            p4info=self.device.p4info,
            p4blob=self.device.p4_device_config,
            device_id=self.device.device_id,
            initial_election_id=int(time.time()),
            channel_credentials=_credentials(self._tls),
        )
        async with fy.Switch(self.device.name, self.device.address, options) as connection:
            if not connection.p4info.exists:
                raise RuntimeError(
                    "no P4 program is loaded there: start the switch with one, or name "
                    "device.p4info and device.p4_device_config in the configuration"
                )
            if not connection.is_primary:
                raise RuntimeError("another controller is its primary")
            async with self._registers(connection) as registers:
                session = Session(connection, registers)
                work = asyncio.ensure_future(self._take_over(session, take_over))
                await asyncio.wait([work, session.lost], return_when=asyncio.FIRST_COMPLETED)
                if not work.done():
                    work.cancel()
                    await asyncio.gather(work, return_exceptions=True)
                else:
                    await work
                    await session.lost
        self._set_error("connection lost")

    def _registers(self, connection: fy.Switch) -> Registers:
        if self.device.thrift is not None:
            return ThriftRegisters(connection, self.device.thrift)
        return P4RuntimeRegisters(connection)

    async def _take_over(
        self, session: Session, take_over: Callable[[Session, Found], Awaitable[None]]
    ) -> None:
        found = await session.look()
        log.info("%s: connected%s", self.name, ", nothing installed" if found.fresh else "")
        async with self._updating:
            with self.reporting():
                await take_over(session, found)
            self._session = session
        self.error = ""
        self.ready.set()

    def _set_error(self, error: str) -> None:
        if error != self.error:
            log.warning("%s: %s", self.name, error)
        self.error = error

    def session(self) -> Session:
        """Return the present connection."""
        if self._session is None:
            raise UnreachableError(f"{self.name} is not reachable: {self.error}")
        return self._session

    @property
    def registers(self) -> Registers:
        """The registers of the present connection."""
        return self.session().registers

    async def update(self) -> None:
        """Bring the tables in line with the store."""
        async with self._updating:
            session = self.session()
            with self.reporting():
                await session.update(self._desired(), list(Stage))

    @contextlib.contextmanager
    def reporting(self) -> Iterator[None]:
        """Turn a failure of the P4Runtime client into an error that names the switch."""
        try:
            yield
        except fy.P4ClientError as error:
            if error.code in (fy.GRPCStatusCode.UNAVAILABLE, fy.GRPCStatusCode.DEADLINE_EXCEEDED):
                raise UnreachableError(f"{self.name} is not reachable: {reason(error)}") from None
            raise RefusedError(f"{self.name} refused: {reason(error)}") from None
        except (AssertionError, grpc.aio.UsageError):
            # finsy has closed the channel under us.
            raise UnreachableError(f"{self.name} is not reachable: connection lost") from None
        except asyncio.CancelledError:
            # Closing the channel cancels its calls, which must not look as if we were cancelled.
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise UnreachableError(f"{self.name} is not reachable: connection lost") from None

    async def tables(self, name: str = "") -> dict[str, list[Row]]:
        """Return the entries of all tables, or of one, as text."""
        connection = self.session().switch
        schema = connection.p4info
        names = [table.alias for table in schema.tables]
        if name:
            if name not in names:
                raise UnknownNameError(f"no table {name!r}: there are {', '.join(names)}")
            names = [name]
        rows: dict[str, list[Row]] = {table: [] for table in names}
        with self.reporting():
            for table in names:
                counting = schema.tables[table].direct_counter is not None
                data = fy.P4CounterData() if counting else None
                wanted = [
                    fy.P4TableEntry(table, counter_data=data),
                    fy.P4TableEntry(table, counter_data=data, is_default_action=True),
                ]
                async for entry in read(connection, wanted, fy.P4TableEntry):
                    count = entry.counter_data
                    rows[table].append(
                        Row(
                            table,
                            _match_text(entry, schema.tables[table]),
                            _action_text(entry, schema.tables[table]),
                            entry.is_default_action,
                            count.packet_count if count else None,
                            count.byte_count if count else None,
                        )
                    )
        return rows

    async def served(self) -> dict[tuple[int, int], int]:
        """Return, for each prefix of groups that is not moving, the index of its server."""
        found: dict[tuple[int, int], int] = {}
        with self.reporting():
            wanted = [fy.P4TableEntry("partition")]
            async for entry in read(self.session().switch, wanted, fy.P4TableEntry):
                action = entry.action
                if isinstance(action, fy.P4TableAction) and action.name == "serve":
                    found[entry["group"]] = action.args["server"]
        return found

    async def partition_packets(self) -> dict[tuple[int, int], int]:
        """Return, for each prefix of groups, how many packets its entry has matched."""
        found: dict[tuple[int, int], int] = {}
        with self.reporting():
            wanted = [fy.P4TableEntry("partition", counter_data=fy.P4CounterData())]
            async for entry in read(self.session().switch, wanted, fy.P4TableEntry):
                if entry.counter_data is not None:
                    found[entry["group"]] = entry.counter_data.packet_count
        return found

    async def counters(self) -> dict[str, list[tuple[int, int]]]:
        """Return (packets, bytes) of every cell of every indirect counter."""
        connection = self.session().switch
        found: dict[str, list[tuple[int, int]]] = {}
        with self.reporting():
            for counter in connection.p4info.counters:
                cells = found.setdefault(counter.alias, [(0, 0)] * counter.size)
                wanted = [fy.P4CounterEntry(counter.alias)]
                async for entry in read(connection, wanted, fy.P4CounterEntry):
                    assert entry.index is not None
                    cells[entry.index] = (entry.packet_count, entry.byte_count)
        return found


def _credentials(tls: Tls | None) -> fy.GRPCCredentialsTLS | None:
    if tls is None:
        return None
    return fy.GRPCCredentialsTLS(cacert=tls.ca, cert=tls.chain, private_key=tls.key)


def _text(value: object, bits: int) -> str:
    """Return a field as people write it: addresses as such, numbers in decimal."""
    if isinstance(value, tuple):
        prefix, length = value
        return f"{_text(prefix, bits)}/{length}"
    if isinstance(value, int):
        if bits == 48:
            return str(fy.MACAddress(value))
        if bits == 32:
            return str(IPv4Address(value))
    return str(value)


def _match_text(entry: fy.P4TableEntry, table: P4Table) -> dict[str, str]:
    """Return an entry's match fields in the order of the table's key."""
    values: dict[str, object] = entry.match or {}
    return {
        field.alias: _text(values[field.alias], field.bitwidth) if field.alias in values else "*"
        for field in table.match_fields
    }


def _action_text(entry: fy.P4TableEntry, table: P4Table) -> str:
    """Return an entry's action as a call."""
    action = entry.action
    if not isinstance(action, fy.P4TableAction):
        return "NoAction()"
    widths = {param.name: param.bitwidth for param in table.actions[action.name].params}
    arguments = (f"{name}={_text(value, widths[name])}" for name, value in action.args.items())
    return f"{action.name}({', '.join(arguments)})"
