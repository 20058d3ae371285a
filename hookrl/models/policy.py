"""What every network that acts has in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gymnasium import spaces
from tensordict.utils import NestedKey
from torch import Tensor, nn

from hookrl.models.acting import Actor, NumpyActor, TorchActor
from hookrl.models.distributions import ActionDistribution
from hookrl.models.encoders import Observation
from hookrl.models.spaces import leaf_keys


class PolicyNetwork(nn.Module):
    """A network whose outputs for an observation are the parameters of a distribution of actions.

    Args:
        observation_space: space of a single observation.
        action_space: space of a single action.
    """

    observation_space: spaces.Space[Any]
    """Space of a single observation."""
    action_space: spaces.Space[Any]
    """Space of a single action."""
    distribution: ActionDistribution
    """Distribution of actions, given parameters; subclasses set it."""
    observation_keys: list[NestedKey]
    """The batch entries that hold an observation."""
    action_keys: list[NestedKey]
    """The batch entries that hold an action."""

    def __init__(
        self, observation_space: spaces.Space[Any], action_space: spaces.Space[Any]
    ) -> None:
        super().__init__()
        self.observation_space = observation_space
        self.action_space = action_space
        self.observation_keys = leaf_keys(observation_space, "observation")
        self.action_keys = leaf_keys(action_space, "action")

    def policy_path(self) -> Sequence[nn.Module]:
        """The modules that `policy_params` applies, one after the other."""
        raise NotImplementedError

    def policy_params(self, observation: Observation) -> Tensor:
        """Parameters ``[B, num_params]`` of the distribution of actions."""
        params = observation
        for module in self.policy_path():
            params = module(params)
        return params

    def actor(self) -> Actor:
        """Return the fastest actor that this network's structure allows."""
        # A subclass that computes them otherwise is more than its layers.
        as_built_here = type(self).policy_params is PolicyNetwork.policy_params
        if as_built_here and NumpyActor.supports(self):
            return NumpyActor(self)
        return TorchActor(self)
