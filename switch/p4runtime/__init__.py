"""P4Runtime server of the embedded switch (P4Runtime specification 1.5)."""

from switch.p4runtime.pipeline_config import compile_config, device_config
from switch.p4runtime.server import Server, ServerError

__all__ = ["Server", "ServerError", "compile_config", "device_config"]
