"""The policy of soft actor-critic: a Gaussian squashed into the bounds of the action space.

Sources: Haarnoja et al., "Soft actor-critic algorithms and applications", arXiv:1812.05905.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from hookrl.errors import InvalidType, InvalidValue
from hookrl.models.distributions import Action, ActionDistribution, Array
from hookrl.models.encoders import Observation, encoder_for
from hookrl.models.initialization import own_generator
from hookrl.models.mlp import MLP
from hookrl.models.policy import PolicyNetwork

_LOG_2: Final = math.log(2.0)
_LOG_SQRT_2PI: Final = 0.5 * math.log(2 * math.pi)


class SquashedGaussian(ActionDistribution):
    """``a = center + half_width * tanh(u)`` with u normal and independent in each dimension.

    The parameters are the mean of u and a number that its ``log_std`` is made of, one after the
    other; actions are float32 ``[B, *shape]``.

    Args:
        space: a Box of floats with finite bounds.
        log_std_range: smallest and largest ``log_std``.
        clamp_log_std: how a number x gets there. False: ``low + (high - low) * (tanh(x) + 1) / 2``,
            which has a gradient everywhere. True: by cutting it off, as in Haarnoja's code.

    Raises:
        InvalidType: `space` is no Box of floats.
        InvalidValue: bounds that are not finite or leave no room between them.
    """

    _center: Tensor
    _half_width: Tensor

    def __init__(
        self,
        space: spaces.Space[Any],
        log_std_range: tuple[float, float] = (-5.0, 2.0),
        clamp_log_std: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(space, spaces.Box) or not np.issubdtype(space.dtype, np.floating):
            raise InvalidType(
                f"A squashed Gaussian expects a Box of floats as the action space, got {space}."
            )
        low, high = space.low.astype(np.float64), space.high.astype(np.float64)
        if not (np.isfinite(low) & np.isfinite(high) & (low < high)).all():
            raise InvalidValue(
                "A squashed Gaussian expects finite bounds of actions, low below high, got "
                f"{space}; wrap the environment in gymnasium's RescaleAction or ClipAction."
            )
        if not log_std_range[0] < log_std_range[1]:
            raise InvalidValue(
                f"A squashed Gaussian expects log_std_range as (low, high), got {log_std_range}."
            )
        self.shape = space.shape
        self.size = math.prod(space.shape)
        self.num_params = 2 * self.size
        self.log_std_range = log_std_range
        self.clamp_log_std = clamp_log_std
        center, half_width = ((low + high) / 2).reshape(-1), ((high - low) / 2).reshape(-1)
        self._log_volume = float(np.log(half_width).sum()) + self.size * (
            _LOG_SQRT_2PI + 2 * _LOG_2
        )
        # The space fixes them, so they are no state.
        self.register_buffer("_center", torch.tensor(center, dtype=torch.float32), persistent=False)
        self.register_buffer(
            "_half_width", torch.tensor(half_width, dtype=torch.float32), persistent=False
        )

    def split(self, params: Array) -> tuple[Array, Array]:
        """Mean and ``log_std`` of u, both ``[B, size]``, of parameters ``[B, 2 * size]``."""
        if isinstance(params, Tensor):  # whose gradient is put together at once
            mean, log_std = params.split(self.size, -1)
        else:
            mean, log_std = params[..., : self.size], params[..., self.size :]
        low, high = self.log_std_range
        if self.clamp_log_std:
            return mean, log_std.clip(low, high)
        bounded = torch.tanh(log_std) if isinstance(log_std, Tensor) else np.tanh(log_std)
        half = 0.5 * (high - low)
        return mean, bounded * half + (low + half)

    def sample_log_prob(self, params: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Draw an action and judge it; both are differentiable in `params`.

        ``log p(a) = sum of log N(u) - log half_width - log(1 - tanh(u)^2)`` (appendix C), whose
        last term is ``2 * (log 2 - u - softplus(-2 u))``: exact where tanh has long been 1.

        Args:
            params: ``[B, num_params]``.
            noise: ``[B, size]``, standard normal.

        Returns:
            Action ``[B, *shape]`` and log-probability ``[B]``.
        """
        mean, log_std = self.split(params)
        u = torch.addcmul(mean, log_std.exp(), noise)
        # In few operations, each of which takes longer to begin than to compute. The constants of
        # each dimension are summed beforehand, and softplus(-2 u) = -2 softplus(u, beta=-2).
        terms = torch.sub(u, F.softplus(u, beta=-2.0), alpha=2.0)
        spread = torch.addcmul(log_std, noise, noise, value=0.5)
        surprise = torch.sub(spread, terms, alpha=2.0).sum(-1)
        return self._squash(u), -self._log_volume - surprise

    def mode(self, params: Array) -> Action:
        """The squashed mean, ``[B, *shape]``."""
        return self._squash(params[..., : self.size])

    def sample(self, params: Array, noise: Array) -> Action:
        """Action drawn by `noise` ``[B, size]``: tensors or arrays, as given."""
        mean, log_std = self.split(params)
        spread = torch.exp(log_std) if isinstance(log_std, Tensor) else np.exp(log_std)
        return self._squash(mean + spread * noise)

    def draw_noise(self, rng: np.random.Generator, shape: Sequence[int]) -> NDArray[np.float32]:
        """Standard normal noise: ``[*shape, size]``."""
        return rng.standard_normal((*shape, self.size), dtype=np.float32)

    def array_sampler(self) -> Callable[[NDArray[Any], NDArray[Any]], Action]:
        """`sample` itself: there are no parameters besides."""
        return self.sample

    def _squash(self, u: Array) -> Action:
        if isinstance(u, Tensor):
            flat = torch.addcmul(self._center, self._half_width, torch.tanh(u))
        else:
            flat = self._center.numpy() + self._half_width.numpy() * np.tanh(u)
        return flat if len(self.shape) == 1 else flat.reshape((*u.shape[:-1], *self.shape))


