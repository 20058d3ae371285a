"""Checkpoints while training goes on."""

from __future__ import annotations

from dataclasses import dataclass

from hookrl.configs.checks import check_choice, check_flag, check_number, check_text


@dataclass(kw_only=True, slots=True)
class CheckpointConfig:
    """How often a run with a run directory is saved, and what of it is kept.

    When training ends it is saved in any case.
    """

    interval: int = 50_000
    """Frames between checkpoints; 0: only when training ends."""
    max_checkpoints: int | None = 2
    """How many of the newest are kept; null: all."""
    keep_period: int | None = None
    """Frames; the first checkpoint of each such period is kept for good. null: none."""
    keep_best: str | None = None
    """A metric, such as eval/mean_reward, whose best checkpoint is kept; null: none."""
    backend: str | None = None
    """torch or torchsnapshot; null: what the environment variable CKPT_BACKEND says."""
    background: bool = True
    """Whether training goes on while a checkpoint is written."""
    exact_resume: str = "best"
    """require: refuse what cannot be resumed to the bit; best: warn of it; off: leave environments
    out of checkpoints, so that a resumed run begins new episodes."""

    def __post_init__(self) -> None:
        check_number(self, "interval", at_least=0, whole=True)
        check_number(self, "max_checkpoints", "keep_period", at_least=1, whole=True, optional=True)
        check_text(self, "keep_best", "backend", optional=True)
        check_flag(self, "background")
        check_choice(self, "exact_resume", ("require", "best", "off"))
        if self.backend is not None:
            check_choice(self, "backend", ("torch", "torchsnapshot"))
