"""A host's processor budget is a share of one core, however many there are."""

import os
from pathlib import Path

import pytest

from topology import network
from topology.settings import Network

pytestmark = [pytest.mark.root, pytest.mark.timeout(60)]


def test_a_host_gets_its_share_of_one_core(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root: it builds a network")
    settings = Network(
        directory=tmp_path, switch_name=f"b{os.getpid() % 100000}", cpu_budgets={"server1": 0.3}
    )
    net = network.build(settings)
    try:
        host = net["server1"]
        quota, period = (int(host.cgroupGet(f"cfs_{name}_us")) for name in ("quota", "period"))
        assert quota / period == pytest.approx(0.3)
    finally:
        net.stop()
