"""A collector over tensor environments: policy and environments step together on one device.

Nothing leaves the device between the first step of a batch and the last. Several steps at a time
can be captured as one graph, since they are nothing but tensor code: what is random in them, the
noise of actions and of resets, is drawn beforehand.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from gymnasium import spaces
from tensordict import TensorDict
from torch import Tensor

from hookrl.collectors.base import Collector
from hookrl.collectors.storage import TrajectoryIds
from hookrl.constants import Constants, Glance
from hookrl.envs.tensor import State, TensorEnv
from hookrl.errors import InvalidType
from hookrl.graph import Graph, NotCapturable
from hookrl.models.distributions import ActionDistribution
from hookrl.purity import pure
from hookrl.state import restored, same_keys, snapshot

_GRAPH_STEPS = 16
"""Steps in one graph at most: more take longer to compile, and gain little."""
_CHANGES = 3
"""How often policy and environments may change before nothing is captured any more."""


class TensorPolicy(Protocol):
    """The part of a network that acting needs; every `hookrl.models.PolicyNetwork` has it."""

    distribution: ActionDistribution

    def policy_params(self, observation: Any) -> Tensor:
        """Parameters of the action distribution."""
        ...


class TensorCollector(Collector):
    """Collects batches of shape ``[envs, time]`` from a `TensorEnv`.

    Every batch is fresh memory, on the environments' device, and laid out as those of
    `VectorCollector`. Batches of one seed are the same whether steps are captured or not, to
    rounding.

    Args:
        env: the environments; they are stepped by `TensorEnv.advance`, whatever their mode.
        policy: who acts, on the same device.
        frames_per_batch: steps in a batch, over all environments; a multiple of their number.
        compile: step by a compiled graph, which takes seconds to be made.
        seed: seeds the environments and the policy's noise; `set_seed` does the same.

    Raises:
        InvalidType: for a policy without ``policy_params`` and ``distribution``.
        InvalidValue: for a batch that environments cannot share evenly.
    """

    exact_resume = "exact"

    def __init__(
        self,
        env: TensorEnv,
        policy: TensorPolicy,
        *,
        frames_per_batch: int,
        compile: bool = False,
        seed: int | None = None,
    ) -> None:
        for attribute in ("policy_params", "distribution"):
            if not hasattr(policy, attribute):
                raise InvalidType(
                    f"the policy of a TensorCollector is a {type(policy).__name__} without "
                    f"{attribute!r}: expected a network such as hookrl.models.ActorCritic."
                )
        super().__init__(env.num_envs, frames_per_batch)
        self.env = env
        self.policy = policy
        self.compile = compile
        self.rng = np.random.default_rng(seed)
        self._ids = TrajectoryIds(env.num_envs)
        self._started = False
        space, self._bounds = env.single_action_space, None
        if isinstance(space, spaces.Box):
            self._bounds = tuple(
                torch.as_tensor(bound, device=env.device) for bound in (space.low, space.high)
            )
        self._graph: Graph | None = None
        self._constants: Constants | None = None
        self._glance: Glance | None = None
        self._settings: list[Any] = []
        self._changes = 0
        """How often a graph was given up since what it was made of had changed."""

    def set_seed(self, seed: int) -> None:
        """Seed the policy's noise and the environments, which start afresh."""
        self.rng = np.random.default_rng(seed)
        self._started = False

    def _collect(self) -> TensorDict:
        env, steps = self.env, self.steps_per_env
        if not self._started:
            env.reset(seed=int(self.rng.integers(2**31)))
            self._ids.restart()
            self._started = True
        drawn = self.policy.distribution.draw_noise(self.rng, (steps, env.num_envs))
        noise = torch.from_numpy(drawn).to(env.device, non_blocking=True)
        resets = env.draw_noise(steps)
        state = env.state
        length = _part(steps)
        graph = self._captured(state, noise[:length], resets[:length]) if self.compile else None
        run: Callable[..., Sequence[Tensor]] = self._rollout if graph is None else graph
        length = steps if graph is None else length
        parts = []
        with torch.no_grad():
            for start in range(0, steps, length):
                part = slice(start, start + length)
                *columns, physics, counts = run(*state, noise[part], resets[part])
                parts.append(columns)
                state = State(physics, counts)
        env.state = state
        columns = [torch.cat(column, dim=1) for column in zip(*parts, strict=True)]
        return self._batch(*columns)

    def state_dict(self) -> dict[str, Any]:
        """Random generator, episodes, and the environments in the middle of them."""
        return {
            "rng": snapshot(self.rng),
            "started": self._started,
            "next_traj_id": self._ids.next_id,
            "traj_ids": snapshot(self._ids.current),
            "changes": self._changes,
            "env": self.env.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore `state_dict`: the environments go on in the middle of their episodes.

        Raises:
            MissingKey, InvalidValue, InvalidType: if it is of another collector; nothing is changed
                then.
        """
        expected = ("rng", "started", "next_traj_id", "traj_ids", "changes", "env")
        same_keys(state, expected, owner="TensorCollector")
        rng = restored(state["rng"], self.rng)
        self.env.load_state_dict(state["env"])
        self.rng = rng
        self._started = bool(state["started"])
        self._changes = int(state["changes"])
        self._ids.next_id = int(state["next_traj_id"])
        self._ids.current = restored(state["traj_ids"], self._ids.current)

    def _rollout(
        self, physics: Tensor, counts: Tensor, noise: Tensor, resets: Tensor
    ) -> list[Tensor]:
        """Step as often as there is noise ``[time, envs, …]``.

        Returns:
            Observations, actions, final observations, rewards, terminated and truncated,
            ``[envs, time, …]``, and where the environments are then.
        """
        env, policy = self.env, self.policy
        state = State(physics, counts)
        observation = env.observe(physics)
        rows = []
        for step_noise, step_resets in zip(noise.unbind(), resets.unbind(), strict=True):
            params = policy.policy_params(observation)
            action = policy.distribution.sample(params, step_noise)
            # What is stored is what the policy drew, since log-probabilities belong to that.
            taken = action if self._bounds is None else action.clamp(*self._bounds)
            after = env.advance(state, taken, step_resets)
            rows.append(
                (
                    *(observation, action, after.final_observation),
                    *(after.reward, after.terminated, after.truncated),
                )
            )
            state, observation = after.state, after.observation
        return [*(torch.stack(column, dim=1) for column in zip(*rows, strict=True)), *state]

    def _captured(self, state: State, noise: Tensor, resets: Tensor) -> Graph | None:
        """The graph of some steps; None: they cannot be captured."""
        constants = self._constants
        if self._graph is not None and self._glance is not None and self._glance.is_same():
            return self._graph
        if (
            self._graph is not None
            and self._graph.is_current
            and constants is not None
            and constants.has_same_parts
            and constants.settings() == self._settings
        ):
            return self._graph
        self._changes += self._graph is not None
        self._constants = Constants([self.policy], [self.env])
        self._settings = self._constants.settings()
        try:
            if self._changes > _CHANGES:
                raise NotCapturable(
                    f"settings or tensors changed {self._changes} times, each of which compiles"
                )
            self._graph = Graph(self._rollout_without_gradients, [*state, noise, resets])
            self._glance = self._constants.glance(self._graph.parameters)
        except NotCapturable as error:
            self.compile = False
            warnings.warn(f"collecting is not captured: {error}.", stacklevel=4)
            return None
        return self._graph

    @torch.no_grad()
    def _rollout_without_gradients(self, *tensors: Tensor) -> list[Tensor]:
        with pure(self.policy):
            return self._rollout(*tensors)

    def _batch(
        self,
        observation: Tensor,
        action: Tensor,
        final_observation: Tensor,
        reward: Tensor,
        terminated: Tensor,
        truncated: Tensor,
    ) -> TensorDict:
        size = reward.shape
        done = terminated | truncated
        ids = torch.from_numpy(self._ids.assign(done.cpu().numpy()))
        outcome = {"done": done, "terminated": terminated, "truncated": truncated}
        next_state = {
            "observation": final_observation,
            "reward": reward.unsqueeze(-1),
            **{name: flag.unsqueeze(-1) for name, flag in outcome.items()},
        }
        already_over = {name: torch.zeros_like(done).unsqueeze(-1) for name in outcome}
        return TensorDict(
            {
                "observation": observation,
                "action": action,
                **already_over,
                "next": TensorDict(next_state, batch_size=size),
                "collector": TensorDict(
                    {"traj_ids": ids.to(reward.device, non_blocking=True)}, batch_size=size
                ),
            },
            batch_size=size,
        )


def _part(steps: int) -> int:
    """The most steps up to `_GRAPH_STEPS` of which a batch is a multiple."""
    return next(part for part in range(min(steps, _GRAPH_STEPS), 0, -1) if steps % part == 0)
