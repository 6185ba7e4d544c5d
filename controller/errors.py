"""What can go wrong on the user's side of the controller; each message is one clear line."""


class ControllerError(Exception):
    """A request that cannot be met; the message says what was wrong and what to do."""


class UnknownNameError(ControllerError):
    """A service, partition, server, migration, table or register that does not exist."""


class InvalidError(ControllerError):
    """A value that is not what it has to be."""


class RefusedError(ControllerError):
    """Well said, but not possible in the present state."""


class StorageError(ControllerError):
    """The controller's own store does not take what is to be remembered: its disk may be full."""


class UnreachableError(ControllerError):
    """The switch or an agent does not answer."""
