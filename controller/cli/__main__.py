"""`python -m controller.cli` is `netmigrate`."""

from controller.cli import main

main()
