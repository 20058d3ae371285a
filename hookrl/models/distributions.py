"""Action distributions over plain parameter tensors.

An object per distribution and batch costs more than its arithmetic at the sizes of reinforcement
learning; here one module per action space maps a flat parameter vector ``[..., num_params]`` to
log-probabilities, entropies and actions.

Acting is the same for all: ``mode(params + scale * noise)``. With Gumbel noise the argmax of the
logits is an exact draw from the softmax (Gumbel, 1954; Maddison et al., arXiv:1411.0030); with
normal noise times the standard deviation the mean is one from the Gaussian. So the noise of a whole
rollout is drawn in one call, outside, in the shape of the parameters, and `mode` and `sample` serve
NumPy arrays and tensors alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from torch import Tensor, nn

from hookrl.models.spaces import unsupported_space

Array = TypeVar("Array", Tensor, NDArray[Any])
Action: TypeAlias = Any
"""A tensor or array; for Dict spaces a mapping or TensorDict of actions."""

SUPPORTED_ACTIONS = "Box of floats, Discrete, MultiDiscrete and (nested) Dict of these"


class ActionDistribution(nn.Module):
    """What a policy needs of the distribution of its actions.

    Leading dimensions are free; ``B`` stands for them.
    """

    num_params: int
    """Outputs that the network has to give per state, and entries of noise per action."""

    def log_prob_entropy(self, params: Tensor, action: Action) -> tuple[Tensor, Tensor]:
        """Log-probability of `action` and entropy, both ``[B]``, for params ``[B, num_params]``."""
        raise NotImplementedError

    def log_prob(self, params: Tensor, action: Action) -> Tensor:
        """Log-probability ``[B]`` of `action`, given `params` ``[B, num_params]``."""
        return self.log_prob_entropy(params, action)[0]

    def mode(self, params: Array) -> Action:
        """Likeliest action, for `params` ``[B, num_params]``: tensors or arrays, as given."""
        raise NotImplementedError

    def draw_noise(self, rng: np.random.Generator, shape: Sequence[int]) -> NDArray[np.float32]:
        """Draw the noise of actions of leading shape `shape`: float32 ``[*shape, num_params]``."""
        raise NotImplementedError

    def noise_scale(self) -> Tensor | None:
        """Return what noise is multiplied by, ``[num_params]``; None where that is 1."""
        return None

    def sample(self, params: Array, noise: Array) -> Action:
        """Action drawn by `noise`, both ``[B, num_params]``: tensors or arrays, as given."""
        scale = self.noise_scale()
        if scale is None:
            return self.mode(params + noise)
        if isinstance(params, Tensor):
            return self.mode(params + scale * noise)
        return self.mode(params + scale.detach().cpu().numpy() * noise)

    def array_sampler(self) -> Callable[[NDArray[Any], NDArray[Any]], Action]:
        """`sample` for arrays, with this distribution's own parameters as they are now."""
        scale = self.noise_scale()
        if scale is None:
            return lambda params, noise: self.mode(params + noise)
        factor = scale.detach().cpu().numpy()
        return lambda params, noise: self.mode(params + factor * noise)


