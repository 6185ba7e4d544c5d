"""The switch program with a rack configured and a migration half way, and queries for it."""

import random

import numpy as np
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from controller import filters
from hosts.wire import Header, Op
from switch.runtime.pipeline import Pipeline
from tests.pipeline import deployment
from topology.switches import PROGRAM

MOVING = range(deployment.MOVING_PARTITION, 2 * deployment.MOVING_PARTITION)


def loaded() -> Pipeline:
    """Return the program with tables filled: half the moving groups MIGRATED, 16 ONGOING."""
    pipeline = Pipeline.compile(PROGRAM)
    deployment.install(pipeline, deployment.deployment())
    groups = np.array(MOVING)
    arrived, moving = groups[: groups.size // 2], groups[groups.size // 2 :][:16]
    for kind, contents, size in (
        ("ongoing", filters.ongoing_contents(moving), filters.ONGOING_CELLS),
        ("migrated", filters.migrated_contents(arrived), filters.MIGRATED_CELLS),
    ):
        for row, values in enumerate(contents):
            pipeline.set_registers(f"Ingress.{kind}_{row}", values, deployment.SLICE * size)
    return pipeline


def reads(count: int, seed: int = 1) -> list[bytes]:
    """Return frames of READs from a client for random groups of the moving partition."""
    chooser = random.Random(seed)
    payload = b"*2\r\n$3\r\nGET\r\n$23\r\nuser6284781860667377211\r\n"
    return [
        bytes(
            Ether(src=deployment.host_mac(deployment.CLIENT), dst=deployment.VIP_MAC)
            / IP(src=deployment.host_ip(deployment.CLIENT), dst=deployment.VIP)
            / UDP(sport=40000, dport=deployment.VIP_PORT)
            / (
                Header(
                    Op.READ,
                    service=deployment.SERVICE,
                    group=chooser.choice(MOVING),
                    client=chooser.getrandbits(64),
                    seq=i + 1,
                ).pack()
                + payload
            )
        )
        for i in range(count)
    ]
