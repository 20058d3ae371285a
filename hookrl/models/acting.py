"""Acting during rollouts, with the least that acting needs.

A rollout calls the policy once per step on a handful of observations, where dispatching torch
operations costs several times their arithmetic. `NumpyActor` computes small perceptrons in NumPy,
on the memory of torch's parameters. Which actor is used follows from the structure of the network
alone: choosing by timing would make two runs differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, cast

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor, nn

from hookrl.models.distributions import Action, ActionDistribution
from hookrl.models.encoders import FlattenEncoder, Observation
from hookrl.models.mlp import MLP

Floats = NDArray[np.float32]


class Actor(Protocol):
    """What a collector asks of a policy."""

    def refresh(self) -> None:
        """Take up the parameters as they are now; called once per collected batch."""

    def draw_noise(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        """Draw the noise of a rollout: float32 ``[*shape, num_params]``, shape (time, envs)."""

    def __call__(self, observation: Observation, noise: Any = None) -> Action:
        """Act on a batch of observations.

        Args:
            observation: array or tensor ``[N, *shape]``, or a mapping of them.
            noise: ``[N, num_params]``, one step of `draw_noise`; None for the likeliest action.

        Returns:
            int64 ``[N]`` for Discrete, float32 ``[N, *shape]`` for Box (not clipped), a dict for
            Dict spaces: arrays for arrays, tensors for tensors.
        """


class Policy(Protocol):
    """The part of a network that acting needs; `hookrl.models.ActorCritic` has it."""

    observation_space: spaces.Space[Any]
    distribution: ActionDistribution
    trunk: nn.Module
    policy_net: nn.Module

    def policy_params(self, observation: Observation) -> Tensor:
        """Parameters of the action distribution."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """All parameters."""
        ...


class TorchActor:
    """Any actor-critic on any device.

    Args:
        actor_critic: the policy; it is used as it is, so that it may be trained meanwhile.
    """

    def __init__(self, actor_critic: Policy) -> None:
        self._actor_critic = actor_critic
        self.refresh()

    def refresh(self) -> None:
        """Look up where the parameters are."""
        self._device = next(self._actor_critic.parameters()).device

    def draw_noise(self, rng: np.random.Generator, shape: Sequence[int]) -> Floats:
        """Draw the noise of a rollout, float32 ``[*shape, num_params]``."""
        return self._actor_critic.distribution.draw_noise(rng, shape)

    # Not inference_mode: a caller that gets tensors may keep them in a batch that is trained on,
    # and inference tensors cannot be saved for a backward pass.
    @torch.no_grad()
    def __call__(self, observation: Observation, noise: Any = None) -> Action:
        """Act as `Actor` says."""
        distribution = self._actor_critic.distribution
        params = self._actor_critic.policy_params(_to_torch(observation, self._device))
        if noise is None:
            action = distribution.mode(params)
        else:
            action = distribution.sample(params, _to_torch(noise, self._device))
        return _to_numpy(action) if _is_numpy(observation) else action


class NumpyActor:
    """Small perceptrons on flat observations, computed in NumPy.

    A CPU tensor and its NumPy view share memory, so no weight is copied. `refresh` makes new views
    in case a parameter was replaced, and takes up the standard deviations.

    Args:
        actor_critic: a policy that `supports` accepts.
    """

    def __init__(self, actor_critic: Policy) -> None:
        self._actor_critic = actor_critic
        self._distribution = actor_critic.distribution
        self.refresh()

    @staticmethod
    def supports(actor_critic: Policy) -> bool:
        """Whether the network is a plain perceptron on flat observations, float32 on the CPU."""
        layers = _layers(actor_critic)
        return (
            isinstance(actor_critic.observation_space, spaces.Box)
            and layers is not None
            and all(type(m) is nn.Linear or type(m) in _ACTIVATIONS for m in layers)
            and all(
                p.device.type == "cpu" and p.dtype == torch.float32
                for p in actor_critic.parameters()
            )
        )

    def refresh(self) -> None:
        """Make views of the parameters as they are now."""
        self._steps = list(_numpy_steps(_layers(self._actor_critic) or []))
        scale = self._distribution.noise_scale()
        self._noise_scale = None if scale is None else scale.detach().numpy()

    def draw_noise(self, rng: np.random.Generator, shape: Sequence[int]) -> Floats:
        """Draw the noise of a rollout, float32 ``[*shape, num_params]``."""
        return self._distribution.draw_noise(rng, shape)

    def __call__(self, observation: Observation, noise: Any = None) -> Action:
        """Act as `Actor` says."""
        if isinstance(observation, Tensor):
            noise = noise.numpy() if isinstance(noise, Tensor) else noise
            return _to_torch(self(observation.detach().numpy(), noise), torch.device("cpu"))
        x = observation
        if x.ndim != 2:
            x = x.reshape(len(x), -1)
        if x.dtype != np.float32:
            x = x.astype(np.float32)
        for weight, bias, activate in self._steps:
            x = x @ weight
            x += bias
            if activate is not None:
                activate(x)
        if noise is None:
            return self._distribution.mode(x)
        x += noise if self._noise_scale is None else self._noise_scale * noise
        return self._distribution.mode(x)


def _tanh(x: Floats) -> None:
    np.tanh(x, out=x)


def _relu(x: Floats) -> None:
    np.maximum(x, 0.0, out=x)


_ACTIVATIONS: dict[type[nn.Module], Callable[[Floats], None]] = {nn.Tanh: _tanh, nn.ReLU: _relu}
"""Activations that NumPy has, in place."""


def _layers(actor_critic: Policy) -> list[nn.Module] | None:
    """Linear layers and activations of the policy in order; None where it has anything else."""
    trunk, policy_net = actor_critic.trunk, actor_critic.policy_net
    parts = [*trunk, policy_net] if type(trunk) is nn.Sequential else [trunk, policy_net]
    if type(parts[0]) is not FlattenEncoder or any(type(part) is not MLP for part in parts[1:]):
        return None
    return [layer for part in parts[1:] for layer in cast(MLP, part)]


def _numpy_steps(
    layers: Sequence[nn.Module],
) -> Iterator[tuple[Floats, Floats, Callable[[Floats], None] | None]]:
    """Weight, bias and following activation of each linear layer."""
    for layer, following in zip(layers, [*layers[1:], None], strict=True):
        if isinstance(layer, nn.Linear):
            activate = None if following is None else _ACTIVATIONS.get(type(following))
            yield layer.weight.detach().numpy().T, layer.bias.detach().numpy(), activate


def _to_torch(tree: Any, device: torch.device) -> Any:
    """Arrays or tensors, in mappings or not, as tensors on `device`; shares memory if it can."""
    if isinstance(tree, np.ndarray | Tensor):
        return torch.as_tensor(tree, device=device)
    return {name: _to_torch(part, device) for name, part in tree.items()}


def _to_numpy(tree: Any) -> Any:
    """Tensors, in mappings or not, as arrays."""
    if isinstance(tree, Tensor):
        return tree.cpu().numpy()
    return {name: _to_numpy(part) for name, part in tree.items()}


def _is_numpy(tree: Any) -> bool:
    """Whether the leaves are arrays rather than tensors, judged by the first."""
    while not isinstance(tree, np.ndarray | Tensor):
        tree = next(iter(tree.values()))
    return isinstance(tree, np.ndarray)
