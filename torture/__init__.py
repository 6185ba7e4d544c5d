"""The proof that nothing is lost: clients, migrations and faults at once, and a judge of it all."""
