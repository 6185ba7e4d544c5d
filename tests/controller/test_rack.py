"""The controller with real parts: the embedded switch, agents, stores, packets between them."""

import json
import os
import signal
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.controller.rack import Rack, rack
from topology import stores

KEYS = 12_000
VALUE = "v" * 64
SLOW = "1500kbps"
"""Makes the move of all keys take some seconds, so that there is time to do things meanwhile."""

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rack]:
    if os.geteuid() != 0:
        pytest.skip("needs root: it makes network namespaces")
    with rack(tmp_path_factory.mktemp("rack"), servers=3) as found:
        store = stores.connect(found.directory / "server1" / "store.sock")
        pipeline = store.pipeline(transaction=False)
        for number in range(KEYS):
            pipeline.set(f"key:{number}", f"{number}:{VALUE}")
        pipeline.execute()
        yield found


def _wait(what: str, condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.05)


def _keys(net: Rack, server: str) -> int:
    return int(stores.connect(net.directory / server / "store.sock").dbsize())


def _placement(net: Rack) -> dict[str, str]:
    return {each["name"]: each["server"] for each in net.status()["partitions"]}


def _move(net: Rack, what: str, to: str) -> Any:
    """Migrate to the end, as the start or the end of a test."""
    status, out, err = net.cli("migrate", what, "--to", to, "--wait", "--json")
    assert status == 0, err
    migration = json.loads(out)
    assert migration["state"] == "done", migration
    return migration


def _home(net: Rack) -> None:
    """Bring every partition back to server1."""
    _wait("nothing runs", lambda: not net.status()["migrations"], 60)
    for partition, server in _placement(net).items():
        if server != "server1":
            _move(net, partition, "server1")


@pytest.fixture(autouse=True)
def at_home(net: Rack) -> Iterator[None]:
    yield
    _home(net)
    _check_settled(net)
    _wait("copies deleted", lambda: _keys(net, "server1") == KEYS)


def _switch_matches(net: Rack) -> None:
    comparison = net.json("groups")
    assert comparison["match"], [view for view in comparison["views"] if not view["match"]]


def _arrives(net: Rack, partition: str) -> None:
    """Let a migration to server2 that was in trouble end."""
    _switch_matches(net)
    _read_some(net)
    net.json("throttle", "0")
    _wait("done", lambda: not net.status()["migrations"])
    assert _placement(net)[partition] == "server2"


def _reads_are_pulled(net: Rack) -> bool:
    """Whether the switch has been told to send reads of groups on the move to the destination."""
    (partitions,) = net.json("tables", "partition")
    (moving,) = (each for each in partitions["entries"] if "migrate" in each["action"])
    return "pull_reads=1" in moving["action"]


def _check_settled(net: Rack) -> None:
    """No migration runs, switch and agents agree, all slices are zero and free."""
    status = net.status()
    assert status["migrations"] == []
    _switch_matches(net)
    assert net.json("tables", "control_source")[0]["entries"][1:] == []
    _wait("slices cleared", lambda: set(net.status()["slices"].values()) == {"free"}, 90.0)
    for register in ("ongoing_0", "migrated_3", "ctrl_seq"):
        assert net.json("registers", "read", register, "--nonzero") == []


def _read_some(net: Rack) -> None:
    """A sample of the keys is there, through the switch, from a client host."""
    program = (
        "from hosts.client import Client\n"
        "with Client('10.0.0.1', 4700, service=1) as kv:\n"
        f"    for n in range(0, {KEYS}, 97):\n"
        "        got = kv.get(f'key:{n}')\n"
        "        assert got is not None and got.startswith(b'%d:' % n), (n, got)\n"
    )
    net.inside("client1", sys.executable, "-c", program)


