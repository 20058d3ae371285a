"""What PPO needs of a whole batch before it learns: log-probabilities, values, advantages.

The rollout computes none of these; one forward pass over the batch, by the parameters that acted,
gives them all. Where other parameters acted, as with overlapped collection, the batch brings their
log-probabilities along, and the values are those of the present ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from tensordict import TensorDictBase
from tensordict.utils import NestedKey, unravel_key

from hookrl.batch_graph import BatchGraph
from hookrl.errors import InvalidType
from hookrl.hooks.base import TrainerHookBase, TrainerLike

Judge = Callable[[TensorDictBase], list[torch.Tensor]]


class JudgesActions(Protocol):
    """The part of an actor-critic that is used here; see `hookrl.models.ActorCritic`."""

    observation_keys: list[NestedKey]
    action_keys: list[NestedKey]

    def evaluate_actions(self, observation: Any, action: Any) -> tuple[Any, Any, torch.Tensor]:
        """Log-probability ``[B]``, entropy ``[B]`` and value ``[B, 1]``."""
        ...

    def value(self, observation: Any) -> torch.Tensor:
        """Value ``[B, 1]``."""
        ...


class ValueEstimation(TrainerHookBase):
    """Adds log-probabilities, values and advantages to each collected batch.

    Writes ``action_log_prob`` ``[envs, time]``, ``state_value`` and ``("next", "state_value")``
    ``[envs, time, 1]``, unless the batch has them (from `hookrl.collectors.OverlappedCollector` or
    one of torchrl's), and whatever the estimator adds. The next value is that of the following row,
    except where an episode or the batch ends: there it is computed from ``("next",
    "observation")``.

    Args:
        actor_critic: judges observations and actions.
        estimator: adds ``advantage`` and ``value_target``, such as `hookrl.objectives.GAE`.
        recompute_every: steps of the inner loop after which values and advantages are computed
            again with the parameters as they are then (Andrychowicz et al. 2021, 3.5); the
            log-probabilities stay those of the policy that acted. None: never.
        compile: judge whole batches by compiled graphs, which take seconds to be made; final
            observations, of which there are few and never equally many, are judged as ever.
        warns: say so once if that cannot be.
    """

    writes = (
        "action_log_prob",
        "state_value",
        ("next", "state_value"),
        "advantage",
        "value_target",
    )

    def __init__(
        self,
        actor_critic: JudgesActions,
        estimator: Callable[[TensorDictBase], TensorDictBase],
        *,
        recompute_every: int | None = None,
        compile: bool = False,
        warns: bool = True,
    ) -> None:
        self.actor_critic = actor_critic
        self.estimator = estimator
        self.recompute_every = recompute_every
        self.reads = (
            *actor_critic.observation_keys,
            *(unravel_key(("next", key)) for key in actor_critic.observation_keys),
            *actor_critic.action_keys,
            ("next", "reward"),
            ("next", "done"),
            ("next", "terminated"),
        )
        self._steps = 0
        self._judge: Judge = self._log_prob_and_value
        self._value: Judge = self._value_alone
        if compile:
            self._judge, self._value = (
                BatchGraph(judge, "judging batches", module=actor_critic, warns=warns)
                for judge in (self._judge, self._value)
            )

    def register(self, trainer: TrainerLike, name: str = "value_estimation") -> None:
        """Hang the estimation on ``batch_process``, its repetition on ``process_optim_batch``."""
        trainer.register_op("batch_process", self, name=name)
        if self.recompute_every is not None:
            trainer.register_op(
                "process_optim_batch", self.recompute, name=f"{name}.recompute", priority=-10
            )
        trainer.register_module(name, self)

    @torch.no_grad()
    def __call__(self, batch: TensorDictBase) -> TensorDictBase:
        """Add everything that is missing."""
        self._steps = 0
        if batch.ndim != 2:
            raise InvalidType(
                f"a batch of shape {tuple(batch.shape)} came to the value estimation: expected "
                "[envs, time]."
            )
        if "action_log_prob" not in batch:
            log_prob, value = self._judge(batch.select("observation", "action").reshape(-1))
            batch["action_log_prob"] = log_prob.view(batch.shape)
            batch.setdefault("state_value", value.view(*batch.shape, 1))
        elif "state_value" not in batch:
            batch["state_value"] = self._values_of(batch)
        if ("next", "state_value") not in batch.keys(True):
            batch["next", "state_value"] = self._next_values(batch)
        return self.estimator(batch)

    @torch.no_grad()
    def recompute(self, batch: TensorDictBase) -> None:
        """Judge the batch anew at the start of every epoch but the first."""
        if self._steps and self.recompute_every and self._steps % self.recompute_every == 0:
            batch["state_value"] = self._values_of(batch)
            batch["next", "state_value"] = self._next_values(batch)
            self.estimator(batch)
        self._steps += 1

    def _values_of(self, batch: TensorDictBase) -> torch.Tensor:
        (value,) = self._value(batch.select("observation").reshape(-1))
        return value.view(*batch.shape, 1)

    def _log_prob_and_value(self, rows: TensorDictBase) -> list[torch.Tensor]:
        log_prob, _, value = self.actor_critic.evaluate_actions(rows["observation"], rows["action"])
        return [log_prob, value]

    def _value_alone(self, rows: TensorDictBase) -> list[torch.Tensor]:
        return [self.actor_critic.value(rows["observation"])]

    def _next_values(self, batch: TensorDictBase) -> torch.Tensor:
        value = batch["state_value"]
        following = torch.empty_like(value)
        following[:, :-1] = value[:, 1:]
        ended = batch["next", "done"].squeeze(-1).clone()
        ended[:, -1] = True
        # Listed once: finding them by the mask, a device would be waited for each time.
        ends = ended.nonzero(as_tuple=True)
        following[ends] = self.actor_critic.value(batch["next", "observation"][ends])
        return following
