"""The emulated network: one top-of-rack switch, server hosts and client hosts around it."""

import os
import subprocess
from typing import Any

from mininet.link import Link
from mininet.log import setLogLevel
from mininet.net import Mininet
from mininet.node import Host

from topology import settings
from topology.switches import ToRSwitch

VIP = "10.0.0.1"
VIP_MAC = "02:00:00:00:00:01"
SERVICE_PORT = 4700
AGENT_PORT = 4701


class WiredLink(Link):  # type: ignore[misc]
    """A veth pair without offloads: the switch's AF_PACKET ports must see finished packets."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for interface in (self.intf1, self.intf2):
            for feature in ("tx", "rx", "sg", "tso", "gso", "gro"):
                interface.cmd(f"ethtool -K {interface.name} {feature} off 2>/dev/null")


class CutUpLink(WiredLink):
    """A link to the embedded switch, which finishes what a UDP sender left to the device.

    Checksums and the cutting up of runs of datagrams cost it less than the host's kernel
    (switch/ports/offloads.h). TCP's segments it takes as they are on a wire.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        host = self.intf1
        host.cmd(f"ethtool -K {host.name} tx on sg on tx-udp-segmentation on tso off gso off")


def _link(network: settings.Network) -> type[WiredLink]:
    """Return the links for this switch. Before Linux 6.2 no packet socket hands over whole runs."""
    major, minor = (int(part) for part in os.uname().release.split(".")[:2])
    return CutUpLink if network.switch == "embedded" and (major, minor) >= (6, 2) else WiredLink


class QuietHost(Host):  # type: ignore[misc]
    """A host without IPv6, whose router solicitations would only be noise at the switch."""

    def config(self, **params: Any) -> Any:
        """Configure the host as Mininet does, then turn IPv6 off."""
        result = super().config(**params)
        self.cmd("sysctl -qw net.ipv6.conf.all.disable_ipv6=1")
        return result


def build(network: settings.Network) -> Mininet:
    """Build and start the Mininet network; the switch itself is not running yet.

    Ports of the switch: servers 1…S, then clients S+1…S+C.
    """
    setLogLevel("output")  # what commands at the prompt print, not what Mininet does
    net = Mininet(topo=None, build=False, controller=None, autoSetMacs=False, waitConnected=False)
    switch = net.addSwitch(network.switch_name, cls=ToRSwitch, dpid="1")
    for kind, subnet, count in (("server", 1, network.servers), ("client", 2, network.clients)):
        for number in range(1, count + 1):
            name = f"{kind}{number}"
            host = net.addHost(
                name,
                cls=QuietHost,
                ip=f"10.0.{subnet}.{number}/16",
                mac=f"02:00:00:00:{subnet:02x}:{number:02x}",
            )
            net.addLink(host, switch, cls=_link(network))
    net.build()
    net.start()
    return net


def remove_interfaces(switch_name: str) -> None:
    """Delete what links of a crashed network are left in the root namespace."""
    listing = subprocess.run(
        ["ip", "-o", "link", "show"], capture_output=True, text=True, check=True
    ).stdout
    for line in listing.splitlines():
        name = line.split(": ")[1].partition("@")[0]
        if name.startswith(f"{switch_name}-eth"):
            subprocess.run(["ip", "link", "del", name], check=False, capture_output=True)