def test_status_and_commands_through_the_switch(net: Rack) -> None:
    code, out, err = net.cli("status", "--json")
    assert code == 0, err
    status = json.loads(out)
    assert status["device"]["connected"]
    assert [server["reachable"] for server in status["servers"]] == [True] * 3
    assert status["servers"][0]["groups_owned"] == 16384
    code, out, err = net.cli("status")
    assert code == 0, err
    assert "server1" in out
    assert net.cli("set", "greeting", "hello") == (0, "OK\n", "")
    assert net.cli("get", "greeting") == (0, "hello\n", "")
    assert net.cli("exec", "--json", "STRLEN", "greeting")[1] == "5\n"
    assert net.cli("exec", "HSET", "user:1", "name", "Ada", "year", "1815")[1] == "(integer) 2\n"
    assert net.cli("exec", "HMGET", "user:1", "name", "none")[1] == "1) Ada\n2) (nil)\n"
    code, _, err = net.cli("exec", "INCR", "greeting")
    assert (code, len(err.splitlines())) == (1, 1)
    code, _, err = net.cli("exec", "FLUSHALL")
    assert (code, len(err.splitlines())) == (2, 1)
    assert net.cli("exec", "--host", "server2", "DEL", "greeting")[1] == "(integer) 1\n"
    assert net.cli("exec", "DEL", "user:1")[1] == "(integer) 1\n"


def test_a_whole_partition_moves_and_comes_back(net: Rack) -> None:
    moved = _move(net, "p0", "server2")
    assert moved["groups_done"] == moved["groups_total"] == 16384
    assert moved["keys"] == KEYS
    _check_settled(net)
    _wait("source deletes its copy", lambda: _keys(net, "server1") == 0)
    assert _keys(net, "server2") == KEYS
    _read_some(net)
    history = net.json("history")
    assert (history[-1]["state"], history[-1]["destination"]) == ("done", "server2")
    assert net.cli("history")[0] == 0
    code, out, err = net.cli("resume", str(moved["id"]))
    assert (code, out) == (2, "")
    assert f"migration {moved['id']} is done" in err


def test_what_the_switch_holds_can_be_seen(net: Rack) -> None:
    registers = {each["name"]: each for each in net.json("registers", "list")}
    assert registers["ongoing_0"]["slice_size"] * 8 == registers["ongoing_0"]["size"]
    assert registers["ctrl_seq"]["bits"] == 32
    slice_ = net.json("registers", "read", "ctrl_seq", "--slice", "2")
    assert [cell["index"] for cell in slice_] == list(range(128, 192))
    tables = {each["name"]: each["entries"] for each in net.json("tables")}
    assert any("serve" in entry["action"] for entry in tables["partition"])
    assert len(tables["server"]) == 3 + 1
    net.cli("get", "key:1")
    counters = {(each["name"], each["cell"]): each for each in net.json("counters")}
    assert counters["events", "SERVED"]["packets"] > 0
    assert counters["traffic", "REPLY"]["bytes"] > 0
    assert "switch and agents agree" in net.cli("groups")[1]
    for arguments, message in [
        (["tables", "nothing"], "no table 'nothing': there are"),
        (["registers", "read", "nothing"], "no register 'nothing': there are"),
        (["registers", "read", "ctrl_seq", "--slice", "8"], "slice 8: slices are 0 to 7"),
        (["groups", "--migration", "999"], "no migration 999"),
    ]:
        code, _, err = net.cli(*arguments)
        assert code == 2
        assert message in err


def test_refusals_leave_everything_as_it_was(net: Rack) -> None:
    before = net.status()["partitions"], net.json("tables"), len(net.json("history"))
    for arguments, message in [
        (["migrate", "p7", "--to", "server2"], "no partition 'p7'"),
        (["migrate", "p0", "--to", "server9"], "no server 'server9': there are server1, server2"),
        (["migrate", "p0", "--to", "server1"], "partition p0 is on server1 already"),
        (["migrate", "0-99", "--to", "server2"], "aligned power-of-two range"),
        (["migrate", "p0", "--to", "server2", "--throttle", "x"], "throttle 'x'"),
        (
            ["migrate", "p0", "--to", "server2", "--group-batch", "12"],
            "12: expected a power of two",
        ),
        (["migrate", "p0", "--to", "server2", "--group-batch", "2048"], "1 to 1024"),
        (
            ["migrate", "p0", "--to", "server2", "--pull-reads", "--protocol", "source"],
            "pull reads: only protocol netmigrate can, not source",
        ),
        (["pause"], "no migration is running"),
        (["abort", "99999"], "no migration 99999"),
    ]:
        code, out, err = net.cli(*arguments)
        assert (code, out) == (2, ""), (arguments, out, err)
        assert message in err
        assert len(err.splitlines()) == 1
    after = net.status()["partitions"], net.json("tables"), len(net.json("history"))
    for partition in (*before[0], *after[0]):
        partition["packets"] = 0
    assert before[0] == after[0]
    assert before[2] == after[2]


