"""Target networks: slow copies of what is trained, moved after the optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from tensordict import TensorDictBase

from hookrl.errors import InvalidType, InvalidValue
from hookrl.hooks.base import TrainerHookBase, TrainerLike
from hookrl.hooks.pace import paced
from hookrl.hooks.weights import check_alike, parameters_and_buffers
from hookrl.state import Stateful, same_keys, snapshot


class TargetUpdate(TrainerHookBase):
    """Moves a target network towards its source: ``target ← target + tau · (source − target)``.

    With ``tau=1`` that is a copy (the hard update of Mnih et al. 2015), below it Polyak averaging
    (Lillicrap et al. 2016). Buffers, such as running statistics, are copied. The target keeps the
    weights that it is given with, so make it by ``copy.deepcopy(source)``; from then on they belong
    to this hook's state.

    Args:
        source: a module, or a TensorDict of parameters.
        target: one of the same structure.
        tau: share of the way that an update goes, above 0 and at most 1.
        every: optimization steps between updates.
        every_frames: collected frames between updates; one comes with the next optimization step
            after so many, and none before `every` steps. 0 or None: frames do not matter.

    Raises:
        InvalidValue: for a `tau` outside its range, or shapes that differ.
        MissingKey: if source and target have tensors of different names.
        InvalidType: for something that holds no parameters, or is its own target.
    """

    capturable = True

    def __init__(
        self,
        source: torch.nn.Module | TensorDictBase,
        target: torch.nn.Module | TensorDictBase,
        *,
        tau: float = 1.0,
        every: int = 1,
        every_frames: int | None = None,
    ) -> None:
        if not 0 < tau <= 1:
            raise InvalidValue(f"tau={tau} of TargetUpdate: expected above 0 and at most 1.")
        self.tau = tau
        self.every = every
        self.every_frames = every_frames
        averaged, copied = parameters_and_buffers(source)
        target_averaged, target_copied = parameters_and_buffers(target)
        check_alike(averaged, target_averaged, "the target of TargetUpdate")
        check_alike(copied, target_copied, "the target of TargetUpdate")
        if any(averaged[name] is tensor for name, tensor in target_averaged.items()):
            raise InvalidType(
                "the target of TargetUpdate shares weights with its source: expected a copy, as "
                "copy.deepcopy makes it."
            )
        # In the order of the source's names, whatever the target's is.
        self._sources = list(averaged.values())
        self._targets = [target_averaged[name] for name in averaged]
        self._source_buffers = list(copied.values())
        self._target_buffers = [target_copied[name] for name in copied]
        self._names = [*averaged, *copied]

    def register(self, trainer: TrainerLike, name: str = "target_update") -> None:
        """Hang the hook on ``post_optim``."""
        trainer.register_op("post_optim", self, name=name)
        trainer.register_module(name, self)

    @paced(every="every", every_frames="every_frames")
    @torch.no_grad()
    def __call__(self) -> None:
        """Move the target."""
        if self.tau == 1.0:
            torch._foreach_copy_(self._targets, self._sources)
        else:
            torch._foreach_lerp_(self._targets, self._sources, self.tau)
        for target, source in zip(self._target_buffers, self._source_buffers, strict=True):
            target.copy_(source)

    def state_dict(self) -> dict[str, Any]:
        """The weights of the target by name."""
        return {name: snapshot(tensor) for name, tensor in self._named().items()}

    @torch.no_grad()
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore the weights of the target in place.

        Raises:
            MissingKey: if names differ; nothing is changed then.
            InvalidValue: if shapes differ; nothing is changed then.
        """
        targets = self._named()
        check_alike(targets, state_dict, type(self).__name__)
        for name, target in targets.items():
            target.copy_(state_dict[name])

    def _named(self) -> dict[str, torch.Tensor]:
        return dict(zip(self._names, [*self._targets, *self._target_buffers], strict=True))


class TargetNetUpdaterHook(TrainerHookBase):
    """Steps one of torchrl's target updaters, `SoftUpdate` or `HardUpdate`, after the optimizer.

    The target's weights belong to the loss module; what the updater counts is this hook's state.

    Args:
        target_params_updater: any object with a method ``step()``.

    Raises:
        InvalidType: if it has none.
    """

    def __init__(self, target_params_updater: Any) -> None:
        if not callable(getattr(target_params_updater, "step", None)):
            raise InvalidType(
                f"target_params_updater is a {type(target_params_updater).__name__}: expected an "
                "object with a method step(), such as torchrl's SoftUpdate."
            )
        self.target_params_updater = target_params_updater

    def register(self, trainer: TrainerLike, name: str = "target_net_updater") -> None:
        """Hang the hook on ``post_optim``."""
        trainer.register_op("post_optim", self, name=name)
        trainer.register_module(name, self)

    def __call__(self, tensordict: TensorDictBase | None = None) -> None:
        """Let the updater count, and move the target when it is due; at any point."""
        self.target_params_updater.step()

    def state_dict(self) -> dict[str, Any]:
        """The state of the updater, if it has any."""
        updater = self.target_params_updater
        return snapshot(updater.state_dict()) if isinstance(updater, Stateful) else {}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore it.

        Raises:
            MissingKey: if the entries are not those of such an updater; nothing is changed then.
        """
        same_keys(state_dict, self.state_dict(), owner=type(self).__name__)
        if state_dict:
            self.target_params_updater.load_state_dict(snapshot(state_dict))
