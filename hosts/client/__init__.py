"""The client library: redis-py-like calls to a service behind the switch."""

from hosts.client.client import AsyncClient, Client, Pipeline
from hosts.client.commands import CommandTable
from hosts.client.errors import (
    CommandError,
    CrossSlot,
    NetMigrateError,
    NoKey,
    ReplyError,
    RequestTimeout,
    TooLarge,
)

__all__ = [
    "AsyncClient",
    "Client",
    "CommandError",
    "CommandTable",
    "CrossSlot",
    "NetMigrateError",
    "NoKey",
    "Pipeline",
    "ReplyError",
    "RequestTimeout",
    "TooLarge",
]
