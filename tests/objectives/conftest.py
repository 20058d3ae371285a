"""Random transitions for the losses that learn off policy."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from gymnasium import spaces
from tensordict import TensorDict

OBSERVATION = spaces.Box(-1, 1, (3,))


def _transitions(action_space: spaces.Space, size: int = 32, seed: int = 0) -> TensorDict:
    """Transitions of which some are terminated, some truncated."""
    generator = torch.Generator().manual_seed(seed)
    if isinstance(action_space, spaces.Discrete):
        first, n = int(action_space.start), int(action_space.n)
        action = torch.randint(first, first + n, (size,), generator=generator)
    else:
        low, high = torch.as_tensor(action_space.low), torch.as_tensor(action_space.high)
        action = low + (high - low) * torch.rand(size, *action_space.shape, generator=generator)
    ending = torch.rand(size, 1, generator=generator)
    terminated, truncated = ending < 0.2, ending > 0.8
    assert terminated.any()
    assert truncated.any()
    return TensorDict(
        {
            "observation": torch.randn(size, 3, generator=generator),
            "action": action,
            "next": {
                "observation": torch.randn(size, 3, generator=generator),
                "reward": torch.randn(size, 1, generator=generator),
                "terminated": terminated,
                "truncated": truncated,
                "done": terminated | truncated,
            },
        },
        [size],
    )


@pytest.fixture
def transitions() -> Callable[..., TensorDict]:
    return _transitions
