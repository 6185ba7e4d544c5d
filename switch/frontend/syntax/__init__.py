"""The syntax tree of P4_16, as parsed: names unresolved, types unchecked.

Nodes contain each other in a circle, so some modules know others for the type checker only.
"""
# ruff: noqa: F403

from switch.frontend.syntax.blocks import *
from switch.frontend.syntax.declarations import *
from switch.frontend.syntax.expressions import *
from switch.frontend.syntax.nodes import *
from switch.frontend.syntax.statements import *
from switch.frontend.syntax.tables import *
from switch.frontend.syntax.types import *
