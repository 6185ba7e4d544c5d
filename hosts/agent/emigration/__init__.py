"""The source's side of migrations, by protocol (docs/protocol.md, docs/protocols.md)."""
