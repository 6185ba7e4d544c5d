"""A small network's configuration, as the tests need it."""

from pathlib import Path
from typing import Any


def network(directory: Path, *, address: str = "127.0.0.1:1", servers: int = 2) -> dict[str, Any]:
    """Return the JSON of a network with one client host and one service on `server1`."""
    return {
        "device": {
            "name": "tor",
            "address": address,
            "device_id": 1,
            "target": "embedded",
            "program": "p4src/netmigrate.p4",
        },
        "router_mac": "02:00:00:00:00:01",
        "hosts": [
            {"name": "client1", "ip": "10.0.2.1", "mac": "02:00:00:00:02:01", "port": servers + 1}
        ],
        "servers": [
            {
                "name": f"server{number}",
                "index": number,
                "ip": f"10.0.1.{number}",
                "mac": f"02:00:00:00:01:{number:02x}",
                "port": number,
                "udp_port": 4701,
                "channel_port": 4701,
                "agent": f"unix:{directory}/server{number}.sock",
            }
            for number in range(1, servers + 1)
        ],
        "services": [
            {
                "name": "kv",
                "id": 1,
                "vip": "10.0.0.1",
                "vip_mac": "02:00:00:00:00:01",
                "port": 4700,
                "partitions": [{"name": "p0", "first": 0, "last": 16383, "server": "server1"}],
            }
        ],
        "store": f"{directory}/controller.sqlite",
        "listen": f"unix:{directory}/controller.sock",
    }
