"""Ports of the loopback device."""

from __future__ import annotations

from pocketflow.utils.system.ports import free_ports


def test_ports_are_different():
    assert len(set(free_ports(3))) == 3