def test_packets_by_hand(net: Rack) -> None:
    def counted(name: str) -> int:
        return sum(
            int(each["packets"])
            for each in net.json("counters")
            if (each["name"], each["cell"]) == ("events", name)
        )

    code, out, err = net.cli("inject", "GET", "key:7", "--host", "client1", "--json")
    assert code == 0, err
    replies = json.loads(out)["replies"]
    assert [reply["value"] for reply in replies] == [f"7:{VALUE}"]
    assert "AUTHORITATIVE" in replies[0]["flags"]
    assert replies[0]["from"] == "10.0.0.1:4700"
    code, out, _ = net.cli("inject", "GET", "key:7", "--group", "3")
    assert (code, "refused" in out) == (0, True), "the agent refuses a wrong group"
    # A START from a client host changes nothing, and is counted.
    refused = counted("CONTROL_REFUSED")
    net.cli("inject", "--control", "start", "--group", "5", "--migration", "1")
    assert counted("CONTROL_REFUSED") == refused + 1
    assert net.json("registers", "read", "ongoing_0", "--nonzero") == []
    code, out, _ = net.cli("inject", "GET", "key:7", "--service", "9")
    assert (code, out.strip()) == (1, "no reply")


def test_pause_resume_throttle(net: Rack) -> None:
    begun = net.json("migrate", "p0", "--to", "server2", "--throttle", SLOW, "--group-batch", "32")
    assert begun["group_batch"] == net.status()["migrations"][0]["group_batch"] == 32
    entry = net.json("tables", "partition")[0]["entries"][0]
    assert f"batch_mask={0xFFFF - 31}" in entry["action"]
    assert not _reads_are_pulled(net)
    code, _, err = net.cli("migrate", "p0", "--to", "server3")
    assert code == 2
    assert "partition p0 is already moving" in err
    _wait("some groups", lambda: net.status()["migrations"][0]["groups_done"] > 100)
    assert net.json("pause")["state"] == "paused"
    _wait("drained", lambda: net.status()["migrations"][0]["groups_ongoing"] == 0)
    held = net.status()["migrations"][0]["groups_done"]
    assert held % 32 == 0, "whole batches"
    comparison = net.json("groups")
    assert comparison["match"]
    assert {view["truth"] for view in comparison["views"]} == {"MIGRATED", "NOT_MIGRATED"}
    _read_some(net)
    assert net.status()["migrations"][0]["groups_done"] == held
    code, _, err = net.cli("pause")
    assert (code, "to be paused it must be running" in err) == (2, True)
    assert net.json("throttle", "0")["throttle"] == 0
    assert net.json("resume")["state"] == "running"
    _wait("done", lambda: not net.status()["migrations"])
    assert _placement(net) == {"p0": "server2"}


def test_abort_moves_back_what_was_moved(net: Rack) -> None:
    net.json("migrate", "p0", "--to", "server2", "--throttle", SLOW)
    _wait("some groups", lambda: net.status()["migrations"][0]["groups_done"] > 500)
    code, out, err = net.cli("abort", "--wait", "--json")
    assert code == 0, err
    back = json.loads(out)
    assert back["state"] == "done"
    aborted, last = net.json("history")[-2:]
    assert aborted["state"] == "aborted"
    assert last["moves_back"] == aborted["id"]
    assert 500 < last["groups_total"] == aborted["groups_done"] < 16384
    assert _placement(net) == {"p0": "server1"}
    _check_settled(net)
    _read_some(net)


def test_an_abort_whose_source_is_killed_leaves_no_group_on_the_way(net: Rack) -> None:
    net.json("migrate", "p0", "--to", "server2", "--throttle", SLOW)
    _wait("some groups", lambda: net.status()["migrations"][0]["groups_done"] > 500)
    _kill_source_while_stopping(net)
    aborted, last = net.json("history")[-2:]
    assert (aborted["state"], last["moves_back"]) == ("aborted", aborted["id"])
    assert _placement(net) == {"p0": "server1"}
    _check_settled(net)
    _read_some(net)


