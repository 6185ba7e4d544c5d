"""P4Runtime server of the embedded switch (P4Runtime specification 1.5)."""

from switch.p4runtime.device_config import DeviceConfig, device_config
from switch.p4runtime.server import Server, ServerError

__all__ = ["DeviceConfig", "Server", "ServerError", "device_config"]
