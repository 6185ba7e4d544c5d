"""The load generator: YCSB workloads, open and closed loop, every operation recorded."""

from hosts.load.cluster import Cluster
from hosts.load.driver import Driver, Pace, Progress, Target
from hosts.load.history import FOREIGN, RECORD, History, Operation, Status
from hosts.load.keys import Names
from hosts.load.trace import WORKLOADS, Kind, Trace, TraceError, make

__all__ = [
    "FOREIGN",
    "RECORD",
    "WORKLOADS",
    "Cluster",
    "Driver",
    "History",
    "Kind",
    "Names",
    "Operation",
    "Pace",
    "Progress",
    "Status",
    "Target",
    "Trace",
    "TraceError",
    "make",
]
