"""Evaluation on an environment of torchrl: stretches of steps instead of whole episodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from tensordict import TensorDictBase
from tensordict.nn import InteractionType, set_interaction_type
from tensordict.utils import NestedKey, unravel_key

from hookrl.errors import InvalidType, InvalidValue, MissingKey, did_you_mean
from hookrl.state import generators_state, load_generators_state, same_keys, snapshot

REWARD = ("next", "reward")


def is_torchrl_environment(environment: Any) -> bool:
    """By the name of its class: importing torchrl takes a second."""
    return any(kind.__name__ == "EnvBase" for kind in type(environment).__mro__)


class RolloutEvaluation:
    """Lets a policy act for so many steps, through the ends of episodes, and averages over them.

    Every evaluation starts from the same initial states. The process-wide generators, which
    torchrl's policies draw from, are given back as they were.

    Args:
        environment: one of torchrl's; never the training one.
        policy: a callable from TensorDict to TensorDict; None: random actions.
        steps: of each environment in the batch.
        frame_skip: the mean reward is divided by it.
        exploration_type: how the policy acts.
        keys: entries whose mean over all steps is reported; None: the reward.
        names: how an entry is called in the metrics. By default the reward is ``r_evaluation``,
            and another entry goes by its key. The mean sum of rewards over trajectories, cut-off
            ones among them, has ``total_`` in front.
        suffix: for what the environment's transforms write, such as videos.

    Raises:
        InvalidType: for a policy that cannot act there.
        InvalidValue: for counts below 1.
    """

    def __init__(
        self,
        environment: Any,
        policy: Any,
        *,
        steps: int,
        frame_skip: int,
        exploration_type: InteractionType,
        keys: Sequence[NestedKey] | None,
        names: Mapping[NestedKey, str] | None,
        suffix: str | None,
    ) -> None:
        if steps < 1 or frame_skip < 1:
            raise InvalidValue(
                f"LogValidationReward(record_frames={steps}, frame_skip={frame_skip}): expected at "
                "least 1 each."
            )
        if policy is not None and (hasattr(policy, "actor") or not callable(policy)):
            raise InvalidType(
                f"policy_exploration is a {type(policy).__name__}, which cannot act in an "
                "environment of torchrl: expected a callable from TensorDict to TensorDict, or the "
                "id of a gymnasium environment."
            )
        self.environment = environment
        self.policy = policy
        self.steps = steps
        self.frame_skip = frame_skip
        self.exploration_type = exploration_type
        self.keys = [unravel_key(key) for key in ([REWARD] if keys is None else keys)]
        self.names = {unravel_key(key): name for key, name in (names or {}).items()}
        self.suffix = suffix

    def __call__(self, seed: int) -> dict[str, Any]:
        """Act, and report."""
        generators = generators_state()
        modules = [m for m in (self.policy, self.environment) if isinstance(m, torch.nn.Module)]
        # Of each part by itself: torchrl's environments do not pass on what they are told.
        training = {part: part.training for module in modules for part in module.modules()}
        try:
            for module in modules:
                module.eval()
            with torch.no_grad(), set_interaction_type(self.exploration_type):
                self.environment.set_seed(seed % 2**31)
                torch.manual_seed(seed)
                steps = self.environment.rollout(
                    self.steps, self.policy, auto_cast_to_device=True, break_when_any_done=False
                )
        finally:
            for part, was_training in training.items():
                part.training = was_training
            load_generators_state(generators)
        if hasattr(self.environment, "transform"):
            self.environment.transform.dump(suffix=self.suffix)
        metrics: dict[str, Any] = {}
        for key in self.keys:
            metrics.update(self._report(steps, key))
        return metrics

    def close(self) -> None:
        """Close the environment."""
        if not self.environment.is_closed:
            self.environment.close()

    def state_dict(self) -> dict[str, Any]:
        """The state of the environment: that of its transforms."""
        return {"environment": snapshot(dict(self.environment.state_dict()))}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore it.

        Raises:
            MissingKey: if the entries are not those of such an environment; nothing is changed.
        """
        same_keys(state_dict["environment"], self.environment.state_dict(), owner="the environment")
        self.environment.load_state_dict(dict(state_dict["environment"]))

    def _report(self, steps: TensorDictBase, key: NestedKey) -> dict[str, Any]:
        values = steps.get(key, None)
        if values is None:
            present = list(map(str, steps.keys(include_nested=True, leaves_only=True)))
            raise MissingKey(
                f"LogValidationReward is to log {key!r}{did_you_mean(str(key), present)}: a "
                f"rollout of {type(self.environment).__name__} has {', '.join(present)}."
            )
        mean = values.double().mean()
        if key != REWARD:
            path = key if isinstance(key, tuple) else (key,)
            return {self.names.get(key, "/".join(path)): mean}
        name = self.names.get(key, "r_evaluation")
        done = steps["next", "done"].flatten(steps.ndim).any(-1)
        # The last step ends a trajectory in any case.
        trajectories = done[..., :-1].sum() + done[..., -1].numel()
        return {
            name: mean / self.frame_skip,
            f"total_{name}": mean * (steps.numel() / trajectories),
        }
