"""What is checked of the formal model: within which bounds, and what must come of it."""

from dataclasses import dataclass
from typing import Final

# Parts of the assertions, as Spin prints them.
ONE_OWNER: Final = "!((((agent[0].group[g].state==1)||(agent[0].group[g].state==3))&&"
NEWER_VALUE_WINS: Final = "(agent[me].group[g].copy<=body)"
EXACTLY_ONCE: Final = "!(executed)"
NEVER_OLDER: Final = "(value>=floor)"
ALL_ENDS: Final = "migration_over"
SWITCH_FOLLOWS: Final = "tor.migrated"


@dataclass(frozen=True, slots=True)
class Check:
    """A search. `violates`: the assertion that must fail; none, if it is empty."""

    name: str
    defines: str
    violates: str = ""


PROTOCOL: Final = (
    Check("any switch", "REQUESTS=2 REQUESTS_1=1 ABANDONS=1"),
    Check("there and back", "MIGRATIONS=2"),
    Check("a connection breaks", "BREAKS=1"),
    Check("a connection breaks, there and back", "BREAKS=1 MIGRATIONS=2 CLIENTS=1"),
    Check("an agent crashes", "CRASHES=1 DELETES"),
    Check("two groups", "GROUPS=2"),
    Check("the switch restarts", "REAL_SWITCH RESETS=1"),
    Check("the switch, there and back", "REAL_SWITCH MIGRATIONS=2 CLIENTS=1 REQUESTS=2"),
    Check("the switch, an agent crashes", "REAL_SWITCH CRASHES=1 CLIENTS=1"),
)

BROKEN: Final = (
    Check("a newer value is overwritten", "BROKEN=OVERWRITTEN_VALUE", NEWER_VALUE_WINS),
    Check("a write is executed again", "BROKEN=REEXECUTED_WRITE", EXACTLY_ONCE),
    Check("an emigrating source is believed", "BROKEN=EMIGRATING_READ", NEVER_OLDER),
    Check("a stale double read counts", "BROKEN=STALE_DOUBLE MIGRATIONS=2", NEVER_OLDER),
    Check("a late PREPARE counts", "LATE_PREPARE BREAKS=1 MIGRATIONS=2 CLIENTS=1", ONE_OWNER),
    # which costs time only, and is not prevented
    Check(
        "a late acknowledgement counts",
        "SWITCH_FOLLOWS REAL_SWITCH RESETS=1 CLIENTS=1",
        SWITCH_FOLLOWS,
    ),
)

# What must be durable, and when. Those that violate nothing show what need not be.
DURABILITY: Final = (
    Check("completion records are lost", "CRASHES=1 LOSE_RECORDS", EXACTLY_ONCE),
    Check("a record comes after its write", "CRASHES=1 TORN_RECORD", EXACTLY_ONCE),
    Check(
        "watermarks are lost",
        "CRASHES=1 LOSE_WATERMARKS REQUESTS=2 REQUESTS_1=1",
        EXACTLY_ONCE,
    ),
    Check("keys here are forgotten", "CRASHES=1 LOSE_HERE", NEWER_VALUE_WINS),
    Check("a key here is noted after its write", "CRASHES=1 TORN_HERE", NEWER_VALUE_WINS),
    Check(
        "keys here are those in the store", "CRASHES=1 HERE_FROM_STORE DELETES", NEWER_VALUE_WINS
    ),
    Check(
        "keys here are those in the store, none deleted",
        "CRASHES=1 HERE_FROM_STORE CLIENTS=1 REQUESTS=2",
    ),
    Check("keys here are those that clients changed", "CRASHES=1 HERE_IF_NEWER DELETES"),
    Check("the journal tells", "CRASHES=1 JOURNAL DELETES"),
    Check("that all keys are here is forgotten", "CRASHES=1 LOSE_ARRIVED", ALL_ENDS),
    Check("migrations are forgotten", "CRASHES=1 FORGET_MIGRATIONS", ALL_ENDS),
)

_TWO_CRASHES: Final = "CRASHES=2 EMPTY=1 ONE_WRITER REQUESTS=2 REQUESTS_1=1"

# By hand: a quarter of an hour, up to 1 GB.
DEEP: Final = (
    Check("any switch, with deletions", "REQUESTS=2 REQUESTS_1=1 ABANDONS=1 DELETES"),
    Check("two groups, three requests", "GROUPS=2 REQUESTS=2 REQUESTS_1=1"),
    Check("a connection breaks, there and back", "BREAKS=1 MIGRATIONS=2"),
    Check("an agent crashes, there and back", "CRASHES=1 MIGRATIONS=2"),
    Check("an agent crashes, three requests", "CRASHES=1 REQUESTS=2 REQUESTS_1=1"),
    Check("the journal, two crashes", f"{_TWO_CRASHES} JOURNAL"),
    Check("... and nothing is deleted", f"{_TWO_CRASHES} JOURNAL LEAVE_REST", NEVER_OLDER),
)
