"""Setting and getting the forwarding pipeline config (P4Runtime spec sections 14 and 15)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from finsy.proto import p4r

from switch.p4runtime import DeviceConfig, Server
from switch.p4runtime.pipeline_config import realize
from tests.switch.p4runtime.client import Client, Failure, insert, modify
from tests.switch.p4runtime.entities import Entities, group, session

Query = p4r.GetForwardingPipelineConfigRequest
EXAMPLE = Path(__file__).with_name("example.p4")


def config_of(source: DeviceConfig, cookie: int | None = None) -> p4r.ForwardingPipelineConfig:
    config = realize(source, None).config
    if cookie is not None:
        config.cookie.cookie = cookie
    return config


@pytest.fixture(scope="module")
def example(config: DeviceConfig) -> p4r.ForwardingPipelineConfig:
    return config_of(config, 42)


@pytest.fixture(scope="module")
def smaller(config: DeviceConfig) -> p4r.ForwardingPipelineConfig:
    """The example with fewer cells and without the prefix table."""
    text = config.files["example.p4"]
    text = text.replace("(16) sums", "(8) sums").replace("prefix.apply();", "")
    return config_of(replace(config, files={"example.p4": text}))


@pytest.fixture
def bare(empty_server: Server) -> Iterator[Client]:
    """A client of a switch without program."""
    client = Client(empty_server.port)
    yield client
    client.close()


def test_before_the_first_config_there_is_none(bare: Client) -> None:
    answer = bare.stub.GetForwardingPipelineConfig(Query(device_id=1))
    assert not answer.HasField("config")


def test_what_is_set_is_got(bare: Client, example: p4r.ForwardingPipelineConfig) -> None:
    bare.set_config("VERIFY_AND_COMMIT", example)
    assert bare.get_config() == example
    only_cookie = bare.get_config(Query.COOKIE_ONLY)
    assert only_cookie == p4r.ForwardingPipelineConfig(cookie=example.cookie)
    assert not bare.get_config(Query.P4INFO_AND_COOKIE).p4_device_config
    assert not bare.get_config(Query.DEVICE_CONFIG_AND_COOKIE).HasField("p4info")


def test_verifying_changes_nothing(bare: Client, example: p4r.ForwardingPipelineConfig) -> None:
    bare.set_config("VERIFY", example)
    assert not bare.stub.GetForwardingPipelineConfig(Query(device_id=1)).HasField("config")


def test_committing_clears_the_forwarding_state(
    client: Client, entities: Entities, example: p4r.ForwardingPipelineConfig
) -> None:
    client.write(insert(entities.station(1, 1)), modify(entities.cell("sums", 1, 5)))
    client.set_config("VERIFY_AND_COMMIT", example)
    assert client.read(entities.entry("station")) == []
    assert client.read(entities.cell("sums", 1)) == [entities.cell("sums", 1, 0)]


def test_a_saved_config_is_filled_before_its_commit(
    client: Client, entities: Entities, server: Server, example: p4r.ForwardingPipelineConfig
) -> None:
    client.write(insert(entities.station(1, 1)))
    client.set_config("VERIFY_AND_SAVE", example)
    assert client.read(entities.entry("station")) == []
    client.write(insert(entities.station(2, 2)))
    client.set_config("COMMIT")
    assert client.read(entities.entry("station")) == [entities.station(2, 2)]
    with pytest.raises(Failure, match="NOT_FOUND"):
        client.set_config("COMMIT")


def test_reconciling_keeps_the_forwarding_state(
    client: Client, entities: Entities, example: p4r.ForwardingPipelineConfig
) -> None:
    kept = [
        entities.station(1, 1, metadata=b"m"),
        entities.filter(5, 3),
        group(1, (1, 1)),
        session(2, (2, 2)),
    ]
    client.write(*map(insert, kept))
    client.write(
        modify(entities.cell("sums", 1, 5)),
        modify(entities.counter(1, 3)),
        modify(entities.station_counter(1, packets=8)),
        modify(
            entities.entry("keyless", is_default_action=True, action=entities.action("NoAction"))
        ),
    )

    def state() -> list[str]:
        return [
            str(entity)
            for entity in client.read(
                entities.station(1, counter_data=p4r.CounterData()),
                entities.entry("filter"),
                entities.entry("fixed"),
                entities.entry("keyless", is_default_action=True),
                entities.cell("sums"),
                entities.counter(),
                group(0),
                session(0),
            )
        ]

    before = state()
    client.set_config("RECONCILE_AND_COMMIT", example)
    assert state() == before


def test_reconciling_keeps_default_entries_whole(
    client: Client, entities: Entities, example: p4r.ForwardingPipelineConfig
) -> None:
    default = entities.entry(
        *("station", [], entities.action("drop")),
        is_default_action=True,
        metadata=b"m",
        counter_data=p4r.CounterData(packet_count=3, byte_count=200),
        meter_config=p4r.MeterConfig(cir=1, cburst=2, pir=3, pburst=4),
    )
    client.write(modify(default))
    client.set_config("RECONCILE_AND_COMMIT", example)
    asking = entities.entry(
        "station",
        is_default_action=True,
        counter_data=p4r.CounterData(),
        meter_config=p4r.MeterConfig(),
    )
    assert client.read(asking) == [default]


def test_a_table_with_another_key_cannot_be_kept(
    client: Client, entities: Entities, config: DeviceConfig
) -> None:
    """Only if there are entries in it."""
    text = config.files["example.p4"]
    swapped = text.replace("{ hdr.ethernet.src: lpm; }", "{ hdr.ethernet.dst: lpm; }")
    other = config_of(replace(config, files={"example.p4": swapped}))
    client.set_config("RECONCILE_AND_COMMIT", other)
    client.write(insert(entities.entry("prefix", [], entities.action("NoAction"))))
    with pytest.raises(Failure, match="prefix is missing or has another key") as failure:
        client.set_config("RECONCILE_AND_COMMIT", config_of(config))
    assert failure.value.code == "INVALID_ARGUMENT"


def test_state_that_cannot_be_kept(
    client: Client, entities: Entities, smaller: p4r.ForwardingPipelineConfig
) -> None:
    client.write(insert(entities.station(1, 1)))
    with pytest.raises(Failure, match="sums is missing or has another size"):
        client.set_config("RECONCILE_AND_COMMIT", smaller)
    assert client.read(entities.entry("station")) == [entities.station(1, 1)]
    client.set_config("VERIFY_AND_COMMIT", smaller)
    assert len(client.read(entities.cell("sums"))) == 8


@pytest.mark.parametrize(
    ("action", "spoil", "code"),
    [
        ("VERIFY", None, "INVALID_ARGUMENT"),
        ("VERIFY_AND_SAVE", None, "INVALID_ARGUMENT"),
        ("VERIFY_AND_COMMIT", None, "INVALID_ARGUMENT"),
        ("RECONCILE_AND_COMMIT", None, "INVALID_ARGUMENT"),
        ("COMMIT", None, "NOT_FOUND"),
        ("COMMIT", "nothing", "INVALID_ARGUMENT"),
        ("UNSPECIFIED", "nothing", "INVALID_ARGUMENT"),
        ("VERIFY_AND_COMMIT", "empty", "INVALID_ARGUMENT"),
        ("VERIFY_AND_COMMIT", "binary", "INVALID_ARGUMENT"),
        ("VERIFY_AND_COMMIT", "syntax", "INVALID_ARGUMENT"),
        ("VERIFY_AND_COMMIT", "table", "INVALID_ARGUMENT"),
        ("VERIFY_AND_COMMIT", "width", "INVALID_ARGUMENT"),
        ("VERIFY_AND_COMMIT", "zero", "INVALID_ARGUMENT"),
        ("VERIFY_AND_COMMIT", "twice", "INVALID_ARGUMENT"),
        ("VERIFY_AND_COMMIT", "field", "INVALID_ARGUMENT"),
        ("VERIFY_AND_COMMIT", "param", "INVALID_ARGUMENT"),
        ("VERIFY_AND_COMMIT", "action", "INVALID_ARGUMENT"),
        ("VERIFY_AND_COMMIT", "ref", "INVALID_ARGUMENT"),
        ("VERIFY_AND_COMMIT", "profile", "INVALID_ARGUMENT"),
        ("VERIFY_AND_COMMIT", "register", "INVALID_ARGUMENT"),
        ("VERIFY_AND_COMMIT", "digest", "INVALID_ARGUMENT"),
    ],
)
def test_bad_configs(
    client: Client,
    entities: Entities,
    example: p4r.ForwardingPipelineConfig,
    action: str,
    spoil: str | None,
    code: str,
) -> None:
    client.write(insert(entities.station(1, 1)))
    config = p4r.ForwardingPipelineConfig()
    config.CopyFrom(example)
    match spoil:
        case "empty":
            config.p4_device_config = b" \n"
        case "binary":
            config.p4_device_config = bytes(range(256))
        case "syntax":
            config.p4_device_config = config.p4_device_config.replace(b"key =", b"key")
        case "table":
            config.p4info.tables[0].preamble.name = "MyIngress.other"
        case "width":
            config.p4info.tables[0].match_fields[0].bitwidth = 47
        case "zero":
            config.p4info.counters[0].preamble.id = 0
        case "twice":
            config.p4info.counters[0].preamble.id = config.p4info.tables[0].preamble.id
        case "field":
            config.p4info.tables[2].match_fields[1].id = 1
        case "param":
            (action_info,) = (each for each in config.p4info.actions if len(each.params) == 2)
            action_info.params[1].id = action_info.params[0].id
        case "action":
            del config.p4info.actions[0]
        case "ref":
            del config.p4info.tables[0].action_refs[0]
        case "profile":
            config.p4info.tables[0].implementation_id = 5
        case "register":
            config.p4info.registers[0].type_spec.bool.SetInParent()
        case "digest":
            config.p4info.type_info.structs["learned_t"].members[0].type_spec.bool.SetInParent()
    with pytest.raises(Failure) as failure:
        client.set_config(action, config if spoil else None)
    assert failure.value.code == code
    assert client.read(entities.entry("station")) == [entities.station(1, 1)]


def test_errors_point_into_the_source(client: Client) -> None:
    text = EXAMPLE.read_text()
    line = text[: text.index("bit<8> mark;")].count("\n") + 1
    config = p4r.ForwardingPipelineConfig(
        p4_device_config=text.replace("bit<8> mark;", "bit<8> mark; bit<8> mark;").encode()
    )
    with pytest.raises(Failure) as failure:
        client.set_config("VERIFY", config)
    assert f"p4_device_config.p4:{line}:" in failure.value.messages[0]


def test_only_the_primary_sets_configs(
    client: Client, example: p4r.ForwardingPipelineConfig
) -> None:
    client.election_id = 5
    with pytest.raises(Failure, match="PERMISSION_DENIED"):
        client.set_config("VERIFY", example)


def test_controllers_choose_their_ids(
    client: Client, entities: Entities, example: p4r.ForwardingPipelineConfig
) -> None:
    """P4Info of another compiler may number things otherwise."""
    config = p4r.ForwardingPipelineConfig()
    config.CopyFrom(example)
    config.p4info.registers[0].preamble.id = 0x16000001
    client.set_config("VERIFY_AND_COMMIT", config)
    entity = entities.cell("flags", 1, 1)
    entity.register_entry.register_id = 0x16000001
    client.write(modify(entity))
    assert client.read(entity) == [entity]
