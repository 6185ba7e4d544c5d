"""P4Runtime control of the switch, the life of migrations, and the `netmigrate` CLI."""
