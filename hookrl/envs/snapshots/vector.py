"""`SyncVectorEnv`: its sub-environments, and the flags and buffers that it steps them with."""

from __future__ import annotations

import copy
from typing import Any

from hookrl.envs.snapshots import chain
from hookrl.envs.snapshots.attributes import Attributes
from hookrl.envs.snapshots.family import Declaration, Exact, weakest

_OWN = Attributes(constants=("envs", "env_fns", "_env_obs", "_observations"))


class SyncVector(Exact):
    """Each sub-environment's snapshot; which of them reset next; and what they last showed."""

    def prepare(self, layer: Any) -> None:
        """Prepare every sub-environment, in place."""
        layer.envs = [chain.prepare(env) for env in layer.envs]

    def declare(self, layer: Any) -> Declaration:
        """As much as the weakest sub-environment can do."""
        return weakest([_OWN.declare(layer), *(chain.declare(env) for env in layer.envs)])

    def take(self, layer: Any) -> dict[str, Any]:
        """Return it all."""
        return {
            "own": _OWN.take(layer),
            # Copied one by one: they may be views of one array, which is nothing to keep.
            "shown": [copy.deepcopy(shown) for shown in layer._env_obs],
            "observations": copy.deepcopy(layer._observations),
            "environments": [chain.take(env) for env in layer.envs],
        }

    def check(self, layer: Any, state: dict[str, Any]) -> None:
        """Check every sub-environment before any is changed."""
        _OWN.check(layer, state["own"])
        for env, sub_state in zip(layer.envs, state["environments"], strict=True):
            chain.check(env, sub_state)

    def restore(self, layer: Any, state: dict[str, Any]) -> None:
        """Bring all of it back."""
        _OWN.restore(layer, state["own"])
        layer._env_obs = state["shown"]
        layer._observations = state["observations"]
        for env, sub_state in zip(layer.envs, state["environments"], strict=True):
            chain.restore(env, sub_state)
