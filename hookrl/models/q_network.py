"""Q-networks: one value per discrete action."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from gymnasium import spaces
from torch import Tensor, nn

from hookrl.errors import InvalidType
from hookrl.models.acting import Actor, NumpyActor
from hookrl.models.cnn import NatureCNN
from hookrl.models.encoders import Encoder, Observation, encoder_for
from hookrl.models.epsilon_greedy import EpsilonGreedy, EpsilonGreedyActor
from hookrl.models.initialization import own_generator
from hookrl.models.mlp import MLP
from hookrl.models.policy import PolicyNetwork


class QNetwork(PolicyNetwork):
    """Values of discrete actions; `from_spaces` builds the usual networks.

    With a `value_net` it is dueling (Wang et al., arXiv:1511.06581, eq. 9):
    ``Q(s, a) = V(s) + A(s, a) - mean over a' of A(s, a')``. The action of the largest value is that
    of the largest advantage, so that acting needs only the one.

    Args:
        observation_space: space of a single observation.
        action_space: space of a single action.
        trunk: from observations to what the following start from.
        action_net: from there to one number per action ``[B, n]``: its value, or its advantage.
        value_net: from there to the value of the state ``[B, 1]``; None where `action_net` gives
            the values of actions.

    Raises:
        InvalidType: actions that are not Discrete.
    """

    distribution: EpsilonGreedy
    """How to act on the values."""

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        *,
        trunk: nn.Module,
        action_net: nn.Module,
        value_net: nn.Module | None = None,
    ) -> None:
        super().__init__(observation_space, action_space)
        n, start = _actions(action_space)
        self.trunk = trunk
        self.action_net = action_net
        self.value_net = value_net
        self.distribution = EpsilonGreedy(n, start)

    @classmethod
    def from_spaces(
        cls,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        *,
        hidden_sizes: Sequence[int] | None = None,
        activation: str = "relu",
        dueling: bool = False,
        generator: torch.Generator | None = None,
    ) -> QNetwork:
        """Build an encoder and perceptrons that fit the spaces, initialised as torch does.

        Args:
            observation_space: space of a single observation, without an environment axis.
            action_space: Discrete, without an environment axis.
            hidden_sizes: hidden units between encoder and values. None: ``(120, 84)`` as in
                CleanRL, but none after a lone image, since `NatureCNN` ends in 512 units of its
                own.
            activation: a name in `hookrl.models.mlp.ACTIVATIONS`.
            dueling: a value and an advantage stream, each with the last hidden layer to itself; for
                lone images without `hidden_sizes` that is the layer of 512 units, as published. The
                published rescaling of the gradient where the streams meet is left out.
            generator: where weights are drawn from; None for a fresh one with seed 0.

        Raises:
            InvalidType: actions that are not Discrete, or an unsupported observation space.
            InvalidValue: an unknown activation, a size below 1, an image that is too small.
        """
        n, _ = _actions(action_space)
        generator = own_generator(generator)
        encoder: Encoder = encoder_for(
            observation_space, initialization="uniform", generator=generator
        )
        if hidden_sizes is None:
            hidden_sizes = (120, 84)
            if isinstance(encoder, NatureCNN):
                hidden_sizes = ()
                if dueling:
                    hidden_sizes = (encoder.out_features,)
                    encoder = NatureCNN(
                        observation_space.shape or (),
                        None,
                        initialization="uniform",
                        generator=generator,
                    )

        def perceptron(inputs: int, hidden: Sequence[int], outputs: int | None) -> MLP:
            return MLP(
                inputs, hidden, outputs, activation, initialization="uniform", generator=generator
            )

        if not dueling:
            action_net = perceptron(encoder.out_features, hidden_sizes, n)
            return cls(observation_space, action_space, trunk=encoder, action_net=action_net)
        shared, own = hidden_sizes[:-1], hidden_sizes[-1:]
        body = perceptron(encoder.out_features, shared, None)
        return cls(
            observation_space,
            action_space,
            trunk=nn.Sequential(encoder, body),
            action_net=perceptron(body.out_features, own, n),
            value_net=perceptron(body.out_features, own, 1),
        )

    @property
    def epsilon(self) -> float:
        """Probability of a random action while exploring.

        It starts at 1, as published schedules do; who trains lowers it. It is no part of the state.
        """
        return self._exploration.epsilon

    @epsilon.setter
    def epsilon(self, epsilon: float) -> None:
        self._exploration.explore(epsilon)

    @property
    def _exploration(self) -> EpsilonGreedy:
        # Ten times faster than by its name as an attribute; before each rollout it is asked for.
        modules: Any = self._modules
        return modules["distribution"]

    def forward(self, observation: Observation) -> Tensor:
        """Values ``[B, n]`` of the actions.

        Args:
            observation: tensor ``[B, *shape]``; for Dict spaces a mapping or TensorDict of them.
        """
        features = self.trunk(observation)
        values: Tensor = self.action_net(features)
        if self.value_net is None:
            return values
        state_value: Tensor = self.value_net(features)
        return state_value + values - values.mean(-1, keepdim=True)

    def policy_path(self) -> tuple[nn.Module, nn.Module]:
        """The modules that rank the actions, one after the other."""
        modules: Any = self._modules  # as in `_exploration`
        return modules["trunk"], modules["action_net"]

    def actor(self) -> Actor:
        """Return the fastest actor that this network's structure allows."""
        actor = super().actor()
        return EpsilonGreedyActor(self) if type(actor) is NumpyActor else actor


def _actions(action_space: spaces.Space[Any]) -> tuple[int, int]:
    """Number of actions and the first one."""
    if not isinstance(action_space, spaces.Discrete):
        raise InvalidType(
            f"QNetwork expects Discrete actions, one value for each, got {action_space}."
        )
    return int(action_space.n), int(action_space.start)
