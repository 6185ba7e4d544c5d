"""`p4switch`: compile P4 programs, and run them on network interfaces under P4Runtime."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn, TextIO

import typer
from finsy.proto import p4i
from google.protobuf import json_format, text_format

from switch.cc import BuildError
from switch.fault_control import FaultControl, request
from switch.frontend.errors import CompileError
from switch.p4info import p4info
from switch.p4runtime import Server, ServerError, device_config
from switch.p4runtime.errors import Refused
from switch.p4runtime.tls import TlsError, credentials
from switch.packet_log import PacketLog
from switch.ports import FaultError, PortError, Ports
from switch.ports.faults import FORM, parse
from switch.stf import StfError, pairs, run_all

USAGE_ERROR = 2

app = typer.Typer(
    help="An embedded P4 switch for v1model programs.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Include = Annotated[
    list[Path] | None,
    typer.Option(
        "--include", "-I", help="A directory to look for included files in.", metavar="DIR"
    ),
]
Define = Annotated[
    list[str] | None,
    typer.Option("--define", "-D", help="A preprocessor macro.", metavar="NAME[=VALUE]"),
]
Program = Annotated[Path, typer.Argument(help="The P4 program.", metavar="PROGRAM.p4")]


class UsageError(Exception):
    """What the user asked for cannot be done; the message says why."""


@app.command("compile")
def compile_program(
    program: Program,
    *,
    p4info_file: Annotated[
        Path | None,
        typer.Option(
            "--p4info",
            help="Write P4Info: text, or as the name ends JSON (.json) or binary (.bin, .pb).",
            metavar="FILE",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write the device config that SetForwardingPipelineConfig takes.",
            metavar="FILE",
        ),
    ] = None,
    include: Include = None,
    define: Define = None,
) -> None:
    """Check and compile a program; write what a controller needs of it."""
    config, below = device_config(program, include or (), _defines(define))
    pipeline = config.compile(below=below)
    if p4info_file:
        _write(p4info_file, _serialize(p4info(pipeline.program), p4info_file.suffix))
    if output:
        _write(output, config.serialize())
    pipeline.close()


@app.command()
def run(
    program: Annotated[
        Path | None,
        typer.Argument(
            help="The P4 program; without one the switch waits for SetForwardingPipelineConfig.",
            metavar="[PROGRAM.p4]",
        ),
    ] = None,
    *,
    interface: Annotated[
        list[str] | None,
        typer.Option("--interface", "-i", help="A port, as in 1@eth1.", metavar="PORT@INTERFACE"),
    ] = None,
    grpc: Annotated[
        str, typer.Option(help="Where P4Runtime is served.", metavar="ADDRESS:PORT")
    ] = "127.0.0.1:9559",
    device_id: Annotated[int, typer.Option(help="P4Runtime's device id.", min=1)] = 1,
    cpu_port: Annotated[
        int, typer.Option(help="The port that leads to the controller.", min=0, max=511)
    ] = 510,
    tls_cert: Annotated[
        Path | None,
        typer.Option(help="Serve over TLS with this certificate (chain).", metavar="PEM"),
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(help="The certificate's private key.", metavar="PEM")
    ] = None,
    tls_ca: Annotated[
        Path | None,
        typer.Option(help="Admit only clients with a certificate of this CA.", metavar="PEM"),
    ] = None,
    faults: Annotated[
        list[str] | None,
        typer.Option(help=f"Faults of links: {FORM}.", metavar="SPEC"),
    ] = None,
    fault_seed: Annotated[int, typer.Option(help="What the faults depend on.", metavar="N")] = 0,
    fault_control: Annotated[
        Path | None,
        typer.Option(help="Let `p4switch faults` change them here.", metavar="SOCKET"),
    ] = None,
    awake: Annotated[
        bool,
        typer.Option("--awake", help="While packets come, keep idle processors from sleeping."),
    ] = False,
    log_packets: Annotated[
        bool,
        typer.Option(
            "--log-packets", help="Trace packets in the log; SIGUSR1 starts and ends it, too."
        ),
    ] = False,
    log_port: Annotated[
        list[int] | None,
        typer.Option(
            help="Trace only packets that come in on this port (may be repeated).",
            metavar="PORT",
            min=0,
            max=511,
        ),
    ] = None,
    log_count: Annotated[
        int | None,
        typer.Option(help="End the trace after so many packets.", metavar="N", min=1),
    ] = None,
    log_file: Annotated[
        Path | None,
        typer.Option(help="Write the log here, not to standard error.", metavar="FILE"),
    ] = None,
    include: Include = None,
    define: Define = None,
) -> None:
    """Forward packets between interfaces until SIGTERM or SIGINT."""
    signals = _hold_signals()
    log = PacketLog(
        _open_log(log_file) if log_file else sys.stderr,
        tracing=log_packets,
        ports=log_port or (),
        most=log_count,
    )
    tls = credentials(tls_cert, tls_key, tls_ca)
    program_config = device_config(program, include or (), _defines(define)) if program else None
    ports = Ports(cpu_port, awake=awake)
    for item in interface or ():
        ports.add(*_port(item))
    ports.seed_faults(fault_seed)
    ports.set_faults(parse(item) for item in faults or ())
    control = FaultControl(ports, fault_control) if fault_control else None
    server = Server(
        grpc, ports, device_id=device_id, cpu_port=cpu_port, credentials=tls, packet_log=log
    )
    if program_config:
        config, below = program_config
        server.load(config, below=below)
    server.start()
    log.start()
    if control:
        control.start()
    host = grpc.rpartition(":")[0]
    loaded = str(program) if program else "no program"
    print(
        f"ready: P4Runtime on {host}:{server.port}, device {device_id}, {loaded}, "
        f"{len(ports.interfaces)} ports",
        flush=True,
    )
    while signal.sigwait(signals) == signal.SIGUSR1:
        try:
            server.toggle_trace()
        except BuildError as error:
            print(f"p4switch: {error}", file=sys.stderr)
    if control:
        control.stop()
    server.stop()
    log.stop()
    ports.close()


@app.command("faults")
def change_faults(
    control: Annotated[
        Path, typer.Argument(help="The --fault-control of a running switch.", metavar="SOCKET")
    ],
    specs: Annotated[list[str] | None, typer.Argument(help=FORM, metavar="SPEC...")] = None,
    *,
    seed: Annotated[
        int | None, typer.Option(help="Begin the faults of this seed.", metavar="N")
    ] = None,
) -> None:
    """Change the faults that a running switch injects into its links; show how many it has."""
    print(json.dumps(request(control, specs or (), seed), indent=2))


@app.command()
def stf(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="A program and its tests, as often as wanted, or directories of both.",
            metavar="PROGRAM.p4 TEST.stf... | DIRECTORY",
        ),
    ],
    *,
    log_packets: Annotated[
        bool, typer.Option("--log-packets", help="Show the trace of a packet that went wrong.")
    ] = False,
    include: Include = None,
    define: Define = None,
) -> None:
    """Run tests in the Simple Test Framework format; exit status 1 if one fails."""
    status = run_all(
        pairs(files), include=include or (), defines=_defines(define), log_packets=log_packets
    )
    if status:
        raise typer.Exit(status)


def _hold_signals() -> set[signal.Signals]:
    """Hold the signals we answer to back for sigwait; threads started from now on inherit that."""
    held = {signal.SIGTERM, signal.SIGINT, signal.SIGUSR1}
    signal.pthread_sigmask(signal.SIG_BLOCK, held)
    return held


def _port(text: str) -> tuple[int, str]:
    number, separator, name = text.partition("@")
    if not separator or not number.isdecimal() or not name:
        raise UsageError(f"--interface {text}: write PORT@INTERFACE, as in 1@eth1")
    return int(number), name


def _defines(items: Sequence[str] | None) -> dict[str, str]:
    pairs = (item.partition("=") for item in items or ())
    return {name: value if separator else "1" for name, separator, value in pairs}


def _serialize(info: p4i.P4Info, suffix: str) -> bytes:
    if suffix == ".json":
        return json_format.MessageToJson(info).encode()
    if suffix in (".bin", ".pb"):
        return info.SerializeToString()
    return text_format.MessageToString(info).encode()


def _open_log(path: Path) -> TextIO:
    try:
        return path.open("a")
    except OSError as error:
        raise UsageError(f"cannot write the log {path}: {error.strerror}") from None


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None


def _fail(message: str) -> NoReturn:
    print(f"p4switch: {message}", file=sys.stderr)
    sys.exit(USAGE_ERROR)


def main() -> None:
    """Run the command line; what the user can mend is one line and exit status 2."""
    try:
        app()
    except CompileError as error:
        print(error, file=sys.stderr)
        sys.exit(USAGE_ERROR)
    except (UsageError, PortError, FaultError, ServerError, TlsError) as error:
        _fail(str(error))
    except (BuildError, Refused, StfError) as error:
        _fail(str(error))


if __name__ == "__main__":
    main()
