"""Refusals and how they travel to the client (P4Runtime spec section 10)."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from finsy.proto import p4r, rpc_status

from switch.runtime import entries as tables

DETAILS_KEY = "grpc-status-details-bin"
# Clients with default settings refuse trailing metadata above 8 KiB (spec, "gRPC Metadata Maximum
# Size"): beyond this many bytes the details go without their texts; the codes always go.
DETAILS_LIMIT = 6 * 1024

OK = grpc.StatusCode.OK
ABORTED = grpc.StatusCode.ABORTED
ALREADY_EXISTS = grpc.StatusCode.ALREADY_EXISTS
FAILED_PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
INTERNAL = grpc.StatusCode.INTERNAL
INVALID_ARGUMENT = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
OUT_OF_RANGE = grpc.StatusCode.OUT_OF_RANGE
PERMISSION_DENIED = grpc.StatusCode.PERMISSION_DENIED
RESOURCE_EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
UNIMPLEMENTED = grpc.StatusCode.UNIMPLEMENTED
UNKNOWN = grpc.StatusCode.UNKNOWN


class Refused(Exception):
    """A request, or a part of one, that is not carried out."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def invalid(message: str) -> Refused:
    return Refused(INVALID_ARGUMENT, message)


def number(code: grpc.StatusCode) -> int:
    """The code's number in google.rpc.Code."""
    return int(code.value[0])


def from_pipeline(error: tables.PipelineError) -> Refused:
    """What the pipeline refused, in P4Runtime's codes (spec 12)."""
    match error:
        case tables.EntryExists():
            code = ALREADY_EXISTS
        case tables.NoSuchEntry():
            code = NOT_FOUND
        case tables.TableFull():
            code = RESOURCE_EXHAUSTED
        case tables.InUse():
            code = FAILED_PRECONDITION
        case tables.ConstTable():
            code = PERMISSION_DENIED
        case _:
            code = INVALID_ARGUMENT
    return Refused(code, str(error))


def batch_details(message: str, outcomes: Sequence[Refused | None]) -> bytes:
    """google.rpc.Status with one p4.Error for each element of the batch, in its order."""
    details = _details(message, outcomes, texts=True)
    if len(details) > DETAILS_LIMIT:
        details = _details(message, outcomes, texts=False)
    return details


def _details(message: str, outcomes: Sequence[Refused | None], *, texts: bool) -> bytes:
    status = rpc_status.Status(code=number(UNKNOWN), message=message)
    for outcome in outcomes:
        error = p4r.Error(canonical_code=number(outcome.code if outcome else OK))
        if outcome and texts:
            error.message = outcome.message
        status.details.add().Pack(error)
    return status.SerializeToString()
