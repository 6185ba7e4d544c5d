"""Small changes to protobuf messages, to be wrong in ways that a peer may be."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

NUMBERS = (0, 1, 2, 3, 7, 8, 255, 510, 512, 65536, 2**31 - 1)
BYTES = (b"", b"\0", b"\1", b"\x00\x01", b"\xff", b"\xff" * 9)
TEXTS = ("", "x", "MyIngress.station", "é" * 3)


def _messages(message: Message) -> Iterator[Message]:
    """The message and all those in it."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type:
                for key in value:
                    yield from _messages(value[key])
        elif field.is_repeated:
            for each in value:
                yield from _messages(each)
        else:
            yield from _messages(value)


def mutate(message: Message, random: Random, times: int = 1) -> None:
    """Change, drop, repeat or swap something, anywhere in the message."""
    for _ in range(times):
        target = random.choice(list(_messages(message)))
        fields = [each for each in target.DESCRIPTOR.fields if not _is_map(each)]
        if not fields:
            continue
        _change(target, random.choice(fields), random)


def _is_map(field: Any) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _change(target: Message, field: Any, random: Random) -> None:
    value: Any = getattr(target, field.name)
    if field.is_repeated:
        if len(value) and random.random() < 0.4:
            del value[random.randrange(len(value))]
        elif len(value):
            value.append(value[random.randrange(len(value))])
        elif field.message_type:
            value.add()
    elif field.message_type:
        if random.random() < 0.5:
            target.ClearField(field.name)
        else:
            value.SetInParent()
    else:
        setattr(target, field.name, _scalar(field, value, random))


def _scalar(field: Any, value: Any, random: Random) -> Any:
    match field.type:
        case FieldDescriptor.TYPE_BOOL:
            return not value
        case FieldDescriptor.TYPE_BYTES:
            return random.choice((*BYTES, value + b"\0", b"\0" + value, value[1:]))
        case FieldDescriptor.TYPE_STRING:
            return random.choice((*TEXTS, value + "x"))
        case FieldDescriptor.TYPE_ENUM:
            return random.randrange(8)
        case FieldDescriptor.TYPE_UINT32 | FieldDescriptor.TYPE_UINT64:
            return max(0, random.choice((*NUMBERS, value + 1, value - 1, value ^ 0x01000000)))
        case FieldDescriptor.TYPE_INT32 | FieldDescriptor.TYPE_INT64:
            bounded = min(value, 2**31 - 2)
            return random.choice((*NUMBERS, -1, bounded + 1, bounded - 1))
    return value
