"""NetMigrate by hand: `from hosts.scapy import *` at a host's Python prompt.

>>> send_query("10.0.0.1", "GET", "user1")
>>> send_control("10.0.0.1", "START", group=12, migration=1)
"""

from hosts.scapy.client import (
    Replies,
    control,
    describe,
    exchange,
    meaning,
    query,
    send_control,
    send_query,
)
from hosts.scapy.layer import Control, Moving, NetMigrate, Resp, command

__all__ = [
    "Control",
    "Moving",
    "NetMigrate",
    "Replies",
    "Resp",
    "command",
    "control",
    "describe",
    "exchange",
    "meaning",
    "query",
    "send_control",
    "send_query",
]
