"""The policy of discrete soft actor-critic: a softmax over actions and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor, nn

from hookrl.errors import InvalidType
from hookrl.models.distributions import Categorical
from hookrl.models.encoders import Observation, encoder_for
from hookrl.models.initialization import own_generator
from hookrl.models.mlp import MLP
from hookrl.models.policy import PolicyNetwork


class CategoricalPolicy(PolicyNetwork):
    """Logits of discrete actions; `from_spaces` builds the usual network.

    Args:
        observation_space: space of a single observation.
        action_space: space of a single action, Discrete.
        trunk: from observations to features.
        policy_net: from there to the logits ``[B, n]``.

    Raises:
        InvalidType: actions that are not Discrete.
    """

    distribution: Categorical

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        *,
        trunk: nn.Module,
        policy_net: nn.Module,
    ) -> None:
        super().__init__(observation_space, action_space)
        n, start = _actions(action_space)
        self.trunk = trunk
        self.policy_net = policy_net
        self.distribution = Categorical(n, start)

    @classmethod
    def from_spaces(
        cls,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        *,
        hidden_sizes: Sequence[int] = (256, 256),
        activation: str = "relu",
        generator: torch.Generator | None = None,
    ) -> CategoricalPolicy:
        """Build an encoder and a perceptron that fit the spaces, initialised as torch does.

        Args:
            observation_space: space of a single observation, without an environment axis.
            action_space: Discrete, without an environment axis.
            hidden_sizes: hidden units between encoder and logits.
            activation: a name in `hookrl.models.mlp.ACTIVATIONS`.
            generator: where weights are drawn from; None for a fresh one with seed 0.

        Raises:
            InvalidType: actions that are not Discrete, or an unsupported observation space.
            InvalidValue: an unknown activation, a size below 1, an image that is too small.
        """
        n, _ = _actions(action_space)
        generator = own_generator(generator)
        encoder = encoder_for(observation_space, initialization="uniform", generator=generator)
        return cls(
            observation_space,
            action_space,
            trunk=encoder,
            policy_net=MLP(
                encoder.out_features,
                hidden_sizes,
                n,
                activation,
                initialization="uniform",
                generator=generator,
            ),
        )

    def forward(self, observation: Observation) -> Tensor:
        """Logits ``[B, n]``.

        Args:
            observation: tensor ``[B, *shape]``; for Dict spaces a mapping or TensorDict of them.
        """
        return self.policy_params(observation)

    def policy_path(self) -> tuple[nn.Module, nn.Module]:
        """The modules that `policy_params` applies, one after the other."""
        return self.trunk, self.policy_net


def _actions(action_space: spaces.Space[Any]) -> tuple[int, int]:
    """Number of actions and the first one."""
    if not isinstance(action_space, spaces.Discrete):
        raise InvalidType(
            f"CategoricalPolicy expects Discrete actions, got {action_space}; "
            "SquashedGaussianPolicy is for those of a Box."
        )
    return int(action_space.n), int(action_space.start)
