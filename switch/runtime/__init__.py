"""Runtime of the embedded switch: tables, registers and packets of one compiled program."""
