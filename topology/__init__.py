"""The whole system on one machine: Mininet, switch, stores, agents, controller, load."""
