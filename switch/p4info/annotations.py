"""Annotations as P4Info shows them (P4Runtime spec section 6.3)."""

from __future__ import annotations

from typing import Any

from finsy.proto import p4t

from switch import ir

_SHOWN_ELSEWHERE = {"name", "id", "brief", "description"}


def add_annotations(
    message: Any, annotations: ir.Annotations, skip: set[str] | None = None
) -> None:
    """Adds them to a message that has `annotations` and `structured_annotations`."""
    for annotation in annotations:
        if annotation.name in _SHOWN_ELSEWHERE or annotation.name in (skip or ()):
            continue
        if annotation.structured:
            structured = message.structured_annotations.add(name=annotation.name)
            for key, value in annotation.pairs:
                pair = structured.kv_pair_list.kv_pairs.add(key=key)
                _literal(pair.value, value)
            for value in annotation.values:
                _literal(structured.expression_list.expressions.add(), value)
        else:
            body = f"({annotation.text})" if annotation.text else ""
            message.annotations.append(f"@{annotation.name}{body}")


def _literal(message: p4t.Expression, value: ir.AnnotationValue) -> None:
    if isinstance(value, bool):
        message.bool_value = value
    elif isinstance(value, int):
        message.int64_value = value
    else:
        message.string_value = value