def test_an_aborted_pre_copy_whose_source_is_killed_leaves_no_copies(net: Rack) -> None:
    _wait("no copies of before", lambda: _keys(net, "server2") == 0)
    net.json("migrate", "p0", "--to", "server2", "--throttle", SLOW, "--protocol", "source")
    _wait("some copies", lambda: _keys(net, "server2") > 50)
    _kill_source_while_stopping(net)
    assert net.json("history")[-1]["state"] == "aborted"
    _wait("no copies", lambda: _keys(net, "server2") == 0)
    _check_settled(net)
    _read_some(net)


def test_groups_are_counted_once_however_often_the_source_begins_anew(net: Rack) -> None:
    """An abort whose source was killed, and whose destination is away: it is tried again."""
    net.json("migrate", "p0", "--to", "server2", "--throttle", SLOW)
    _wait("some groups", lambda: net.status()["migrations"][0]["groups_done"] > 500)

    def tried_twice() -> None:
        _wait("one try", lambda: "server2" in net.status()["migrations"][0]["error"])
        known = net.status()["migrations"][0]["groups_total"]
        time.sleep(2.0)
        (again,) = net.status()["migrations"]
        assert (again["state"], again["groups_total"]) == ("stopping", known)
        assert 500 < known < 16384

    _kill_source_while_stopping(net, tried_twice)
    assert net.json("history")[-2]["state"] == "aborted"
    _check_settled(net)


