"""Logs how large parameters and their gradients are."""

from __future__ import annotations

from typing import Any

import torch
from tensordict import TensorDictBase

from hookrl.errors import InvalidValue
from hookrl.hooks.base import TrainerHookBase, TrainerLike
from hookrl.hooks.pace import paced


class ParameterStatistics(TrainerHookBase):
    """Reports Euclidean norms: ``train/parameter_norm`` and ``train/gradient_norm``.

    The gradient is the one before clipping; of a `ScaledOptimizerHook` it carries the scale. The
    parameters are those after the step. Nothing is read from the device.

    Args:
        module: whose parameters.
        interval: frames between reports; each is about one optimization step.
        per_parameter: report every parameter as well, as ``train/parameter_norm/<name>``.

    Raises:
        InvalidValue: for an interval below 1, or a module without parameters that learn.
    """

    def __init__(
        self, module: torch.nn.Module, interval: int, *, per_parameter: bool = False
    ) -> None:
        if interval < 1:
            raise InvalidValue(f"interval={interval} of ParameterStatistics: expected at least 1.")
        self._named = {n: p for n, p in module.named_parameters() if p.requires_grad}
        if not self._named:
            raise InvalidValue(
                f"the {type(module).__name__} of ParameterStatistics has no parameters that learn: "
                "expected the module that is trained."
            )
        self.interval = interval
        self.per_parameter = per_parameter
        self._gradient_norms: dict[str, torch.Tensor] | None = None

    def register(self, trainer: TrainerLike, name: str = "parameter_statistics") -> None:
        """Look between backward and step at ``optimizer``; report at ``post_optim_log``."""
        trainer.register_op("optimizer", self.measure_gradients, name=f"{name}.measure")
        trainer.register_op("post_optim_log", self, name=name)
        trainer.register_module(name, self)

    @paced(every_frames="interval")
    def measure_gradients(
        self, losses: TensorDictBase, clip_grad_norm: bool, clip_norm: float | None, optim_step: int
    ) -> None:
        """Measure what there is before it is clipped and cleared."""
        gradients = {n: p.grad for n, p in self._named.items() if p.grad is not None}
        self._gradient_norms = _norms(gradients)

    def __call__(self, sub_batch: Any) -> dict[str, Any] | None:
        """Report, if gradients were measured in this step."""
        if self._gradient_norms is None:
            return None
        norms = {
            "train/parameter_norm": _norms({n: p.detach() for n, p in self._named.items()}),
            "train/gradient_norm": self._gradient_norms,
        }
        self._gradient_norms = None
        metrics: dict[str, Any] = {}
        for tag, by_name in norms.items():
            if by_name:
                metrics[tag] = torch.linalg.vector_norm(torch.stack(list(by_name.values())))
            if self.per_parameter:
                metrics.update({f"{tag}/{name}": norm for name, norm in by_name.items()})
        return metrics


def _norms(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    if not tensors:
        return {}
    return dict(zip(tensors, torch._foreach_norm(list(tensors.values())), strict=True))
