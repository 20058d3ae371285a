"""Acting during rollouts, with the least that acting needs.

A rollout calls the policy once per step on a handful of observations, where dispatching torch
operations costs several times their arithmetic. `NumpyActor` computes small perceptrons in NumPy,
on the memory of torch's parameters. Which actor is used follows from the structure of the network
alone: choosing by timing would make two runs differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol, cast

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor, nn

from hookrl.models.distributions import Action, ActionDistribution
from hookrl.models.encoders import FlattenEncoder, Observation
from hookrl.models.layers import Tanh
from hookrl.models.mlp import MLP

Floats = NDArray[np.float32]


class Actor(Protocol):
    """What a collector asks of a policy."""

    def refresh(self) -> None:
        """Take up the parameters as they are now; called once per collected batch."""

    def draw_noise(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
        """Draw the noise of a rollout of shape (time, envs): what each step is acted with.

        float32 ``[*shape, numbers]``, or what this actor makes of it.
        """

    def __call__(self, observation: Observation, noise: Any = None) -> Action:
        """Act on a batch of observations.

        Args:
            observation: array or tensor ``[N, *shape]``, or a mapping of them.
            noise: one step of `draw_noise`; None for the likeliest action.

        Returns:
            int64 ``[N]`` for Discrete, float32 ``[N, *shape]`` for Box (not clipped), a dict for
            Dict spaces: arrays for arrays, tensors for tensors.
        """


class Policy(Protocol):
    """The part of a network that acting needs; every `hookrl.models.PolicyNetwork` has it."""

    observation_space: spaces.Space[Any]
    distribution: ActionDistribution

    def policy_path(self) -> Sequence[nn.Module]:
        """The modules that `policy_params` applies, one after the other."""
        ...

    def policy_params(self, observation: Observation) -> Tensor:
        """Parameters of the action distribution."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """All parameters."""
        ...


class TorchActor:
    """Any policy on any device.

    Args:
        policy: the network; it is used as it is, so that it may be trained meanwhile.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.refresh()

    def refresh(self) -> None:
        """Look up where the parameters are."""
        self._device = next(self._policy.parameters()).device

    def draw_noise(self, rng: np.random.Generator, shape: Sequence[int]) -> Floats:
        """Draw the noise of a rollout, as the distribution of actions does."""
        return self._policy.distribution.draw_noise(rng, shape)

    # Not inference_mode: a caller that gets tensors may keep them in a batch that is trained on,
    # and inference tensors cannot be saved for a backward pass.
    @torch.no_grad()
    def __call__(self, observation: Observation, noise: Any = None) -> Action:
        """Act as `Actor` says."""
        distribution = self._policy.distribution
        params = self._policy.policy_params(_to_torch(observation, self._device))
        if noise is None:
            action = distribution.mode(params)
        else:
            action = distribution.sample(params, _to_torch(noise, self._device))
        return _to_numpy(action) if _is_numpy(observation) else action


