"""What the collectors have in common: batches for ever, until they are shut down."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator

from tensordict import TensorDict

from hookrl.errors import InvalidValue


class Collector(ABC):
    """Yields batches that environments share evenly.

    Args:
        num_envs: environments.
        frames_per_batch: steps in a batch, over all environments; a multiple of their number.

    Raises:
        InvalidValue: for a batch that environments cannot share evenly.
    """

    def __init__(self, num_envs: int, frames_per_batch: int) -> None:
        self.num_envs = num_envs
        self.frames_per_batch = frames_per_batch
        self.steps_per_env, uneven = divmod(frames_per_batch, num_envs)
        if uneven or frames_per_batch < 1:
            raise InvalidValue(
                f"frames_per_batch={frames_per_batch} for {num_envs} environments: expected "
                "a positive multiple of their number."
            )
        self._closed = False

    def __iter__(self) -> Iterator[TensorDict]:
        """Yield batches for ever; iterating again goes on where the last one ended."""
        while True:
            yield self.collect()

    def collect(self) -> TensorDict:
        """Step every environment `steps_per_env` times and return the batch.

        Raises:
            InvalidValue: after `shutdown`.
        """
        if self._closed:
            raise InvalidValue(
                "the collector was shut down, as at the end of training: expected a new one; to "
                "prolong a run, load its checkpoint into a new trainer."
            )
        return self._collect()

    @abstractmethod
    def _collect(self) -> TensorDict:
        """Collect one batch."""

    def shutdown(self) -> None:
        """Collect no more."""
        self._closed = True
