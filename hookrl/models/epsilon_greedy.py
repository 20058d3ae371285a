"""Acting ε-greedily on the values of actions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hookrl.models.acting import NumpyActor
from hookrl.models.distributions import Action, ActionDistribution, Array
from hookrl.models.encoders import Observation


class EpsilonGreedy(ActionDistribution):
    """The action of the largest value, or with probability ε one of all, uniformly.

    The parameters are action values; actions are int64 ``[B]``. It only acts: off-policy learning
    asks for no log-probabilities of it.

    Args:
        n: number of actions.
        start: the first one.
        epsilon: probability of a random action, in [0, 1].
    """

    _threshold: Tensor

    def __init__(self, n: int, start: int = 0, epsilon: float = 1.0) -> None:
        super().__init__()
        self.num_params = n
        self.start = start
        # In a tensor too, which a captured rollout reads at each run.
        self.register_buffer("_threshold", torch.tensor(epsilon), persistent=False)
        self._epsilon = epsilon

    @property
    def epsilon(self) -> float:
        """Probability of a random action, for the rollouts that begin from now on."""
        return self._epsilon

    @epsilon.setter
    def epsilon(self, epsilon: float) -> None:
        self.explore(epsilon)

    def explore(self, epsilon: float) -> None:
        """Explore with this probability: sets `epsilon` in a third of the time."""
        if epsilon != self._epsilon:
            # A module looks through all it has before it sets an attribute.
            self.__dict__["_epsilon"] = epsilon
            self._threshold.fill_(epsilon)

    def mode(self, params: Array) -> Action:
        """Action of the largest value: int64 ``[B]``."""
        index = params.argmax(-1)
        return index + self.start if self.start else index

    def draw_noise(self, rng: np.random.Generator, shape: Sequence[int]) -> NDArray[np.float32]:
        """Uniform noise ``[*shape, 2]``: whether to explore, and where to."""
        return rng.random((*shape, 2), dtype=np.float32)

    def sample(self, params: Array, noise: Array) -> Action:
        """Action ``[B]`` for values ``[B, n]`` and noise ``[B, 2]``: tensors or arrays."""
        # The largest float32 below 1 times n is below n in float32 too, for every n.
        if isinstance(params, Tensor):
            explores = noise[..., 0] < self._threshold
            anywhere = (noise[..., 1] * self.num_params).long()
            index = torch.where(explores, anywhere, params.argmax(-1))
        else:
            explores = noise[..., 0] < self._epsilon
            anywhere = (noise[..., 1] * self.num_params).astype(np.int64)
            index = np.where(explores, anywhere, params.argmax(-1))
        return index + self.start if self.start else index

    def array_sampler(self) -> Callable[[NDArray[Any], NDArray[Any]], Action]:
        """`sample` itself: ε may change between two calls."""
        return self.sample


_GREEDY = (0, None, None)
"""The noise of a step in which nobody explores."""


class EpsilonGreedyActor(NumpyActor):
    """Decides for a whole rollout where it explores, and asks the network only where it must."""

    def __init__(self, policy: Any) -> None:
        super().__init__(policy)
        self._exploration: EpsilonGreedy = policy.distribution

    def draw_noise(self, rng: np.random.Generator, shape: Sequence[int]) -> Any:
        """Draw the exploration of a rollout of shape (time, envs).

        Returns:
            A list with, for each step, how many explore, which ones, bool ``[N]``, and the actions
            to do so with, int64 ``[N]``; ``(0, None, None)`` throughout if nobody ever does.
        """
        distribution = self._exploration
        noise = distribution.draw_noise(rng, shape)
        explores = noise[..., 0] < distribution.epsilon
        if not np.count_nonzero(explores):
            return [_GREEDY] * shape[0]
        anywhere = (noise[..., 1] * distribution.num_params).astype(np.int64)
        if distribution.start:
            anywhere += distribution.start
        exploring = np.add.reduce(explores, -1, np.intp).tolist()
        return list(zip(exploring, explores, anywhere, strict=True))

    def __call__(self, observation: Observation, noise: Any = None) -> Action:
        """Act as `Actor` says."""
        if noise is None:
            return super().__call__(observation)
        many, explores, anywhere = noise
        if not many:
            return super().__call__(observation)
        choose: Callable[..., Any] = np.where
        if isinstance(observation, Tensor):
            choose = torch.where
            explores, anywhere = torch.from_numpy(explores), torch.from_numpy(anywhere)
        if many == len(anywhere):
            return anywhere
        return choose(explores, anywhere, super().__call__(observation))
