"""`python -m torture.client`: some client sessions in one process, each one command at a time."""

import argparse
import asyncio
import signal
from pathlib import Path

from hosts.check.search import WRONGTYPE
from hosts.client import AsyncClient, NetMigrateError, ReplyError
from torture.record import Recorder
from torture.workload import Keys, commands, reads

# What Redis says of a value that INCR cannot take: nothing was changed.
_NOT_A_NUMBER = ("ERR value is not an integer or out of range", "ERR increment or decrement would")
# Those who say so must not execute the command later: the record is judged as if it had not been.
_OUT_OF_MEMORY = "OOM "
_REFUSED = "the store is not reachable; nothing was executed"


async def session(
    settings: argparse.Namespace, number: int, recorder: Recorder, stopped: asyncio.Event
) -> None:
    """Send one command after the other until `stopped`."""
    name = f"{settings.name}.{number}"
    keys = Keys(settings.hot, settings.cold)
    chosen = commands(settings.seed, settings.first + number, keys)
    async with AsyncClient(settings.vip, settings.port, timeout=settings.timeout) as store:
        while not stopped.is_set():
            due = asyncio.get_running_loop().time() + settings.sessions / settings.rate
            key, (word, *arguments) = next(chosen)
            call = recorder.invoked(name, key, (word, *arguments))
            try:
                recorder.replied(call, await store.execute_command(word, key, *arguments))
            except ReplyError as error:
                if str(error).startswith(_NOT_A_NUMBER):
                    recorder.replied(call, "ERR")
                elif str(error).startswith(WRONGTYPE):
                    recorder.replied(call, WRONGTYPE)
                elif str(error).startswith(_OUT_OF_MEMORY) or _REFUSED in str(error):
                    recorder.refused(call)
                else:
                    recorder.failed(call, str(error))
            except NetMigrateError as error:
                recorder.failed(call, str(error))
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))


async def sweep(settings: argparse.Namespace, recorder: Recorder) -> None:
    """Read everything once."""

    async def read(store: AsyncClient, key: str, command: tuple[str | bytes, ...]) -> None:
        call = recorder.invoked(settings.name, key, command)
        try:
            recorder.replied(call, await store.execute_command(command[0], key, *command[1:]))
        except NetMigrateError as error:
            recorder.failed(call, str(error))

    async with AsyncClient(settings.vip, settings.port, timeout=settings.timeout) as store:
        for key in Keys(settings.hot, settings.cold).names():
            await asyncio.gather(*(read(store, key, command) for command in reads(key)))


async def run(settings: argparse.Namespace) -> None:
    """Run all sessions until SIGTERM."""
    recorder = Recorder(settings.record)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    print("ready:", flush=True)
    if settings.sweep:
        await sweep(settings, recorder)
        return
    async with asyncio.TaskGroup() as group:
        for number in range(settings.sessions):
            group.create_task(session(settings, number, recorder, stopped))


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m torture.client", description=__doc__)
    add = parser.add_argument
    add("--name", required=True, help="what the record calls this client")
    add("--vip", required=True)
    add("--port", type=int, required=True)
    add("--record", type=Path, required=True, help="a file that does not exist")
    add("--seed", required=True)
    add("--first", type=int, required=True, help="number of the first session, over all clients")
    add("--sessions", type=int, required=True)
    add("--rate", type=float, required=True, help="commands per second at most, of all sessions")
    add("--timeout", type=float, required=True, help="seconds until an outcome counts as unknown")
    add("--hot", type=int, required=True)
    add("--cold", type=int, required=True)
    add("--sweep", type=int, default=0, help="1: only read every key once")
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
