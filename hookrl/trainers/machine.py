"""What a run's exact numbers depend on beside its own state: software, processor, threads."""

from __future__ import annotations

import functools
import importlib.metadata
import platform
from collections.abc import Mapping
from typing import Any

import torch

import hookrl

_PACKAGES = ("torch", "tensordict", "torchrl", "gymnasium", "numpy")


def describe_machine() -> dict[str, Any]:
    """Return versions, the processor's capability, torch's threads and the accelerators."""
    cuda = range(torch.cuda.device_count())
    return {
        "versions": dict(_versions()),
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "devices": [torch.cuda.get_device_name(device) for device in cuda],
    }


@functools.cache
def _versions() -> dict[str, str]:
    """Looked up once: it reads files, and every checkpoint asks."""
    versions = {"python": platform.python_version(), "hookrl": hookrl.__version__}
    return versions | {name: importlib.metadata.version(name) for name in _PACKAGES}


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