class NumpyActor:
    """Small perceptrons on flat observations, computed in NumPy.

    A CPU tensor and its NumPy view share memory, so no weight is copied. `refresh` makes new views
    in case a parameter was replaced, and takes up the standard deviations. A network that is no
    longer of this kind is used as it is.

    Args:
        policy: a network that `supports` accepts.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._distribution = policy.distribution
        self._places: list[Any] = []
        self._as_it_is: TorchActor | None = None
        self.refresh()

    @staticmethod
    def supports(policy: Policy) -> bool:
        """Whether the network is a plain perceptron on flat observations, float32 on the CPU."""
        layers = _layers(policy)
        return (
            isinstance(policy.observation_space, spaces.Box)
            and layers is not None
            and all(type(m) in _ACTIVATIONS or _is_linear(m) for m in layers)
            and not any(_is_watched(m) for part in policy.policy_path() for m in part.modules())
            and all(
                p.device.type == "cpu" and p.dtype == torch.float32 for p in policy.parameters()
            )
        )

    def refresh(self) -> None:
        """Take up the parameters as they are now."""
        # Views see what is written in place; new ones take longer than a step of the network.
        places = _places(self._policy.policy_path(), [])
        if places != self._places:
            self._as_it_is = None if self.supports(self._policy) else TorchActor(self._policy)
            plain = self._as_it_is is None
            self._steps = list(_numpy_steps(_layers(self._policy) or [])) if plain else []
            self._places = places
        if self._as_it_is is not None:
            self._as_it_is.refresh()
        self._sample = self._distribution.array_sampler()

    def draw_noise(self, rng: np.random.Generator, shape: Sequence[int]) -> Any:
        """Draw the noise of a rollout, as the distribution of actions does."""
        return self._distribution.draw_noise(rng, shape)

    def __call__(self, observation: Observation, noise: Any = None) -> Action:
        """Act as `Actor` says."""
        if self._as_it_is is not None:
            return self._as_it_is(observation, noise)
        if isinstance(observation, Tensor):
            noise = noise.numpy() if isinstance(noise, Tensor) else noise
            return _to_torch(self(observation.detach().numpy(), noise), torch.device("cpu"))
        x = observation
        if x.ndim != 2:
            x = x.reshape(len(x), -1)
        if x.dtype != np.float32:
            x = x.astype(np.float32)
        for weight, bias, activate in self._steps:
            x = x.dot(weight)
            x += bias
            if activate is not None:
                activate(x)
        return self._distribution.mode(x) if noise is None else self._sample(x, noise)


_ZERO = np.zeros((), np.float32)
"""A number would be made into an array each time."""


def _tanh(x: Floats) -> None:
    np.tanh(x, out=x)


def _relu(x: Floats) -> None:
    np.maximum(x, _ZERO, out=x)


_ACTIVATIONS: dict[type[nn.Module], Callable[[Floats], None]] = {
    nn.Tanh: _tanh,
    Tanh: _tanh,
    nn.ReLU: _relu,
}
"""Activations that NumPy has, in place."""


def _layers(policy: Policy) -> list[nn.Module] | None:
    """Linear layers and activations of the policy in order; None where it has anything else."""
    parts: list[nn.Module] = []
    for part in policy.policy_path():
        parts += part if type(part) is nn.Sequential else [part]
    if type(parts[0]) is not FlattenEncoder or any(type(part) is not MLP for part in parts[1:]):
        return None
    return [layer for part in parts[1:] for layer in cast(MLP, part)]


def _places(modules: Iterable[nn.Module], found: list[Any]) -> list[Any]:
    """Add to `found` all modules, and where what linear layers compute with lies; return it."""
    for module in modules:
        found += module, _is_watched(module)
        if isinstance(module, nn.Linear):
            own: dict[str, Any] = module._parameters  # read in a third of the time of asking it
            if "weight" in own and own.get("bias") is not None:
                found += own["weight"].data_ptr(), own["bias"].data_ptr()
            else:  # a weight that is no parameter, as pruning computes it, may be anywhere
                found.append(object())
        else:
            _places(cast("Iterable[nn.Module]", module._modules.values()), found)
    return found


def _is_linear(module: nn.Module) -> bool:
    return type(module) is nn.Linear and module.bias is not None


def _is_watched(module: nn.Module) -> bool:
    """Whether somebody would notice that a module is not called, or changes what it gives."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def _numpy_steps(
    layers: Sequence[nn.Module],
) -> Iterator[tuple[Floats, Floats, Callable[[Floats], None] | None]]:
    """Weight, bias and following activation of each linear layer."""
    for layer, following in zip(layers, [*layers[1:], None], strict=True):
        if isinstance(layer, nn.Linear):
            activate = None if following is None else _ACTIVATIONS.get(type(following))
            # A bias of one row: NumPy adds arrays of equal shape in less than half the time.
            bias = layer.bias.detach().numpy()[None]
            yield layer.weight.detach().numpy().T, bias, activate


def _to_torch(tree: Any, device: torch.device) -> Any:
    """Arrays or tensors, in mappings or not, as tensors on `device`; shares memory if it can."""
    if isinstance(tree, np.ndarray | Tensor):
        # What is on its way to the host must be waited for.
        return torch.as_tensor(tree).to(device, non_blocking=device.type != "cpu")
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
