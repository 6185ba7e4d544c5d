"""The side-by-side bench: what it computes, on small inputs made up for it."""
