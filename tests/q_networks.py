"""The Q-network that its tests and those of ε-greedy acting ask."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import nn

from hookrl.models import QNetwork

BOX = spaces.Box(-1, 1, (4,))
ACTIONS = spaces.Discrete(3, start=5)


def network_for(**options: Any) -> QNetwork:
    """A network for `BOX` and `ACTIONS` whose values differ enough to tell actions apart."""
    network = QNetwork.from_spaces(BOX, ACTIONS, **options)
    generator = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3, generator=generator)
    return network


def observations(size: int) -> np.ndarray:
    """Of `BOX`, float32 ``[size, 4]``."""
    return np.random.default_rng(0).standard_normal((size, 4)).astype(np.float32)
