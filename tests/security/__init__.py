"""What docs/security.md promises: each attack is tried, on the real parts."""
