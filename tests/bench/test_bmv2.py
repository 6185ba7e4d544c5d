"""Our table entries in the notation of BMv2's JSON."""

from typing import Any

from bench import bmv2, l3
from switch.runtime.pipeline import Entry, Lpm, Pipeline


def test_entries() -> None:
    router = Pipeline.compile(l3.PROGRAM)
    router.insert(l3.TABLE, Entry((Lpm(0x0A000000, 8),), "L3Ingress.next_hop", (1, 2, 300)))
    content: dict[str, Any] = {
        "header_types": [{"name": "ipv4_t", "fields": [["ttl", 8, False], ["dst", 32, False]]}],
        "headers": [{"name": "ipv4", "header_type": "ipv4_t"}],
        "actions": [
            {"name": "L3Ingress.drop", "runtime_data": []},
            {
                "name": "L3Ingress.next_hop",
                "runtime_data": [{"bitwidth": 48}, {"bitwidth": 48}, {"bitwidth": 9}],
            },
        ],
        "pipelines": [
            {
                "tables": [
                    {"name": "hidden", "key": []},
                    {
                        "name": l3.TABLE,
                        "key": [{"match_type": "lpm", "target": ["ipv4", "dst"]}],
                        "actions": ["L3Ingress.drop", "L3Ingress.next_hop"],
                        "action_ids": [4, 5],
                    },
                ]
            }
        ],
    }
    hidden, route = bmv2.with_entries(content, router)["pipelines"][0]["tables"]
    assert "entries" not in hidden
    assert route["entries"] == [
        {
            "match_key": [{"match_type": "lpm", "key": "0x0a000000", "prefix_length": 8}],
            "action_entry": {
                "action_id": 5,
                "action_data": ["0x000000000001", "0x000000000002", "0x012c"],
            },
            "priority": 0,
        }
    ]