class Categorical(ActionDistribution):
    """One of n categories; the parameters are logits, actions int64 ``[B]``.

    Args:
        n: number of categories.
        start: the first one.
    """

    def __init__(self, n: int, start: int = 0) -> None:
        super().__init__()
        self.num_params = n
        self.start = start

    def log_prob_entropy(self, params: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability of `action` and entropy, both ``[B]``."""
        index = action - self.start if self.start else action
        log_probs = params.log_softmax(-1)
        entropy = -(log_probs.exp() * log_probs).sum(-1)
        return log_probs.gather(-1, index.unsqueeze(-1)).squeeze(-1), entropy

    def mode(self, params: Array) -> Action:
        """Category of the largest logit: int64 ``[B]``."""
        index = params.argmax(-1)
        return index + self.start if self.start else index

    def draw_noise(self, rng: np.random.Generator, shape: Sequence[int]) -> NDArray[np.float32]:
        """Gumbel noise: ``[*shape, num_params]``."""
        return _gumbel(rng, (*shape, self.num_params))


class MultiCategorical(ActionDistribution):
    """Independent categories; the parameters are their logits one after the other.

    Actions are int64 ``[B, *nvec.shape]``.

    Args:
        nvec: number of categories of each variable, in any shape.
        start: the first of each, of the same shape; zeros if None.
    """

    def __init__(self, nvec: NDArray[Any], start: NDArray[Any] | None = None) -> None:
        super().__init__()
        starts = np.zeros_like(nvec) if start is None else start
        self.shape = nvec.shape
        self.heads = nn.ModuleList(
            Categorical(int(n), int(s)) for n, s in zip(nvec.flat, starts.flat, strict=True)
        )
        self.num_params = int(nvec.sum())
        self._slices = _slices([int(n) for n in nvec.flat])

    def log_prob_entropy(self, params: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability of `action` and entropy, both ``[B]``."""
        variables = action.reshape((*params.shape[:-1], -1)).unbind(-1)
        return _sum_pairs(
            cast(Categorical, head).log_prob_entropy(params[..., part], variable)
            for head, part, variable in zip(self.heads, self._slices, variables, strict=True)
        )

    def mode(self, params: Array) -> Action:
        """Category of the largest logit of each variable: int64 ``[B, *nvec.shape]``."""
        choices = [
            cast(Categorical, head).mode(params[..., part])
            for head, part in zip(self.heads, self._slices, strict=True)
        ]
        stacked = torch.stack(choices, -1) if isinstance(params, Tensor) else np.stack(choices, -1)
        return stacked.reshape((*params.shape[:-1], *self.shape))

    def draw_noise(self, rng: np.random.Generator, shape: Sequence[int]) -> NDArray[np.float32]:
        """Gumbel noise: ``[*shape, num_params]``."""
        return _gumbel(rng, (*shape, self.num_params))


class DiagonalGaussian(ActionDistribution):
    """Independent normal variables: the mean is the network's, the spread is the same everywhere.

    The parameters are the mean. The logarithm of the standard deviation is a parameter of this
    module, independent of the state (details, continuous 3; Andrychowicz et al. 2021, 3.2).
    Actions are float32 ``[B, *shape]`` and unbounded: clipping is for who steps the environment.

    Args:
        shape: shape of one action.
        log_std_init: initial logarithm of the standard deviation.
    """

    def __init__(self, shape: Sequence[int], log_std_init: float = 0.0) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.num_params = math.prod(shape)
        self.log_std = nn.Parameter(torch.full((self.num_params,), float(log_std_init)))

    def log_prob_entropy(self, params: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Log-probability of `action` and entropy, both ``[B]``."""
        if len(self.shape) != 1:
            action = action.reshape(params.shape)
        log_volume = self.log_std.sum() + 0.5 * math.log(2 * math.pi) * self.num_params
        distance = (action - params) * (-self.log_std).exp()
        log_prob = distance.square().sum(-1) * -0.5 - log_volume
        return log_prob, (log_volume + 0.5 * self.num_params).expand(log_prob.shape)

    def mode(self, params: Array) -> Action:
        """The mean: ``[B, *shape]``."""
        if len(self.shape) == 1:
            return params
        return params.reshape((*params.shape[:-1], *self.shape))

    def draw_noise(self, rng: np.random.Generator, shape: Sequence[int]) -> NDArray[np.float32]:
        """Standard normal noise: ``[*shape, num_params]``."""
        return rng.standard_normal((*shape, self.num_params), dtype=np.float32)

    def noise_scale(self) -> Tensor:
        """Standard deviation, ``[num_params]``."""
        return self.log_std.exp()


class Composite(ActionDistribution):
    """Independent heads under names: log-probabilities and entropies add up.

    Parameters and noise are those of the heads one after the other, actions a dict by name.

    Args:
        heads: distribution of each name.
    """

    def __init__(self, heads: Mapping[str, ActionDistribution]) -> None:
        super().__init__()
        # A list beside the names: ModuleDict refuses keys with dots, which spaces may have.
        self.names = tuple(heads)
        self.heads = nn.ModuleList(heads.values())
        sizes = [head.num_params for head in heads.values()]
        self.num_params = sum(sizes)
        self._slices = _slices(sizes)

    def _parts(self) -> list[tuple[str, ActionDistribution, slice]]:
        heads = cast("list[ActionDistribution]", list(self.heads))
        return list(zip(self.names, heads, self._slices, strict=True))

    def log_prob_entropy(self, params: Tensor, action: Action) -> tuple[Tensor, Tensor]:
        """Log-probability of `action` and entropy, both ``[B]``."""
        return _sum_pairs(
            head.log_prob_entropy(params[..., part], action[name])
            for name, head, part in self._parts()
        )

    def mode(self, params: Array) -> Action:
        """The mode of each head, by name."""
        return {name: head.mode(params[..., part]) for name, head, part in self._parts()}

    def draw_noise(self, rng: np.random.Generator, shape: Sequence[int]) -> NDArray[np.float32]:
        """The noise of each head, one after the other: ``[*shape, num_params]``."""
        return np.concatenate([head.draw_noise(rng, shape) for _, head, _ in self._parts()], -1)

    def noise_scale(self) -> Tensor | None:
        """Scales of the heads one after the other, ``[num_params]``; None where all are 1."""
        scales = [(head, head.noise_scale()) for _, head, _ in self._parts()]
        known = next((scale for _, scale in scales if scale is not None), None)
        if known is None:
            return None
        ones = [known.new_ones(h.num_params) if scale is None else scale for h, scale in scales]
        return torch.cat(ones)


def distribution_for(
    action_space: spaces.Space[Any], log_std_init: float = 0.0, *, where: str = "action"
) -> ActionDistribution:
    """Build the distribution of an action space.

    Args:
        action_space: space of a single action, without an environment axis.
        log_std_init: initial logarithm of the standard deviation of Box actions.
        where: what the space is called in error texts.

    Raises:
        InvalidType: a space other than Box of floats, Discrete, MultiDiscrete or Dict of these.
    """
    match action_space:
        case spaces.Discrete():
            return Categorical(int(action_space.n), int(action_space.start))
        case spaces.MultiDiscrete():
            return MultiCategorical(action_space.nvec, action_space.start)
        case spaces.Box() if np.issubdtype(action_space.dtype, np.floating):
            return DiagonalGaussian(action_space.shape, log_std_init)
        case spaces.Dict() if action_space.spaces:
            return Composite(
                {
                    name: distribution_for(sub, log_std_init, where=f"{where}[{name!r}]")
                    for name, sub in action_space.spaces.items()
                }
            )
    raise unsupported_space(action_space, where, SUPPORTED_ACTIONS)


def _slices(sizes: Sequence[int]) -> list[slice]:
    """Where each of several consecutive parts of these sizes lies."""
    ends = np.cumsum([0, *sizes]).tolist()
    return [slice(a, b) for a, b in pairwise(ends)]


def _sum_pairs(pairs: Any) -> tuple[Tensor, Tensor]:
    """Sum of the firsts and sum of the seconds."""
    firsts, seconds = zip(*pairs, strict=True)
    return torch.stack(firsts).sum(0), torch.stack(seconds).sum(0)


def _gumbel(rng: np.random.Generator, shape: Sequence[int]) -> NDArray[np.float32]:
    """Standard Gumbel noise, minus the logarithm of standard exponential noise."""
    # In float32 the exponential is 0 once in ten million draws and coarse near it, which would
    # misjudge rare actions; in float64 neither is ever noticed.
    exponential = np.maximum(rng.standard_exponential(shape), np.finfo(np.float64).tiny)
    return -np.log(exponential).astype(np.float32)
