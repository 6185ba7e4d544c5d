"""The typed, elaborated P4 program: what the front end hands to the back end and to P4Info.

Elaborated means:

* every constant expression is folded, type names and typedefs are resolved, generics specialised;
* constructor parameters are bound and every control, parser and extern *instance* is its own
  object (a sub-control instantiated twice is two `Control`s with their own tables and actions);
* implicit casts are explicit `Cast`s, arguments are in parameter order, defaults filled in;
* calls are resolved into one node class per kind of callee.

Declarations (`Variable`, `Action`, `Table`, `Control`, …) compare by identity; types and
expressions compare by value (source positions are left out of the comparison).

Whoever uses it says `ir.Name`: the modules here are for the reader.
"""
# ruff: noqa: F403

from switch.ir.actions import *
from switch.ir.calls import *
from switch.ir.controls import *
from switch.ir.expressions import *
from switch.ir.externs import *
from switch.ir.keysets import *
from switch.ir.parsers import *
from switch.ir.program import *
from switch.ir.source import *
from switch.ir.statements import *
from switch.ir.tables import *
from switch.ir.types import *
from switch.ir.variables import *
