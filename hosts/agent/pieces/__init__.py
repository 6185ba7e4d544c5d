"""Values too big for one DUMP and one RESTORE move in pieces (docs/big-values.md)."""
