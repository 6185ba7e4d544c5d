"""What runs on hosts: the server agent, the client library, the load generator, scapy."""
