"""Generalized advantage estimation (Schulman et al., arXiv:1506.02438)."""

from __future__ import annotations

import torch
from tensordict import TensorDictBase
from tensordict.utils import NestedKey
from torch import Tensor, nn

from hookrl.errors import InvalidValue
from hookrl.objectives.entries import read_entry
from hookrl.objectives.scan import reverse_linear_scan


def generalized_advantage_estimate(
    reward: Tensor,
    state_value: Tensor,
    next_state_value: Tensor,
    done: Tensor,
    terminated: Tensor,
    *,
    gamma: float,
    lmbda: float,
) -> tuple[Tensor, Tensor]:
    """Estimate advantages and value targets (eqs. 11 and 16 of arXiv:1506.02438).

    ``delta_t = r_t + gamma * V(s_{t+1}) * (1 - terminated_t) - V(s_t)``
    ``A_t = delta_t + gamma * lmbda * (1 - done_t) * A_{t+1}``,  ``target_t = A_t + V(s_t)``

    A time limit is no property of the task (Pardo et al., arXiv:1712.00378): a truncated step is
    bootstrapped from the value of its final observation; a terminated one is worth its reward.

    Args:
        reward: ``[envs, time, 1]``, floating point, as are the values.
        state_value: ``[envs, time, 1]``.
        next_state_value: ``[envs, time, 1]``, the value of the observation that the step led to;
            at the end of an episode its final observation, never the one after the reset.
        done: ``[envs, time, 1]``, bool: the episode ended with this step, for whatever reason.
        terminated: ``[envs, time, 1]``, bool: it ended in a terminal state.
        gamma: discount of rewards, in [0, 1].
        lmbda: 0 gives the one-step temporal difference, 1 the Monte Carlo estimate.

    Returns:
        Advantage and value target, both ``[envs, time, 1]``.

    Raises:
        InvalidValue: the shapes differ.
    """
    shapes = {
        "reward": reward.shape,
        "state_value": state_value.shape,
        "next_state_value": next_state_value.shape,
        "done": done.shape,
        "terminated": terminated.shape,
    }
    if len(set(shapes.values())) > 1:
        got = ", ".join(f"{name} {tuple(shape)}" for name, shape in shapes.items())
        raise InvalidValue(f"Advantages need tensors of one shape [envs, time, 1], got {got}.")
    # Not times zero: the last observation of a simulator that diverged may be worth NaN.
    delta = reward + gamma * next_state_value.masked_fill(terminated, 0) - state_value
    advantage = reverse_linear_scan(gamma * lmbda * (~done).to(delta.dtype), delta)
    return advantage, advantage + state_value


class GAE(nn.Module):
    """Write ``"advantage"`` and ``"value_target"`` into a batch that has values.

    Args:
        gamma: discount of rewards, in [0, 1].
        lmbda: bias against variance, in [0, 1]; 0.95 is customary.
        average_gae: standardise the advantages over the whole batch. Off, since PPO does it per
            minibatch.
        reward_key: where the reward is, so that a hook may scale it under another name.

    Raises:
        InvalidValue: `gamma` or `lmbda` outside [0, 1].
    """

    gamma: float
    """Discount of rewards; may be changed between batches."""
    lmbda: float
    """Weight of longer returns; may be changed between batches."""
    in_keys: list[NestedKey]
    """What is read from the batch."""
    out_keys: list[NestedKey]
    """What is written to it."""

    def __init__(
        self,
        gamma: float,
        lmbda: float,
        average_gae: bool = False,
        reward_key: NestedKey = ("next", "reward"),
    ) -> None:
        super().__init__()
        for name, value in (("gamma", gamma), ("lmbda", lmbda)):
            if not 0.0 <= value <= 1.0:
                raise InvalidValue(f"GAE expects {name} within [0, 1], got {value!r}.")
        self.gamma = float(gamma)
        self.lmbda = float(lmbda)
        self.average_gae = average_gae
        self.in_keys = [
            reward_key,
            "state_value",
            ("next", "state_value"),
            ("next", "done"),
            ("next", "terminated"),
        ]
        self.out_keys = ["advantage", "value_target"]

    @torch.no_grad()
    def forward(self, tensordict: TensorDictBase) -> TensorDictBase:
        """Add the two entries, ``[envs, time, 1]`` each, and return `tensordict` itself.

        Raises:
            MissingKey: one of `in_keys` is not in the batch.
            InvalidValue: their shapes differ.
        """
        signals = [read_entry(tensordict, key, "GAE") for key in self.in_keys]
        advantage, value_target = generalized_advantage_estimate(
            *signals, gamma=self.gamma, lmbda=self.lmbda
        )
        if self.average_gae:
            std, mean = torch.std_mean(advantage)
            # The floor is torchrl's: a constant batch must not be blown up to unit variance.
            advantage = (advantage - mean) / std.clamp_min(1e-4)
        tensordict.set("advantage", advantage)
        tensordict.set("value_target", value_target)
        return tensordict
