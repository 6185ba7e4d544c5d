"""`make bench-protocols`: the migration protocols side by side, under the same load."""
