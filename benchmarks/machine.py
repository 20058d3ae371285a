"""What a measurement was made on and with."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterable
from pathlib import Path

COMPARED = ("torch", "tensordict", "numpy", "gymnasium", "stable-baselines3")
"""Packages that a comparison of speed rests on."""


def machine() -> dict[str, str]:
    """Return the processor, how much of it there is, and the system."""
    return {
        "cpu": _cpu_model(),
        "cores": str(processors()),
        "system": f"{platform.system()} {platform.release()}",
    }


def describe_machine() -> dict[str, str]:
    """Return the machine, and how busy it was to begin with."""
    return {**machine(), "load average at the start": f"{os.getloadavg()[0]:.2f}"}


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def describe_disk(directory: Path) -> str:
    """Return the kind of file system that a directory is on."""
    mounts = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    places = {Path(mount.split()[1]): mount.split()[2] for mount in mounts}
    parents = (directory.resolve(), *directory.resolve().parents)
    return next((places[parent] for parent in parents if parent in places), "unknown")


def missing(names: Iterable[str]) -> list[str]:
    """Return the packages that are not installed."""
    return [name for name in names if _version(name) is None]


def describe_versions(names: Iterable[str] = COMPARED) -> dict[str, str]:
    """Return the versions of what is compared and of what both rest on."""
    from hookrl import __version__

    return {**package_versions(names), "hookrl": __version__}


def package_versions(names: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python and of some packages, which must be installed."""
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in names
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


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
