"""Compiled programs stay in the repository's own cache, so that a second run is fast."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("XDG_CACHE_HOME", str(Path(__file__).resolve().parents[3] / ".cache"))
