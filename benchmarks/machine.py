"""What a measurement was made on and with."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterable
from pathlib import Path

COMPARED = ("torch", "tensordict", "numpy", "gymnasium", "stable-baselines3")
"""Packages that a comparison of speed rests on."""


def describe_machine() -> dict[str, str]:
    """Return the processor, how much of it there is, and how busy it was to begin with."""
    return {
        "cpu": _cpu_model(),
        "cores": str(len(os.sched_getaffinity(0))),
        "system": f"{platform.system()} {platform.release()}",
        "load average at the start": f"{os.getloadavg()[0]:.2f}",
    }


def describe_disk(directory: Path) -> str:
    """Return the kind of file system that a directory is on."""
    mounts = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    places = {Path(mount.split()[1]): mount.split()[2] for mount in mounts}
    parents = (directory.resolve(), *directory.resolve().parents)
    return next((places[parent] for parent in parents if parent in places), "unknown")


def describe_versions(names: Iterable[str] = COMPARED) -> dict[str, str]:
    """Return the versions of what is compared and of what both rest on."""
    versions = {"python": platform.python_version()}
    versions |= {name: importlib.metadata.version(name) for name in names}
    from hookrl import __version__

    return versions | {"hookrl": __version__}


def _cpu_model() -> str:
    """Return the name that Linux gives the processor, with family and model where it is vague."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields[name.strip()] = value.strip()
    model = fields.get("model name", platform.machine())
    return f"{model} (family {fields.get('cpu family', '?')}, model {fields.get('model', '?')})"