class SquashedGaussianPolicy(PolicyNetwork):
    """A policy with mean and spread that both depend on the state; `from_spaces` builds it.

    Args:
        observation_space: space of a single observation.
        action_space: space of a single action.
        trunk: from observations to features.
        policy_net: from there to the parameters ``[B, distribution.num_params]``.
        distribution: distribution of actions, given parameters.
    """

    distribution: SquashedGaussian

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        *,
        trunk: nn.Module,
        policy_net: nn.Module,
        distribution: SquashedGaussian,
    ) -> None:
        super().__init__(observation_space, action_space)
        self.trunk = trunk
        self.policy_net = policy_net
        self.distribution = distribution

    @classmethod
    def from_spaces(
        cls,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        *,
        hidden_sizes: Sequence[int] = (256, 256),
        activation: str = "relu",
        log_std_range: tuple[float, float] = (-5.0, 2.0),
        clamp_log_std: bool = False,
        generator: torch.Generator | None = None,
    ) -> SquashedGaussianPolicy:
        """Build an encoder and a perceptron that fit the spaces, initialised as torch does.

        Args:
            observation_space: space of a single observation, without an environment axis.
            action_space: Box of floats with finite bounds, without an environment axis.
            hidden_sizes: hidden units between encoder and parameters.
            activation: a name in `hookrl.models.mlp.ACTIVATIONS`.
            log_std_range: smallest and largest logarithm of the standard deviation. The default is
                CleanRL's; Haarnoja's code, Spinning Up and Stable-Baselines3 have ``(-20, 2)``
                with `clamp_log_std`.
            clamp_log_std: whether to cut it off at the range instead of squashing it into it.
            generator: where weights are drawn from; None for a fresh one with seed 0.

        Raises:
            InvalidType: actions other than a Box of floats, or an unsupported observation space.
            InvalidValue: bounds that are not finite, an unknown activation, a size below 1.
        """
        distribution = SquashedGaussian(action_space, log_std_range, clamp_log_std)
        generator = own_generator(generator)
        encoder = encoder_for(observation_space, initialization="uniform", generator=generator)
        return cls(
            observation_space,
            action_space,
            trunk=encoder,
            policy_net=MLP(
                encoder.out_features,
                hidden_sizes,
                distribution.num_params,
                activation,
                initialization="uniform",
                generator=generator,
            ),
            distribution=distribution,
        )

    @property
    def noise_size(self) -> int:
        """Numbers that `sample` needs per action."""
        return self.distribution.size

    def forward(self, observation: Observation) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the standard deviation before squashing, both ``[B, size]``.

        Args:
            observation: tensor ``[B, *shape]``; for Dict spaces a mapping or TensorDict of them.
        """
        return self.distribution.split(self.policy_params(observation))

    def sample(self, observation: Observation, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Draw actions, differentiable in the parameters (reparameterised).

        Args:
            observation: as in `forward`.
            noise: ``[B, noise_size]``, standard normal.

        Returns:
            Action ``[B, *shape]`` and its log-probability ``[B]``.
        """
        return self.distribution.sample_log_prob(self.policy_params(observation), noise)

    def mode(self, observation: Observation) -> Tensor:
        """Squashed mean, the deterministic action: ``[B, *shape]``."""
        action: Tensor = self.distribution.mode(self.policy_params(observation))
        return action

    def policy_path(self) -> tuple[nn.Module, nn.Module]:
        """The modules that `policy_params` applies, one after the other."""
        return self.trunk, self.policy_net
