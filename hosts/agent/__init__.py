"""The server agent: answers a store's queries, and sends and receives its groups."""
