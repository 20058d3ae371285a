"""A progress bar over collected frames."""

from __future__ import annotations

from typing import Any

from hookrl.hooks.base import TrainerHookBase


class ProgressBar(TrainerHookBase):
    """Shows frames, speed, and the metrics that were logged with ``log_pbar``.

    The metrics are those of the last row that was written, so the bar never waits for a device.
    """

    _trainer: Any

    def __init__(self) -> None:
        self._bar: Any = None

    def register(self, trainer: Any, name: str = "progress_bar") -> None:
        """Hang the hook on ``post_steps``."""
        trainer.register_op("post_steps", self, name=name, priority=100)
        trainer.register_module(name, self)

    def on_train_start(self, trainer: Any) -> None:
        """Open the bar where training stands."""
        from tqdm import tqdm  # late: a run without a bar does not need it

        self._bar = tqdm(
            total=trainer.total_frames,
            initial=trainer.collected_frames,
            unit="frame",
            unit_scale=True,
            dynamic_ncols=True,
        )

    def __call__(self) -> None:
        """Advance the bar."""
        self._bar.set_postfix(
            {name.rsplit("/", 1)[-1]: value for name, value in self._trainer.progress.items()},
            refresh=False,
        )
        self._bar.update(self._trainer.collected_frames - self._bar.n)

    def teardown(self, trainer: Any) -> None:
        """Leave the bar on the screen as it is."""
        if self._bar is not None:
            self._bar.close()
