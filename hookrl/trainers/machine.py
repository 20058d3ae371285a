"""What a run's exact numbers depend on beside its own state: software, processor, threads."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Mapping
from typing import Any

import torch

import hookrl

_PACKAGES = ("torch", "tensordict", "torchrl", "gymnasium", "numpy")


def describe_machine() -> dict[str, Any]:
    """Return versions, the processor's capability, torch's threads and the accelerators."""
    versions = {"python": platform.python_version(), "hookrl": hookrl.__version__}
    versions |= {name: importlib.metadata.version(name) for name in _PACKAGES}
    cuda = range(torch.cuda.device_count())
    return {
        "versions": versions,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "devices": [torch.cuda.get_device_name(device) for device in cuda],
    }


def differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return what differs between two machines, as ``name: then → now``."""
    found = []
    for name in {**then, **now}:
        old, new = then.get(name), now.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += differences(old, new)
        elif old != new:
            found.append(f"{name}: {old} → {new}")
    return found
