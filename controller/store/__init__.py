"""The durable store: what a restarted controller must know."""

from controller.store.store import MAX_MIGRATION, Store

__all__ = ["MAX_MIGRATION", "Store"]
