"""Many controllers at once: each is answered in P4Runtime's terms, and nothing hangs or breaks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from random import Random

import grpc
from finsy.proto import p4r

from switch.p4runtime import Server
from tests.switch.p4runtime.client import Client, Failure, Stream, uint128
from tests.switch.p4runtime.entities import Entities
from tests.switch.p4runtime.test_atomicity import packet_out
from tests.switch.p4runtime.test_mutations import queries, some_updates

ROUNDS = 40
# A batch with an error in it, a role or election id that another one has; never INTERNAL.
REFUSED = {"UNKNOWN", "PERMISSION_DENIED", "INVALID_ARGUMENT", "RESOURCE_EXHAUSTED"}


def test_a_crowd_of_controllers(server: Server) -> None:
    problems: list[BaseException] = []

    def round_after_round(work: Callable[[Client, Entities, Random], None], seed: int) -> None:
        client = Client(server.port, None)
        client.election_id = 1
        entities, random = Entities(client), Random(seed)
        try:
            for _ in range(ROUNDS):
                try:
                    work(client, entities, random)
                except Failure as failure:
                    assert failure.code in REFUSED, failure
                    assert "INTERNAL" not in failure.details
        except BaseException as problem:
            problems.append(problem)
        finally:
            client.close()

    def write(client: Client, entities: Entities, random: Random) -> None:
        role = random.choice(["", "other"])
        client.write(*some_updates(entities, random), role=role, atomicity=random.randrange(3))

    def read(client: Client, entities: Entities, random: Random) -> None:
        assert client.read(*queries(entities))

    def set_config(client: Client, _entities: Entities, random: Random) -> None:
        config = client.get_config()
        action = random.choice(
            ["VERIFY", "VERIFY_AND_SAVE", "VERIFY_AND_COMMIT", "RECONCILE_AND_COMMIT"]
        )
        client.set_config(action, config)
        if action == "VERIFY_AND_SAVE":
            client.set_config("COMMIT")

    def come_and_go(client: Client, _entities: Entities, random: Random) -> None:
        """Each time, somebody else is primary of another role."""
        stream = Stream(client.stub)
        try:
            stream.arbitrate(random.randrange(3), role=random.choice(["other", "third"]))
            for _ in range(random.randrange(20)):
                stream.send(packet_out())
            if random.randrange(2):
                stream.receive()
        finally:
            stream.close()

    first, second = Client(server.port, 1), Client(server.port, None)
    standing = Stream(second.stub)
    standing.arbitrate(1, role="other")
    standing.standing()
    jobs = [write, write, read, set_config, come_and_go, come_and_go]
    threads = [
        threading.Thread(target=round_after_round, args=(job, seed), daemon=True)
        for seed, job in enumerate(jobs)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert not any(thread.is_alive() for thread in threads)
    assert problems == []
    assert first.read(p4r.Entity(table_entry=p4r.TableEntry()))
    first.write(election_id=uint128(1))
    standing.close()
    for client in (first, second):
        client.close()


def test_a_client_that_hangs_up_in_the_middle(server: Server) -> None:
    """Of a large answer: its thread is free again."""
    client = Client(server.port)
    everything = p4r.ReadRequest(device_id=1, entities=[p4r.Entity()])
    everything.entities[0].register_entry.SetInParent()
    for _ in range(50):
        call = client.stub.Read(everything)
        next(iter(call))
        call.cancel()
    client.write()
    slow = [client.stub.Read(everything) for _ in range(20)]
    client.write()
    for call in slow:
        call.cancel()
        try:
            list(call)
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.CANCELLED
    client.close()
