"""The controller as a long-running process."""

import asyncio
import logging
import signal
import socket
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import grpc

from controller.agents import Agents, place
from controller.config import Config
from controller.controller_pb2_grpc import add_ControllerServicer_to_server
from controller.entries import Entity, entries
from controller.errors import ControllerError, InvalidError
from controller.follow import Parts
from controller.migrations import Migrations
from controller.recovery import Recovery
from controller.service import Service
from controller.slices import SLICES, Cleaner
from controller.store import Store
from controller.switch import Switch
from hosts.credentials import CredentialsError, Tls, TlsFiles, private

log = logging.getLogger(__name__)

_RETRY_SECONDS: Final = 0.5
_PLACE_SECONDS: Final = 10.0


async def serve(config: Config) -> None:
    """Run the controller of `config` until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with Controller(config) as controller:
        ready = asyncio.create_task(controller.ready())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([ready, stopping], return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            await ready
            message = f"ready: {config.device.name}, {len(config.servers)} servers, {config.listen}"
            print(message, flush=True)
        else:
            ready.cancel()
        await stopping


class Controller:
    """All parts of a running controller, as an async context."""

    def __init__(self, config: Config) -> None:
        self.config = config
        agents_tls, device_tls = _load(config.tls), _load(config.device.tls)
        self.store = Store(config.store)
        self.store.place(config.service, SLICES)
        self.agents = Agents(config, agents_tls)
        self.switch = Switch(config.device, self._desired, device_tls)
        self.parts = Parts(
            self.store,
            self.agents,
            self.switch,
            Recovery(self.store, self.agents, self.switch, self._desired),
            Cleaner(self.store, self.switch),
        )
        self.migrations = Migrations(config, self.parts)
        self._placed = asyncio.Event()
        self._exits = AsyncExitStack()

    def _desired(self) -> Sequence[Entity]:
        active = self.store.migrations(active=True)
        return entries(self.config, self.store.partitions(), active)

    async def __aenter__(self) -> "Controller":
        try:
            await self._start()
        except BaseException:
            await self._exits.aclose()
            raise
        return self

    async def _start(self) -> None:
        self._exits.callback(self.store.close)
        self._exits.push_async_callback(self.agents.close)
        await self._listen()
        self._exits.push_async_callback(self.migrations.close)
        self.migrations.follow_active()
        self._run(self.switch.run(self.parts.recovery.take_over), "switch")
        self._run(self.parts.cleaner.run(), "cleaner")
        self._run(self._place(), "placement")

    async def __aexit__(self, *error: object) -> None:
        await self._exits.aclose()

    async def ready(self) -> None:
        """Wait until the switch steers and every agent knows its groups.

        A server that is down must not keep the others waiting for long.
        """
        await self.switch.ready.wait()
        try:
            await asyncio.wait_for(self._placed.wait(), _PLACE_SECONDS)
        except TimeoutError:
            log.warning("not all agents have answered yet")

    def _run(self, work: Coroutine[None, None, None], name: str) -> None:
        """Run background work until the controller ends; it must not end by itself."""
        task = asyncio.ensure_future(work)
        task.add_done_callback(lambda done: _report(done, name))

        async def cancel() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        self._exits.push_async_callback(cancel)

    async def _listen(self) -> None:
        server = grpc.aio.server()
        add_ControllerServicer_to_server(Service(self.config, self.parts, self.migrations), server)
        listen = self.config.listen
        try:
            if listen.startswith("unix:"):
                _make_way(Path(listen.removeprefix("unix:")))
            if not listen.startswith("unix:"):
                log.warning("%s: whoever reaches that may do all that netmigrate can", listen)
            with private():
                server.add_insecure_port(listen)
            await server.start()
        except (RuntimeError, OSError) as error:
            raise ControllerError(f"cannot listen on {listen}: {error}") from None
        self._exits.push_async_callback(server.stop, 0.2)

    async def _place(self) -> None:
        """Tell the agents of their groups, each as soon as it answers."""
        waiting = [server.name for server in self.config.servers]
        complaints: dict[str, str] = {}
        while waiting:
            moving = {each.partition for each in self.store.migrations(active=True)}
            resting = [each for each in self.store.partitions() if each.name not in moving]
            for name in list(waiting):
                try:
                    await place(self.agents, name, resting)
                    waiting.remove(name)
                except ControllerError as error:
                    if complaints.get(name) != str(error):
                        log.warning("%s", error)
                    complaints[name] = str(error)
            await asyncio.sleep(_RETRY_SECONDS if waiting else 0)
        self._placed.set()


def _load(files: TlsFiles | None) -> Tls | None:
    try:
        return files.load() if files else None
    except CredentialsError as error:
        raise InvalidError(str(error)) from None


def _make_way(path: Path) -> None:
    """Remove the socket of a controller that is gone; refuse if one is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OSError("another controller is listening there")


def _report(task: "asyncio.Future[None]", name: str) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("%s: stopped", name, exc_info=error)
