"""Faults of links, changed and counted while `p4switch run` runs, over a Unix socket.

A connection carries one request and its answer, each a line of JSON:
`{"seed": 7, "faults": ["*:loss=1%"]}`, both members optional, and
`{"1": {"in": {"frames": 812, "lost": 9, …}, "out": …}, …}` or `{"error": "…"}`.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import socketserver
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from switch.ports import Direction, FaultError, PortError, Ports
from switch.ports.faults import parse

_SECONDS: Final = 10.0

Counts = dict[str, dict[str, dict[str, int]]]
"""By port, direction ("in", "out") and field of `FaultCounts`."""


class FaultControl:
    """Serves one switch's faults at `path`, for the user who started the switch alone."""

    def __init__(self, ports: Ports, path: Path) -> None:
        self._path = path
        with contextlib.suppress(FileNotFoundError):
            path.unlink()  # of a switch that was killed

        class Handler(socketserver.StreamRequestHandler):
            timeout = _SECONDS

            def handle(self) -> None:
                with contextlib.suppress(OSError):
                    answer = json.dumps(_answer(ports, self.rfile.readline()))
                    self.wfile.write(answer.encode() + b"\n")

        mask = os.umask(0o077)
        try:
            self._server = socketserver.UnixStreamServer(str(path), Handler)
        except OSError as error:
            raise PortError(f"cannot serve faults at {path}: {error.strerror or error}") from None
        finally:
            os.umask(mask)
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="faults", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._path.unlink(missing_ok=True)


def _answer(ports: Ports, line: bytes) -> dict[str, Any]:
    try:
        request = json.loads(line)
        specs = [parse(text) for text in request.get("faults", ())]
        if "seed" in request:
            ports.seed_faults(int(request["seed"]))
        ports.set_faults(specs)
    except (FaultError, PortError) as error:
        return {"error": str(error)}
    except (ValueError, TypeError, AttributeError):
        return {"error": 'expected a line like {"seed": 7, "faults": ["*:loss=1%"]}'}
    return dict(counts(ports))


def counts(ports: Ports) -> Counts:
    """What has been injected so far."""
    return {
        str(port): {
            direction.name.lower(): asdict(ports.faults(port, direction)) for direction in Direction
        }
        for port in ports.interfaces
    }


def request(path: Path, specs: Sequence[str] = (), seed: int | None = None) -> Counts:
    """Change the faults of a running switch (nothing given: none of them); return the counts."""
    wanted: dict[str, Any] = {"faults": list(specs)} | ({} if seed is None else {"seed": seed})
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_SECONDS)
            connection.connect(str(path))
            connection.sendall(json.dumps(wanted).encode() + b"\n")
            answer = json.loads(connection.makefile().readline() or '{"error": "no answer"}')
    except OSError as error:
        raise FaultError(f"no switch serves faults at {path}: {error.strerror or error}") from None
    if "error" in answer:
        raise FaultError(answer["error"])
    found: Counts = answer
    return found
