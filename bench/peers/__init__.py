"""What a user would pick instead of us: the stores' own ways to move slots between stock nodes."""
