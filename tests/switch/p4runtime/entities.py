"""Entities of the example program, short to write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from finsy.proto import p4r

from tests.switch.p4runtime.client import Client


class Entities:
    def __init__(self, client: Client) -> None:
        self.id = client.id

    def action(self, name: str, *params: tuple[int, bytes]) -> p4r.TableAction:
        action = p4r.TableAction()
        action.action.action_id = self.id(name)
        for number, value in params:
            action.action.params.add(param_id=number, value=value)
        return action

    def entry(
        self,
        table: str,
        match: Sequence[p4r.FieldMatch] = (),
        action: p4r.TableAction | None = None,
        **options: Any,
    ) -> p4r.Entity:
        return p4r.Entity(
            table_entry=p4r.TableEntry(
                table_id=self.id(table), match=match, action=action, **options
            )
        )

    def station(self, mac: int, port: int | None = None, **options: Any) -> p4r.Entity:
        """An entry of the exact table; without a port it has no action."""
        action = self.action("forward", (1, shortest(port))) if port is not None else None
        return self.entry("station", [exact(1, mac)], action, **options)

    def filter(self, ether_type: int, priority: int, **options: Any) -> p4r.Entity:
        """An entry of the ternary table."""
        match = [ternary(1, ether_type, 0xFFFF)]
        return self.entry("filter", match, self.action("drop"), priority=priority, **options)

    def cell(self, register: str, index: int | None = None, data: Any = None) -> p4r.Entity:
        entity = p4r.Entity()
        entity.register_entry.register_id = self.id(register)
        if index is not None:
            entity.register_entry.index.index = index
            entity.register_entry.index.SetInParent()
        if data is not None:
            entity.register_entry.data.bitstring = (
                data if isinstance(data, bytes) else shortest(data)
            )
        return entity

    def counter(
        self, index: int | None = None, packets: int | None = None, count_bytes: int = 0
    ) -> p4r.Entity:
        entity = p4r.Entity()
        entity.counter_entry.counter_id = self.id("seen")
        if index is not None:
            entity.counter_entry.index.index = index
            entity.counter_entry.index.SetInParent()
        if packets is not None:
            entity.counter_entry.data.packet_count = packets
            entity.counter_entry.data.byte_count = count_bytes
        return entity

    def station_counter(self, mac: int, packets: int | None = None) -> p4r.Entity:
        entity = p4r.Entity()
        entity.direct_counter_entry.table_entry.CopyFrom(self.station(mac).table_entry)
        if packets is not None:
            entity.direct_counter_entry.data.packet_count = packets
        return entity

    def rate(self, index: int | None = None, config: p4r.MeterConfig | None = None) -> p4r.Entity:
        """A cell of the indexed meter."""
        message = p4r.MeterEntry(meter_id=self.id("rates"), config=config)
        if index is not None:
            message.index.index = index
            message.index.SetInParent()
        return p4r.Entity(meter_entry=message)

    def station_meter(self, mac: int, config: p4r.MeterConfig | None = None) -> p4r.Entity:
        key = self.station(mac).table_entry
        return p4r.Entity(direct_meter_entry=p4r.DirectMeterEntry(table_entry=key, config=config))


def learning(number: int, **config: int) -> p4r.Entity:
    """How a digest is to be sent."""
    settings = p4r.DigestEntry.Config(**config)
    return p4r.Entity(digest_entry=p4r.DigestEntry(digest_id=number, config=settings))


def shortest(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")


def exact(field: int, value: int) -> p4r.FieldMatch:
    return p4r.FieldMatch(field_id=field, exact=p4r.FieldMatch.Exact(value=shortest(value)))


def ternary(field: int, value: int, mask: int) -> p4r.FieldMatch:
    match = p4r.FieldMatch.Ternary(value=shortest(value), mask=shortest(mask))
    return p4r.FieldMatch(field_id=field, ternary=match)


def lpm(field: int, value: int, length: int) -> p4r.FieldMatch:
    match = p4r.FieldMatch.LPM(value=shortest(value), prefix_len=length)
    return p4r.FieldMatch(field_id=field, lpm=match)


def group(number: int, *replicas: tuple[int, int], **options: Any) -> p4r.Entity:
    entity = p4r.Entity()
    message = entity.packet_replication_engine_entry.multicast_group_entry
    message.CopyFrom(p4r.MulticastGroupEntry(multicast_group_id=number, **options))
    for port, instance in replicas:
        message.replicas.add(port=shortest(port), instance=instance)
    return entity


def session(number: int, *replicas: tuple[int, int], **options: Any) -> p4r.Entity:
    entity = p4r.Entity()
    message = entity.packet_replication_engine_entry.clone_session_entry
    message.CopyFrom(p4r.CloneSessionEntry(session_id=number, **options))
    for port, instance in replicas:
        message.replicas.add(port=shortest(port), instance=instance)
    return entity


def backed_up(own: tuple[int, int], *backups: tuple[int, int]) -> p4r.Replica:
    """A replica with its backups, each (port, instance)."""
    replica = p4r.Replica(port=shortest(own[0]), instance=own[1])
    for port, instance in backups:
        replica.backup_replicas.add(port=shortest(port), instance=instance)
    return replica
