"""What somebody on a client host can send: run there, as root of that host alone."""

import os
import random
import socket
import time
from collections.abc import Sequence

from scapy.config import conf
from scapy.layers.inet import IP, UDP
from scapy.sendrecv import send

from hosts.client import Client
from hosts.scapy import NetMigrate, Resp
from hosts.scapy.client import control
from hosts.wire import Flags, Header, Op

Where = tuple[str, int]


def reachable(where: Sequence[Where]) -> list[bool]:
    """Try to open TCP connections."""
    found = []
    for address in where:
        with socket.socket() as probe:
            probe.settimeout(0.5)
            found.append(probe.connect_ex(tuple(address)) == 0)
    return found


def _resp(words: Sequence[str]) -> bytes:
    head = b"*%d\r\n" % len(words)
    return head + b"".join(b"$%d\r\n%s\r\n" % (len(each), each.encode()) for each in words)


def ask(
    where: Where, commands: Sequence[Sequence[str]], group: int, service: int = 1
) -> list[str | None]:
    """Send commands as they are, past every check of a client library; return their replies."""
    answers: list[str | None] = []
    client = int.from_bytes(os.urandom(8))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(1)
        for seq, words in enumerate(commands, 1):
            header = Header(Op.WRITE, service=service, group=group, client=client, seq=seq)
            udp.sendto(header.pack() + _resp(words), tuple(where))
            try:
                answers.append(udp.recv(2048)[28:].decode())
            except TimeoutError:
                answers.append(None)
    return answers


def ask_by_tcp(where: Where, commands: Sequence[Sequence[str]]) -> list[str]:
    """Send commands as a Redis client does; return the first line of each reply."""
    with (
        socket.create_connection((where[0], where[1]), 2) as connection,
        connection.makefile("rb") as lines,
    ):
        answers = []
        for words in commands:
            connection.sendall(_resp(words))
            answers.append(lines.readline().decode())
    return answers


def pretend_to_move(
    to: Where, kinds: Sequence[str], groups: Sequence[int], migration: int, forged: Where | None
) -> int:
    """Send control packets of a running migration, with the sequence that nothing can follow;
    return how many. `forged`: the address that they claim to come from."""
    conf.route.resync()
    packets = []
    for kind in kinds:
        for group in groups:
            packet = control(
                to[0],
                kind,
                group,
                migration=migration,
                lane=group % 4,
                sequence=0xFFFFFFFF,
                port=to[1],
                service=1,
            )
            if forged:
                packet[IP].src, packet[UDP].sport = forged
            packets.append(packet)
    send(packets, verbose=False)
    return len(packets)


def count(vip: Where, times: int) -> list[int]:
    """A victim: increment a counter; return what it was told each time."""
    found = []
    with Client(vip[0], vip[1], service=1) as client:
        for _ in range(times):
            found.append(int(client.incr("counter")))
            time.sleep(0.005)
    return found


def answer_for(service: Where, victim: Where, group: int, seconds: float) -> int:
    """Send a victim forged replies with every likely seq, guessing its number; return how many."""
    conf.route.resync()
    end = time.monotonic() + seconds
    sent = 0
    while time.monotonic() < end:
        packets = [
            IP(src=service[0], dst=victim[0])
            / UDP(sport=service[1], dport=victim[1])
            / NetMigrate(
                op=Op.REPLY,
                flags=int(Flags.AUTHORITATIVE | Flags.FOUND),
                service=1,
                group=group,
                client=random.getrandbits(64),
                seq=seq,
            )
            / Resp(b":666\r\n")
            for seq in range(1, 101)
        ]
        send(packets, verbose=False)
        sent += len(packets)
    return sent
