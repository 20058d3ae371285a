"""Metrics as TensorBoard events."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hookrl.loggers.base import Logger

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class TensorBoardLogger(Logger):
    """Writes metrics as scalars, and the configuration as text, for TensorBoard.

    Args:
        path: the directory of the event files; made at the first write.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._writer: SummaryWriter | None = None
        self._step = -1
        self._purge_step: int | None = None

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Write every metric as a scalar."""
        writer = self._open()
        for name, value in metrics.items():
            writer.add_scalar(name, float(value), step)
        self._step = step

    def log_config(self, config: Mapping[str, Any]) -> None:
        """Write the configuration as indented JSON, shown under "Text"."""
        text = json.dumps(config, indent=2, default=str)
        # Markdown shows what is indented by four as it stands.
        self._open().add_text("config", "".join(f"    {line}\n" for line in text.splitlines()), 0)

    def close(self) -> None:
        """Write out and close the event file; the next write begins another."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def state_dict(self) -> dict[str, Any]:
        """Return the last step written."""
        return {"step": self._step}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on after that step: TensorBoard is told to forget later ones."""
        step = int(state_dict["step"])
        self.close()
        self._step = step
        self._purge_step = step + 1

    def _open(self) -> SummaryWriter:
        if self._writer is None:
            # Imported late: it costs more than everything else here together.
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self.path), purge_step=self._purge_step)
            self._purge_step = None
        return self._writer
