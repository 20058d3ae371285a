"""`AsyncVectorEnv`: environments in other processes, reached through its `call()`.

A process steps its environment by a loop of gymnasium's, which answers no questions about itself:
in autoreset mode NEXT_STEP it remembers whether the next step is to be a reset. `WorkerEnv`, put
around the environment there, knows that too. After a snapshot was restored it answers two steps by
itself, so that the loop remembers what it should and gymnasium's buffers hold what was last shown.
"""

from __future__ import annotations

import io
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector.utils import create_empty_array

from hookrl.checkpoints.codec import decode, encode
from hookrl.envs.snapshots import chain
from hookrl.envs.snapshots.family import Declaration, Exact, weakest
from hookrl.envs.snapshots.recorder import ReplayDiffers
from hookrl.envs.snapshots.values import Unpackable, pack, unpack
from hookrl.errors import InvalidValue, UserError


class WorkerEnv(gym.Wrapper[Any, Any, Any, Any]):
    """Lets an environment in another process be snapshotted; must be the outermost wrapper there.

    ``AsyncVectorEnv([lambda: WorkerEnv(gym.make("Ant-v5"))] * 8)``
    """

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(chain.prepare(env))
        self.mail: bytes = b""
        """A snapshot to be checked or restored: `AsyncVectorEnv.set_attr` hands every process its
        own, which `call` cannot."""
        self._shown: Any = None
        self._ended = False
        self._answers: list[bool] = []
        """Steps to be answered from here, each by whether an episode ended."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        """Reset, or answer."""
        if self._answers:
            self._answers.pop(0)
            return self._shown, {}
        self._shown, info = self.env.reset(seed=seed, options=options)
        self._ended = False
        return self._shown, info

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Step, or answer."""
        if self._answers:
            return self._shown, 0.0, self._answers.pop(0), False, {}
        result = self.env.step(action)
        self._shown = result[0]
        self._ended = bool(result[2] or result[3])
        return result

    def declare(self) -> tuple[Any, ...]:
        """What can be done for the environment, and why it is no more."""
        return tuple(chain.declare(self.env))

    def take_bytes(self) -> bytes | str:
        """The snapshot, or why there is none: an error that is raised here ends the process."""
        try:
            state = {"env": chain.take(self.env), "shown": pack(self._shown), "ended": self._ended}
        except UserError as error:
            return str(error)
        return _to_bytes(state)

    def check_mail(self) -> str | None:
        """What is wrong with the snapshot in `mail`, if anything is."""
        try:
            chain.check(self.env, _from_bytes(self.mail)["env"])
        except UserError as error:
            return str(error)
        return None

    def restore_mail(self) -> str | None:
        """Restore the snapshot in `mail`; return what went wrong."""
        state = _from_bytes(self.mail)
        try:
            chain.restore(self.env, state["env"])
        except UserError as error:
            return str(error)
        self._shown, self._ended = unpack(state["shown"]), state["ended"]
        # The loop may still remember an end of before: it forgets that with the first of these.
        self._answers = [] if self._shown is None else [False, self._ended]
        return None


class AsyncVector(Exact):
    """The snapshots of all processes."""

    def declare(self, layer: Any) -> Declaration:
        """As much as the weakest process can do."""
        if layer.closed:
            return Declaration("impossible", f"{layer} is closed")
        if set(layer.get_attr("__module__")) != {WorkerEnv.__module__}:
            reason = f"the processes of {layer} do not put a WorkerEnv around their environments"
            return Declaration("impossible", reason)
        return weakest([Declaration(*declared) for declared in layer.call("declare")])

    def take(self, layer: Any) -> dict[str, Any]:
        """Ask every process."""
        if (declaration := self.declare(layer)).kind == "impossible":
            raise Unpackable(declaration.reason)
        answers = layer.call("take_bytes")
        for answer in answers:
            if isinstance(answer, str):
                raise Unpackable(answer)
        return {"processes": [_from_bytes(answer) for answer in answers]}

    def check(self, layer: Any, state: dict[str, Any]) -> None:
        """Let every process check its own."""
        if (declaration := self.declare(layer)).kind == "impossible":
            raise InvalidValue(f"{declaration.reason}: expected it to be snapshotted.")
        layer.set_attr("mail", [_to_bytes(process) for process in state["processes"]])
        for error in filter(None, layer.call("check_mail")):
            raise InvalidValue(error)

    def restore(self, layer: Any, state: dict[str, Any]) -> None:
        """Let every process restore its own, then take the two steps that they answer."""
        layer.set_attr("mail", [_to_bytes(process) for process in state["processes"]])
        for error in filter(None, layer.call("restore_mail")):
            raise ReplayDiffers(error)
        if state["processes"][0]["shown"] is not None:
            ignored = create_empty_array(layer.single_action_space, layer.num_envs, np.zeros)
            for _ in range(2):
                layer.step(ignored)


def _to_bytes(state: Any) -> bytes:
    skeleton, tensors = encode(state)
    file = io.BytesIO()
    torch.save({"skeleton": skeleton, "tensors": tensors}, file)
    return file.getvalue()


def _from_bytes(content: bytes) -> Any:
    loaded = torch.load(io.BytesIO(content), weights_only=True)
    return decode(loaded["skeleton"], loaded["tensors"])
