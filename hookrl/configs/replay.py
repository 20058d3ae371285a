"""What off-policy algorithms remember."""

from __future__ import annotations

from dataclasses import dataclass

from hookrl.configs.checks import check_flag, check_number


@dataclass(kw_only=True, slots=True)
class ReplayConfig:
    """The replay buffer, and how learning draws from it."""

    capacity: int = 1_000_000
    """Frames that are kept; the oldest make room."""
    batch_size: int = 256
    """Transitions per optimization step."""
    learning_starts: int = 5_000
    """Frames collected before the first optimization step."""
    n_step: int = 1
    """Rewards that are summed before the value of what follows is taken."""
    prioritized: bool = False
    """Whether transitions with larger errors are drawn more often (Schaul et al., 2016)."""
    alpha: float = 0.6
    """Of prioritized replay: how much priorities count; 0 is uniform."""
    beta: float = 0.4
    """Of prioritized replay: how far importance weights make up for it; 1 fully."""
    save_contents: bool = True
    """Whether checkpoints hold the transitions; without them a resumed run begins with an empty
    buffer and does not go on exactly."""

    def __post_init__(self) -> None:
        check_number(self, "capacity", "n_step", at_least=1, whole=True)
        check_number(self, "batch_size", at_least=1, at_most=self.capacity, whole=True)
        check_number(self, "learning_starts", at_least=0, whole=True)
        check_number(self, "alpha", "beta", at_least=0, at_most=1)
        check_flag(self, "prioritized", "save_contents")
