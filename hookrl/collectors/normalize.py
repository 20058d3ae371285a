"""Observation normalisation: a transform of the collector, since it changes how the policy acts."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from torch import Tensor

from hookrl.envs.spaces import Path, at, leaves, nest
from hookrl.errors import InvalidValue
from hookrl.state import restored, same_keys, snapshot

_FIELDS = ("mean", "variance", "count")


class RunningMoments:
    """Mean and variance of everything seen so far, in float64.

    Batches are merged by the parallel formula of Chan, Golub & LeVeque (1979).
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.mean = np.zeros(shape)
        self.variance = np.ones(shape)
        # A count just above zero keeps the first division finite and weighs nothing afterwards.
        self.count = 1e-4

    def update(self, batch: np.ndarray) -> None:
        """Take in `batch`, shape ``[n, *shape]``."""
        n = len(batch)
        total = self.count + n
        batch_mean = np.add.reduce(batch, axis=0) / n
        delta = batch_mean - self.mean
        squares = self.variance * self.count + delta * delta * (self.count * n / total)
        if n > 1:
            centred = batch - batch_mean
            squares += np.add.reduce(centred * centred, axis=0)
        # Of single numbers NumPy would make scalars.
        self.mean = np.asarray(self.mean + delta * (n / total))
        self.variance = np.asarray(squares / total)
        self.count = total

    def state_dict(self) -> dict[str, Any]:
        """Mean, variance and count."""
        return {field: snapshot(getattr(self, field)) for field in _FIELDS}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        same_keys(state, _FIELDS, owner="RunningMoments")
        shape = tuple(state["mean"].shape)
        if shape != self.mean.shape:
            raise InvalidValue(
                f"the state for RunningMoments has shape {shape}: expected {self.mean.shape}."
            )
        for field in _FIELDS:
            setattr(self, field, restored(state[field], getattr(self, field)))


class ObservationNormalizer:
    """Shifts and scales floating-point observations to mean 0 and variance 1, then clips.

    Statistics run over all environments and steps, as in Henderson et al. (2018) and the
    implementations that MuJoCo results are published with; `frozen` leaves them as they are.
    Images (integers) pass unchanged.

    Args:
        observation_space: of a single environment.
        clip: bound of the normalised values.
        epsilon: added to the variance.
    """

    def __init__(
        self, observation_space: gym.Space[Any], *, clip: float = 10.0, epsilon: float = 1e-8
    ) -> None:
        self._leaves = leaves(observation_space, "observation")
        self._moments: dict[Path, RunningMoments] = {
            leaf.path: RunningMoments(leaf.shape)
            for leaf in self._leaves
            if leaf.dtype == torch.float32
        }
        self.clip = clip
        self.epsilon = epsilon

    def __call__(self, observation: Any) -> Any:
        """Count a vector observation ``[envs, …]`` into the statistics and normalise it."""
        for path, moments in self._moments.items():
            moments.update(_array(at(observation, path)).astype(np.float64))
        return self.frozen(observation)

    def frozen(self, observation: Any) -> Any:
        """Normalise a vector observation by the statistics as they stand."""
        return nest(
            [
                (leaf.path, self._normalise(leaf.path, at(observation, leaf.path)))
                for leaf in self._leaves
            ]
        )

    def _normalise(self, path: Path, value: Any) -> Any:
        moments = self._moments.get(path)
        if moments is None:
            return value
        scaled = (_array(value) - moments.mean) / np.sqrt(moments.variance + self.epsilon)
        np.minimum(scaled, self.clip, out=scaled)
        np.maximum(scaled, -self.clip, out=scaled)
        result = scaled.astype(np.float32)
        return torch.from_numpy(result).to(value.device) if isinstance(value, Tensor) else result

    def state_dict(self) -> dict[str, Any]:
        """Statistics by observation key."""
        return {_name(path): moments.state_dict() for path, moments in self._moments.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        same_keys(state, (_name(path) for path in self._moments), owner="ObservationNormalizer")
        loaded = copy.deepcopy(self._moments)
        for path, moments in loaded.items():
            moments.load_state_dict(state[_name(path)])
        self._moments = loaded


def _array(value: Any) -> Any:
    return value.cpu().numpy() if isinstance(value, Tensor) else value


def _name(path: Path) -> str:
    return "/".join(("observation", *path))
