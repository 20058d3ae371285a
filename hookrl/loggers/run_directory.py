"""What a run leaves behind, and where.

====================== ==========================================================
``config.json``        algorithm, hookrl's version, and every field of the config
``metrics.csv``        a row per logged frame count
``tensorboard/``       the same as events
``learning_curve.png`` the returns drawn, after training
``weights.pt``         the last weights, for ``torch.load(weights_only=True)``
``checkpoints/``       what the run is resumed from
====================== ==========================================================

It stands among the loggers because it is where they write; of the config it only knows that it is
a mapping of plain values.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hookrl import __version__
from hookrl.errors import ExistingFile, InvalidValue, MissingFile
from hookrl.files import replacing
from hookrl.loggers.base import Logger
from hookrl.loggers.csv import CSVLogger, read_metrics
from hookrl.loggers.group import LoggerGroup
from hookrl.loggers.tensorboard import TensorBoardLogger


def is_in_use(path: str | Path) -> bool:
    """Whether there is a directory that is not empty."""
    return Path(path).is_dir() and any(Path(path).iterdir())


class RunDirectory:
    """The files of one run; `create` begins one, `open` reads one.

    Args:
        path: the directory.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.config_file = self.path / "config.json"
        self.metrics_file = self.path / "metrics.csv"
        self.tensorboard_directory = self.path / "tensorboard"
        self.learning_curve_file = self.path / "learning_curve.png"
        self.weights_file = self.path / "weights.pt"
        self.checkpoints = self.path / "checkpoints"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r})"

    @classmethod
    def create(
        cls,
        path: str | Path,
        config: Mapping[str, Any],
        *,
        algorithm: str,
        overwrite: bool = False,
    ) -> RunDirectory:
        """Begin a run: make the directory and write its config.

        Args:
            path: the directory, which may exist if it is empty.
            config: plain values, as JSON has them.
            algorithm: name of the algorithm that runs.
            overwrite: remove the files of an earlier run; others stay.

        Raises:
            ExistingFile: if there is something at `path` that may not be overwritten.
            InvalidValue: if `config` can't be written as JSON.
        """
        run = cls(path)
        content = {"algorithm": algorithm, "hookrl": __version__, "config": dict(config)}
        try:
            text = json.dumps(content, indent=2) + "\n"
        except (TypeError, ValueError) as error:
            raise InvalidValue(
                f"the config of {run.path} can't be written as JSON: {error}."
            ) from None
        if run.path.exists() and not run.path.is_dir():
            raise ExistingFile(f"{run.path} is a file: expected a new directory for a run.")
        if is_in_use(run.path):
            if not overwrite:
                raise ExistingFile(
                    f"{run.path} exists and is not empty: expected a new directory for a run, or "
                    "overwrite=true."
                )
            run.remove_files()
        run.path.mkdir(parents=True, exist_ok=True)
        with replacing(run.config_file) as temporary:
            temporary.write_text(text)
        return run

    @classmethod
    def open(cls, path: str | Path) -> RunDirectory:
        """Open the directory of a run that was begun.

        Raises:
            MissingFile: if there is no such directory.
            InvalidValue: if it is not that of a run.
        """
        run = cls(path)
        if not run.path.exists():
            raise MissingFile(f"there is no run directory {run.path}.")
        if not run.config_file.is_file():
            raise InvalidValue(f"{run.path} is not a run directory: it has no config.json.")
        return run

    def record(self, event: Mapping[str, Any], *, config: Mapping[str, Any]) -> None:
        """Write down what happened to the run since it began, and its config as it is now.

        Args:
            event: plain values; where it was forked from, or what was changed when it went on.
            config: plain values.
        """
        content = self._content()
        content["config"] = dict(config)
        content["history"] = [*content.get("history", ()), dict(event)]
        with replacing(self.config_file) as temporary:
            temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    @property
    def history(self) -> list[dict[str, Any]]:
        """Forks and changes of settings, in order."""
        return list(self._content().get("history", ()))

    @property
    def algorithm(self) -> str:
        """Name of the algorithm that ran."""
        return str(self._content()["algorithm"])

    @property
    def config(self) -> dict[str, Any]:
        """The config as plain values, to be read by ``hookrl.configs.from_plain``."""
        return dict(self._content()["config"])

    @property
    def hookrl_version(self) -> str:
        """The version of hookrl that began the run."""
        return str(self._content()["hookrl"])

    def metrics(self) -> dict[str, list[float]]:
        """Return every column of the metrics; NaN where a metric was not logged.

        Raises:
            MissingFile: if nothing was logged yet.
        """
        if not self.metrics_file.is_file():
            raise MissingFile(f"the run {self.path} has no metrics yet: it has no metrics.csv.")
        return read_metrics(self.metrics_file)

    def logger(self) -> Logger:
        """Return a logger that writes the metrics, as CSV and TensorBoard events."""
        return LoggerGroup(
            [CSVLogger(self.metrics_file), TensorBoardLogger(self.tensorboard_directory)]
        )

    def load_weights(self) -> dict[str, Any]:
        """Read the weights file, which is refused if it holds more than tensors and plain values.

        Raises:
            MissingFile: if training has not come to its end.
        """
        import torch

        if not self.weights_file.is_file():
            raise MissingFile(f"the run {self.path} has no weights yet: it has no weights.pt.")
        weights: dict[str, Any] = torch.load(
            self.weights_file, map_location="cpu", weights_only=True
        )
        return weights

    def remove_files(self) -> None:
        """Remove what a run writes, and nothing else."""
        # The config goes first: without it, what is left is no longer taken for a run.
        for file in (
            self.config_file,
            self.weights_file,
            self.metrics_file,
            self.learning_curve_file,
            *self.tensorboard_directory.glob("events.out.tfevents.*"),
        ):
            file.unlink(missing_ok=True)
        if self.checkpoints.is_dir():
            shutil.rmtree(self.checkpoints)
        if self.tensorboard_directory.is_dir() and not any(self.tensorboard_directory.iterdir()):
            self.tensorboard_directory.rmdir()

    def _content(self) -> dict[str, Any]:
        try:
            content = json.loads(self.config_file.read_text())
            if not isinstance(content["config"], dict):
                raise TypeError
            content["algorithm"], content["hookrl"]
        except (ValueError, KeyError, TypeError):
            raise InvalidValue(
                f"{self.config_file} can't be read: expected JSON with algorithm, hookrl, config."
            ) from None
        return dict(content)
