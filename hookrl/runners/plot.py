"""Learning curves of several runs in one picture."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hookrl.errors import InvalidValue
from hookrl.loggers.learning_curve import RETURN, Curve, draw_curves
from hookrl.loggers.run_directory import RunDirectory

_IRRELEVANT = {"seed", "run_dir", "overwrite", "progress_bar", "torch_threads", "checkpoint"}
"""Fields in which runs of one setting may differ."""
_READABLE = 60
"""Longest label in characters; runs that differ in more are called by their directories."""


def plot_runs(
    run_paths: Sequence[str | Path], metric: str = RETURN, out: str | Path | None = None
) -> Path:
    """Draw the learning curves of runs.

    Runs with the same config apart from the seed become one line, the mean, in a band from the
    least to the greatest. Lines are named by what their configs differ in, or by
    their directories where that is too much to read.

    Args:
        run_paths: the run directories.
        metric: the column of ``metrics.csv`` to draw.
        out: the image to write. None: the learning curve inside the run if there is one run, else
            ``learning_curves.png`` in the current directory.

    Returns:
        The path of the image.

    Raises:
        MissingFile: if a run is not there, or has no metrics.
        InvalidValue: if a path is not a run's, or no run has the metric.
    """
    if not run_paths:
        raise InvalidValue("there is nothing to plot: expected at least one run directory.")
    runs = [RunDirectory.open(path) for path in run_paths]
    settings: dict[str, dict[str, Any]] = {}
    tables: dict[str, list[dict[str, list[float]]]] = {}
    names: dict[str, list[str]] = {}
    for run in runs:
        setting = _setting(run)
        key = json.dumps(setting, sort_keys=True)
        settings[key] = setting
        tables.setdefault(key, []).append(run.metrics())
        names.setdefault(key, []).append(run.path.resolve().name)
    labels = _labels(list(settings.values()))
    if any(len(label) > _READABLE for label in labels):
        labels = [", ".join(names[key]) for key in tables]
    curves = [
        Curve(label=label, tables=tables[key]) for key, label in zip(tables, labels, strict=True)
    ]
    if out is None:
        # The curve that training drew is replaced by the same curve only.
        name = "learning_curve" if metric == RETURN else metric.replace("/", "_")
        out = runs[0].path / f"{name}.png" if len(runs) == 1 else Path(f"{name}s.png")
    return draw_curves(curves, out, metric=metric, title=_title(list(settings.values())))


def _setting(run: RunDirectory) -> dict[str, Any]:
    """Return what matters of a run's config, flat, with dotted names."""
    fields = {name: value for name, value in run.config.items() if name not in _IRRELEVANT}
    return _flat({"algorithm": run.algorithm, **fields})


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _labels(settings: list[dict[str, Any]]) -> list[str]:
    """Name each setting by the fields in which not all agree."""
    names = dict.fromkeys(name for setting in settings for name in setting)
    different = [
        name for name in names if any(s.get(name) != settings[0].get(name) for s in settings)
    ]
    return [
        ", ".join(_says(name, setting[name]) for name in different if name in setting)
        for setting in settings
    ]


def _says(name: str, value: Any) -> str:
    # An environment or an algorithm speaks for itself.
    return str(value) if name in ("env", "algorithm") else f"{name}={value}"


def _title(settings: list[dict[str, Any]]) -> str:
    """Say what all settings have in common: algorithm and environment."""
    common = ({str(setting.get(name, "")) for setting in settings} for name in ("algorithm", "env"))
    algorithm, env = (values.pop() if len(values) == 1 else "" for values in common)
    return " · ".join(part for part in (algorithm.upper(), env) if part)
