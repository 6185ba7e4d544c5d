"""What can go wrong between a caller and the store."""

import builtins


class NetMigrateError(Exception):
    """Everything this client raises about a request."""


class ReplyError(NetMigrateError):
    """The store's or an agent's own `-ERR …`, word for word."""


class RequestTimeout(NetMigrateError, builtins.TimeoutError):
    """No usable reply in time. A write may have taken effect, or may do so still."""


class TooLarge(NetMigrateError, ValueError):
    """A command that does not fit one datagram; the message names the limit."""


class CommandError(NetMigrateError, ValueError):
    """A command that cannot be sent: unknown, malformed, or not for this service."""


class NoKey(CommandError):
    """A command without a key belongs to no group, so no server can be chosen for it."""


class CrossSlot(CommandError):
    """The keys of one command belong to different groups."""
