"""MuJoCo environments: the integration state, and what was computed from it.

The integration state alone decides how the simulation goes on, but Ant and Humanoid read body
positions and forces of the last step before they make the next one. So every array in MjData's own
buffer is stored too. Contacts and constraint forces live in an arena, differ in number from step to
step, and are computed anew by `mj_step` before anything depends on them.
"""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from hookrl.envs.snapshots.attributes import Attributes
from hookrl.errors import InvalidValue


class Mujoco(Attributes):
    """MuJoCo's state, and the environment's other attributes."""

    def __init__(self) -> None:
        super().__init__(constants=("model", "data", "mujoco_renderer", "width", "height"))

    def obstacle(self, layer: Any) -> str | None:
        """Plugins and sleeping bodies have state that Python cannot set."""
        mujoco = _mujoco()
        if layer.model.nplugin:
            return "its model uses MuJoCo plugins"
        if layer.model.opt.enableflags & int(mujoco.mjtEnableBit.mjENBL_SLEEP):
            return "its bodies may fall asleep"
        return super().obstacle(layer)

    def take(self, layer: Any) -> dict[str, Any]:
        """Attributes, MuJoCo's state, and a digest of the model."""
        mujoco = _mujoco()
        everything = int(mujoco.mjtState.mjSTATE_INTEGRATION)
        integration = np.empty(mujoco.mj_stateSize(layer.model, everything))
        mujoco.mj_getState(layer.model, layer.data, integration, everything)
        return {
            "environment": super().take(layer),
            "model": _digest(layer.model),
            "integration": integration,
            "derived": b"".join(array.tobytes() for _, array in _buffer(layer.data)),
        }

    def check(self, layer: Any, state: dict[str, Any]) -> None:
        """Check that the model is the same, number by number."""
        super().check(layer, state["environment"])
        if state["model"] != _digest(layer.model):
            raise InvalidValue(
                f"the snapshot belongs to another MuJoCo model than that of {layer}: expected the "
                "same XML file, unchanged, and the same version of MuJoCo."
            )
        size = sum(array.nbytes for _, array in _buffer(layer.data))
        if len(state["derived"]) != size:
            raise InvalidValue(
                f"the snapshot has {len(state['derived'])} bytes of MuJoCo's data for {layer}: "
                f"expected {size}."
            )

    def restore(self, layer: Any, state: dict[str, Any]) -> None:
        """Set all of it, the derived arrays last."""
        mujoco = _mujoco()
        super().restore(layer, state["environment"])
        everything = int(mujoco.mjtState.mjSTATE_INTEGRATION)
        mujoco.mj_setState(layer.model, layer.data, state["integration"], everything)
        start = 0
        for _, array in _buffer(layer.data):
            stop = start + array.nbytes
            stored = np.frombuffer(state["derived"][start:stop], array.dtype)
            array[:] = stored.reshape(array.shape)
            start = stop


def _mujoco() -> Any:
    """The package, which is there if one of its environments is."""
    return importlib.import_module("mujoco")


def _buffer(data: Any) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays in MjData's own buffer, which begins with ``qpos``; those in its arena are not."""
    start = data.qpos.ctypes.data
    for name, array in _arrays(data):
        if 0 <= array.ctypes.data - start < data.nbuffer:
            yield name, array


def _digest(model: Any) -> str:
    """A hash of every number in a model that the simulation reads."""
    hashed = hashlib.blake2b(digest_size=16)
    for part in (model, model.opt):
        for name, array in _arrays(part):
            if not name.startswith("tex_"):  # pictures
                hashed.update(f"{name} {array.shape}".encode())
                hashed.update(array.tobytes())
    for name in dir(model.opt):
        if isinstance(value := getattr(model.opt, name), int | float):
            hashed.update(f"{name} {value!r}".encode())
    return hashed.hexdigest()


def _arrays(part: Any) -> Iterator[tuple[str, np.ndarray]]:
    """The non-empty arrays among the attributes of one of MuJoCo's structures."""
    for name in dir(part):
        if not name.startswith("_"):
            array = getattr(part, name)
            if isinstance(array, np.ndarray) and array.size:
                yield name, array
