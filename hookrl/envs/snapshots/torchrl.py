"""torchrl's environments around gymnasium's, alone or behind transforms whose state is known.

What an environment showed last is no part of it: torchrl hands it to the next step in a TensorDict.
Batched environments keep copies in memory that they share, and are not supported.
"""

from __future__ import annotations

from typing import Any

from hookrl.envs.snapshots import chain
from hookrl.envs.snapshots.family import Declaration, Exact, Impossible
from hookrl.errors import InvalidValue

KNOWN_TRANSFORMS = frozenset(
    {
        # These keep what changes in the TensorDict, or keep nothing;
        *("StepCounter", "RewardSum", "InitTracker", "DoubleToFloat"),
        *("DTypeCastTransform", "ObservationNorm", "RewardScaling", "RewardClipping"),
        "VecNormV2",  # this one keeps all of it in its state_dict.
    }
)

UNSUPPORTED = Impossible("only torchrl's GymWrapper and TransformedEnv can be stored")


class Wrapped(Exact):
    """`GymWrapper` and `GymEnv`: the environment inside."""

    def prepare(self, layer: Any) -> None:
        """Prepare the environment inside."""
        layer._env = chain.prepare(layer._env)

    def declare(self, layer: Any) -> Declaration:
        """What can be done for the environment inside."""
        return chain.declare(layer._env)

    def take(self, layer: Any) -> dict[str, Any]:
        """Its snapshot."""
        return {"env": chain.take(layer._env)}

    def check(self, layer: Any, state: dict[str, Any]) -> None:
        """Check it."""
        chain.check(layer._env, state["env"])

    def restore(self, layer: Any, state: dict[str, Any]) -> None:
        """Bring it back."""
        chain.restore(layer._env, state["env"])


class Transformed(Exact):
    """`TransformedEnv`: the environment inside, and the state of known transforms."""

    def prepare(self, layer: Any) -> None:
        """Prepare the environment inside."""
        chain.prepare(layer.base_env)

    def declare(self, layer: Any) -> Declaration:
        """What can be done for the environment inside, if all transforms are known."""
        unknown = [name for name in _names(layer) if name not in KNOWN_TRANSFORMS]
        if unknown:
            return Declaration("impossible", f"the state of torchrl's {unknown[0]} is not known")
        return chain.declare(layer.base_env)

    def take(self, layer: Any) -> dict[str, Any]:
        """Return both."""
        return {
            "base": chain.take(layer.base_env),
            "transforms": _names(layer),
            "state": dict(layer.transform.state_dict()),
        }

    def check(self, layer: Any, state: dict[str, Any]) -> None:
        """Check the environment inside, and that the transforms are of the same classes."""
        chain.check(layer.base_env, state["base"])
        if state["transforms"] != _names(layer):
            raise InvalidValue(
                f"the snapshot has the transforms {', '.join(state['transforms'])}: expected "
                f"{', '.join(_names(layer))}."
            )

    def restore(self, layer: Any, state: dict[str, Any]) -> None:
        """Bring both back."""
        layer.transform.load_state_dict(state["state"])
        chain.restore(layer.base_env, state["base"])


def _names(layer: Any) -> list[str]:
    transforms = getattr(layer.transform, "transforms", [layer.transform])
    return [type(transform).__name__ for transform in transforms]
