"""Policy and value function in one module, built from spaces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor, nn

from hookrl.models.cnn import NatureCNN
from hookrl.models.distributions import Action, ActionDistribution, distribution_for
from hookrl.models.encoders import Observation, encoder_for
from hookrl.models.initialization import own_generator
from hookrl.models.mlp import MLP
from hookrl.models.policy import PolicyNetwork

POLICY_GAIN = 0.01
"""Of the policy's output layer: actions start out nearly independent of the state, which
Andrychowicz et al. (arXiv:2006.05990, 3.2) found to matter more than anything else."""
VALUE_GAIN = 1.0
"""Of the value's output layer (details, core 2, of Huang et al. 2022)."""


class ActorCritic(PolicyNetwork):
    """A policy and a value function; `from_spaces` builds the usual ones.

    Args:
        observation_space: space of a single observation.
        action_space: space of a single action.
        trunk: from observations to what both networks start from.
        policy_net: from there to the parameters ``[B, distribution.num_params]``.
        value_net: from there to values ``[B, 1]``.
        distribution: distribution of actions, given parameters.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        *,
        trunk: nn.Module,
        policy_net: nn.Module,
        value_net: nn.Module,
        distribution: ActionDistribution,
    ) -> None:
        super().__init__(observation_space, action_space)
        self.trunk = trunk
        self.policy_net = policy_net
        self.value_net = value_net
        self.distribution = distribution

    @classmethod
    def from_spaces(
        cls,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        *,
        hidden_sizes: Sequence[int] | None = None,
        activation: str = "tanh",
        shared_trunk: bool = False,
        log_std_init: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> ActorCritic:
        """Build encoders, perceptrons and heads that fit the spaces.

        Args:
            observation_space: space of a single observation, without an environment axis.
            action_space: space of a single action, without an environment axis.
            hidden_sizes: hidden units between encoder and heads. None: ``(64, 64)``, but none
                after a lone image, since `NatureCNN` ends in 512 units of its own.
            activation: a name in `hookrl.models.mlp.ACTIVATIONS`.
            shared_trunk: one encoder and perceptron for both heads, as is usual for images,
                instead of two, which does better on vectors (Andrychowicz et al., 3.2).
            log_std_init: initial logarithm of the standard deviation of Box actions.
            generator: where weights are drawn from; None for a fresh one with seed 0.

        Raises:
            InvalidType: an unsupported space.
            InvalidValue: an unknown activation, a size below 1, an image that is too small.
        """
        generator = own_generator(generator)
        distribution = distribution_for(action_space, log_std_init)
        encoder = encoder_for(observation_space, generator=generator)
        if hidden_sizes is None:
            hidden_sizes = () if isinstance(encoder, NatureCNN) else (64, 64)

        def head(inputs: int, hidden: Sequence[int], outputs: int, gain: float) -> MLP:
            return MLP(inputs, hidden, outputs, activation, out_gain=gain, generator=generator)

        trunk: nn.Module = encoder
        nets: list[nn.Module]
        outputs = ((distribution.num_params, POLICY_GAIN), (1, VALUE_GAIN))
        if shared_trunk:
            body = MLP(encoder.out_features, hidden_sizes, None, activation, generator=generator)
            trunk = nn.Sequential(encoder, body)
            nets = [head(body.out_features, (), size, gain) for size, gain in outputs]
        else:
            nets = [head(encoder.out_features, hidden_sizes, size, gain) for size, gain in outputs]
            # An encoder that learns nothing is the same for both, so it stays shared.
            if next(encoder.parameters(), None) is not None:
                critic_encoder = encoder_for(observation_space, generator=generator)
                trunk = nn.Identity()
                nets = [nn.Sequential(encoder, nets[0]), nn.Sequential(critic_encoder, nets[1])]
        return cls(
            observation_space,
            action_space,
            trunk=trunk,
            policy_net=nets[0],
            value_net=nets[1],
            distribution=distribution,
        )

    def forward(self, observation: Observation) -> tuple[Tensor, Tensor]:
        """Return the policy's parameters ``[B, num_params]`` and the values ``[B, 1]``.

        Args:
            observation: tensor ``[B, *shape]``; for Dict spaces a mapping or TensorDict of them.
        """
        features = self.trunk(observation)
        return self.policy_net(features), self.value_net(features)

    def policy_path(self) -> tuple[nn.Module, nn.Module]:
        """The modules that `policy_params` applies, one after the other."""
        return self.trunk, self.policy_net

    def value(self, observation: Observation) -> Tensor:
        """Values ``[B, 1]``."""
        value: Tensor = self.value_net(self.trunk(observation))
        return value

    def evaluate_actions(
        self, observation: Observation, action: Action
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Judge actions that were taken.

        Args:
            observation: as in `forward`.
            action: int64 ``[B]`` for Discrete, float32 ``[B, *shape]`` for Box, …

        Returns:
            Log-probability ``[B]``, entropy ``[B]`` and value ``[B, 1]``.
        """
        params, value = self(observation)
        return *self.distribution.log_prob_entropy(params, action), value