def _kill_source_while_stopping(net: Rack, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Abort the migration from server1 to server2; its source is killed before it has stopped, and
    the destination does not answer until `meanwhile` is over."""
    destination = net.children.children["server2-agent"].pid
    os.kill(destination, signal.SIGSTOP)
    try:
        abort = threading.Thread(target=net.cli, args=("abort",))
        abort.start()
        _wait("stopping", lambda: net.status()["migrations"][0]["state"] == "stopping")
        net.children.kill("server1-agent")
        net.start_agent("server1")
        meanwhile()
    finally:
        os.kill(destination, signal.SIGCONT)
    abort.join()
    _wait("taken back", lambda: not net.status()["migrations"])


def _restart_controller(net: Rack, between: Callable[[], None] = lambda: None) -> None:
    net.children.kill("controller")
    between()
    net.start_controller()


def test_a_restarted_controller_knows_what_was_running(net: Rack) -> None:
    partition = next(iter(_placement(net)))
    started = net.json("migrate", partition, "--to", "server2", "--throttle", "300kbps")
    _wait("begun", lambda: net.status()["migrations"][0]["groups_done"] > 10)
    _restart_controller(net)
    (running,) = net.status()["migrations"]
    assert (running["id"], running["state"]) == (started["id"], "running")
    assert net.json("groups", "--migration", str(running["id"]))["match"]
    net.json("throttle", "0")
    _wait("done", lambda: not net.status()["migrations"])
    assert _placement(net)[partition] == "server2"


def test_a_migration_that_ended_without_the_controller(net: Rack) -> None:
    partition = next(iter(_placement(net)))
    net.json("migrate", partition, "--to", "server2", "--throttle", SLOW)

    def ended() -> None:
        _wait("moved", lambda: _keys(net, "server2") > 0 and _quiet(net), 60)

    _restart_controller(net, between=ended)
    _wait("finished", lambda: not net.status()["migrations"])
    assert _placement(net)[partition] == "server2"


def _quiet(net: Rack) -> bool:
    before = _keys(net, "server2")
    time.sleep(1.0)
    return _keys(net, "server2") == before


def test_a_restarted_switch_is_restored(net: Rack) -> None:
    partition = next(iter(_placement(net)))
    net.json("migrate", partition, "--to", "server2", "--throttle", "300kbps", "--pull-reads")
    assert _reads_are_pulled(net)
    _wait("begun", lambda: net.status()["migrations"][0]["groups_done"] > 300)
    net.children.kill("switch")
    _wait("noticed", lambda: not net.status()["device"]["connected"])
    code, _, err = net.cli("tables")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "switch tor" in err
    assert "is not reachable" in err
    net.start_switch()
    _wait("restored", lambda: net.status()["device"]["connected"])
    (running,) = net.status()["migrations"]
    assert (running["state"], running["pull_reads"]) == ("running", True)
    assert _reads_are_pulled(net)
    assert "pulled" in net.cli("status")[1]
    _arrives(net, partition)


def test_a_source_that_is_away_while_the_switch_restarts(net: Rack) -> None:
    partition = next(iter(_placement(net)))
    net.json("migrate", partition, "--to", "server2", "--throttle", "300kbps")
    _wait("begun", lambda: net.status()["migrations"][0]["groups_done"] > 300)
    source = net.children.children["server1-agent"].pid
    os.kill(source, signal.SIGSTOP)
    try:
        net.children.kill("switch")
        _wait("noticed", lambda: not net.status()["device"]["connected"])
        net.start_switch()
        _wait("connected", lambda: bool(net.status()["device"]["connected"]))
        _wait("held up", lambda: "agent of server1" in net.status()["migrations"][0]["error"])
    finally:
        os.kill(source, signal.SIGCONT)
    _wait("goes on", lambda: not net.status()["migrations"][0]["error"])
    _arrives(net, partition)


def test_a_source_that_was_restarted_goes_on(net: Rack) -> None:
    partition = next(iter(_placement(net)))
    first = net.json("migrate", partition, "--to", "server2", "--throttle", "300kbps")
    _wait("begun", lambda: net.status()["migrations"][0]["groups_done"] > 300)
    net.children.kill("server1-agent")
    moved = net.status()["migrations"][0]["groups_done"]
    net.start_agent("server1")
    _wait("goes on", lambda: net.status()["migrations"][0]["groups_done"] > moved + 30)
    _read_some(net)
    paused = net.json("pause")
    assert (paused["id"], paused["state"]) == (first["id"], "paused")
    _wait("drained", lambda: net.status()["migrations"][0]["groups_ongoing"] == 0)
    standing = net.status()["migrations"][0]
    assert moved < standing["groups_done"] < standing["groups_total"] == first["groups_total"]
    _switch_matches(net)
    net.json("resume")
    net.json("throttle", "0")
    _wait("done", lambda: not net.status()["migrations"])
    ended = net.json("history")[-1]
    assert ended["groups_done"] == ended["groups_total"] == first["groups_total"]
    assert ended["keys"] > standing["keys"] > 0
    assert _placement(net)[partition] == "server2"
    _read_some(net)


def test_a_destination_without_memory(net: Rack) -> None:
    """The migration pauses and says why; with memory, a resume lets it end."""
    partition = next(iter(_placement(net)))
    full = stores.connect(net.directory / "server2" / "store.sock")
    _wait("no copies of an earlier migration, which free memory", lambda: full.dbsize() == 0)
    full.config_set("maxmemory", full.info("memory")["used_memory"] + 500_000)
    try:
        net.json("migrate", partition, "--to", "server2")
        _wait("paused", lambda: net.status()["migrations"][0]["state"] == "paused")
        (paused,) = net.status()["migrations"]
        assert paused["error"].startswith("the store of server2: OOM command not allowed")
        assert "the store of server2: OOM" in net.cli("status")[1].replace("\n", " ")
        _read_some(net)
        net.json("resume")
        _wait("again", lambda: net.status()["migrations"][0]["state"] == "paused")
    finally:
        full.config_set("maxmemory", 0)
    time.sleep(0.5)  # until all that was sent before has been complained of
    net.json("resume")
    _wait("done", lambda: not net.status()["migrations"])
    assert _placement(net)[partition] == "server2"
    assert _keys(net, "server2") == KEYS
    _read_some(net)


def test_an_agent_that_is_away(net: Rack) -> None:
    agent = net.children.children["server3-agent"]
    before = _placement(net)
    os.kill(agent.pid, signal.SIGSTOP)
    try:
        partition = next(iter(before))
        code, out, err = net.cli("migrate", partition, "--to", "server3")
    finally:
        os.kill(agent.pid, signal.SIGCONT)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "agent of server3 (unix:" in err
    assert "does not answer" in err
    assert _placement(net) == before
    assert net.status()["migrations"] == []


def test_a_promised_migration_that_never_began_is_taken_back(net: Rack, tmp_path: Path) -> None:
    """The controller died between its record and the word to the source."""
    before = _placement(net)
    partition = next(iter(before))

    def promise() -> None:
        with sqlite3.connect(net.directory / "controller.sqlite") as db:
            first, last = db.execute(
                "SELECT first, last FROM partitions WHERE name = ?", (partition,)
            ).fetchone()
            (serial,) = db.execute("SELECT max(id) FROM migrations").fetchone()
            db.execute("UPDATE slices SET state = 'used' WHERE number = 5")
            db.execute(
                "INSERT INTO migrations (id, partition, first, last, groups, source, destination,"
                " slice, state, protocol, lanes, throttle, created)"
                " VALUES (?, ?, ?, ?, ?, 'server1', 'server2', 5, 'starting', 'netmigrate', 4, 0,"
                " 0)",
                ((serial or 0) + 1, partition, first, last, json.dumps([[first, last]])),
            )

    _restart_controller(net, between=promise)
    _wait("taken back", lambda: not net.status()["migrations"])
    last = net.json("history")[-1]
    assert (last["state"], last["error"]) == ("failed", "the source was never told to start")
    assert _placement(net) == before


def test_a_migration_that_began_goes_on_although_neither_side_remembers(net: Rack) -> None:
    """The controller could not write that it runs, and its source was killed."""
    partition = next(iter(_placement(net)))
    net.json("migrate", partition, "--to", "server2", "--throttle", SLOW)
    _wait("begun", lambda: net.status()["migrations"][0]["groups_done"] > 100)

    def forget() -> None:
        net.children.kill("server1-agent")
        with sqlite3.connect(net.directory / "controller.sqlite") as db:
            db.execute("UPDATE migrations SET state = 'starting' WHERE ended IS NULL")
        net.start_agent("server1")

    _restart_controller(net, between=forget)
    _wait("ended", lambda: not net.status()["migrations"])
    assert net.json("history")[-1]["state"] == "done"
    assert _placement(net)[partition] == "server2"


def test_a_start_that_the_source_refuses_is_undone(net: Rack) -> None:
    """The record says that server3 has the groups; its agent knows better."""

    def say(server: str) -> Callable[[], None]:
        def change() -> None:
            with sqlite3.connect(net.directory / "controller.sqlite") as db:
                db.execute("UPDATE partitions SET server = ?", (server,))

        return change

    _restart_controller(net, between=say("server3"))
    before = _placement(net)
    comparison = net.json("groups")
    assert not comparison["match"]
    assert {view["truth"] for view in comparison["views"]} == {"server1"}
    code, out, err = net.cli("migrate", "0-1023", "--to", "server2")
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert "did not start: agent of server3" in err
    assert "cannot be sent" in err
    assert _placement(net) == before, "the partition is whole again"
    assert net.json("history")[-1]["state"] == "failed"
    entries = net.json("tables", "partition")[0]["entries"]
    assert [entry["action"] for entry in entries if not entry["is_default"]] == ["serve(server=3)"]
    _read_some(net)
    _restart_controller(net, between=say("server1"))


def test_two_parts_at_once(net: Rack) -> None:
    net.json("migrate", "0-4095", "--to", "server2", "--throttle", "100kbps")
    net.json("migrate", "8192-16383", "--to", "server3", "--throttle", "100kbps")
    running = net.status()["migrations"]
    assert len(running) == 2
    assert running[0]["slice"] != running[1]["slice"]
    code, _, err = net.cli("pause")
    assert (code, "which migration?" in err) == (2, True)
    _read_some(net)
    for migration in running:
        assert net.json("throttle", "0", str(migration["id"]))["throttle"] == 0
    _wait("both done", lambda: not net.status()["migrations"])
    assert _placement(net) == {"p0.00": "server2", "p0.01": "server1", "p0.1": "server3"}
    _check_settled(net)
    _read_some(net)
