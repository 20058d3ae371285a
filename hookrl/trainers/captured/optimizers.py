"""Optimizers as tensor code: what `torch.optim` does between reading and writing numbers.

The state stays where the optimizer of torch keeps it, so its ``state_dict`` is what it always is.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch
from torch import Tensor

from hookrl.constants import Setting, are_same, parameters_of, values_in
from hookrl.graph import NotCapturable

CAPTURABLE = (torch.optim.Adam, torch.optim.AdamW)
_CONSTANTS = ("betas", "eps", "weight_decay", "maximize", "decoupled_weight_decay")


class TracedAdam:
    """Stands for an Adam or AdamW while a step is traced (Kingma & Ba, arXiv:1412.6980).

    Args:
        optimizer: the one that it stands for; it gets the state that its first step would make.

    Raises:
        NotCapturable: for another kind of optimizer, or an option that is not known here.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        if type(optimizer) not in CAPTURABLE:
            known = " or ".join(kind.__name__ for kind in CAPTURABLE)
            raise NotCapturable(
                f"its optimizer is a {type(optimizer).__name__}: expected torch's {known}"
            )
        if any(group.get("amsgrad") for group in optimizer.param_groups):
            raise NotCapturable("its optimizer has amsgrad=True, which is not captured")
        self.optimizer = optimizer
        self.param_groups = optimizer.param_groups
        self.permitted: Tensor | None = None
        """Whether the step is taken, bool ``[]``; None: it is."""
        self._is_adamw = isinstance(optimizer, torch.optim.AdamW)
        self._together: set[Tensor] | None = None
        """The parameters that every step updates."""
        self._steps: dict[Tensor, float] = {}
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                state = optimizer.state[parameter]
                if not state:
                    state.update(_first_state(parameter))
                self._steps[parameter] = float(state["step"])
                # Some of torch's forms of Adam count on the host, where a CUDA graph cannot.
                state["step"] = state["step"].to(parameter.device)
        # A captured step reads the rate from a tensor, so that it may change.
        self._rates = [_rate(group) for group in optimizer.param_groups]
        self._taken_up = [group["lr"] for group in optimizer.param_groups]
        self._state = optimizer.state
        self.parameters = self._parameters_now()
        """Those of all groups."""
        self._objects = values_in(self._state.values())
        self.dictionaries = [vars(optimizer), self._state, *self._state.values()]
        """Whose entries are looked at, groups aside: rates are written to them."""
        self.settings = [
            Setting(group, name, None, "the settings of an optimizer")
            for group in self.param_groups
            for name in _CONSTANTS
        ]
        """Those that a captured step holds on to."""

    @property
    def is_current(self) -> bool:
        """Whether parameters, groups and state are those that were there; loading brings others."""
        optimizer = self.optimizer
        return (
            optimizer.param_groups is self.param_groups
            and optimizer.state is self._state
            and are_same(values_in(self._state.values()), self._objects)
            and are_same(self._parameters_now(), self.parameters)
        )

    def _parameters_now(self) -> list[Tensor]:
        return [*itertools.chain.from_iterable(map(parameters_of, self.param_groups))]

    def take_up_rates(self) -> None:
        """Have the captured step use the learning rates of now."""
        for index, group in enumerate(self.param_groups):
            rate = group["lr"]
            if isinstance(rate, Tensor):
                if rate is not self._rates[index]:
                    self._rates[index].copy_(rate)
                self._taken_up[index] = None  # whatever number comes next is another
            elif rate != self._taken_up[index]:
                self._rates[index].fill_(rate)
                self._taken_up[index] = rate

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient.

        Raises:
            NotCapturable: if others had one in the step that was traced before.
        """
        together = {
            one for group in self.param_groups for one in group["params"] if one.grad is not None
        }
        if self._together not in (None, together):
            raise NotCapturable("other parameters have gradients with other entries of the batch")
        self._together = together
        for group, rate in zip(self.param_groups, self._rates, strict=True):
            corrections: dict[float, tuple[Tensor, Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.optimizer.state[parameter]
                if self.permitted is None:
                    state["step"].add_(1)
                else:
                    state["step"].add_(self.permitted)
                # Parameters that were always trained together share their corrections.
                taken = self._steps[parameter]
                if taken not in corrections:
                    corrections[taken] = _corrections(state["step"], group["betas"], rate)
                self._update(parameter, state, group, rate, *corrections[taken])

    def zero_grad(self) -> None:
        """Drop the gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def _update(
        self,
        parameter: Tensor,
        state: dict[str, Tensor],
        group: dict[str, Any],
        rate: Tensor,
        size: Tensor,
        spread: Tensor,
    ) -> None:
        gradient = parameter.grad
        assert gradient is not None
        beta1, beta2 = group["betas"]
        decay, value = group["weight_decay"], parameter.detach()
        decoupled = self._is_adamw or group.get("decoupled_weight_decay")
        if group["maximize"]:
            gradient = -gradient
        if decay and not decoupled:
            gradient = gradient + decay * value
        if decay and decoupled:
            value = value * (1 - rate * decay)
        mean = torch.lerp(state["exp_avg"], gradient, 1 - beta1)
        square = beta2 * state["exp_avg_sq"] + (1 - beta2) * gradient * gradient
        deviation = square.sqrt() * spread + group["eps"]
        value = value - size * (mean / deviation)
        for target, new in (
            (parameter, value),
            (state["exp_avg"], mean),
            (state["exp_avg_sq"], square),
        ):
            kept = new if self.permitted is None else torch.where(self.permitted, new, target)
            target.copy_(kept)


def _first_state(parameter: Tensor) -> dict[str, Tensor]:
    return {
        "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
        "exp_avg": torch.zeros_like(parameter, memory_format=torch.preserve_format),
        "exp_avg_sq": torch.zeros_like(parameter, memory_format=torch.preserve_format),
    }


def _corrections(step: Tensor, betas: tuple[float, float], rate: Tensor) -> tuple[Tensor, Tensor]:
    """The size of a step and the factor of deviations, for means that began at zero.

    Such a mean lacks ``1 - beta^step``. The power is an exponential, which the compiler computes
    once and for all parameters; with ``pow`` it does so again for every few of their numbers.
    """
    count = step.double()
    logarithms = (math.log(beta) if beta else -math.inf for beta in betas)
    first, second = (1 - torch.exp(count * logarithm) for logarithm in logarithms)
    return rate / first, second.rsqrt()


def _rate(group: dict[str, Any]) -> Tensor:
    """A tensor for the learning rate, beside the parameters."""
    device = group["params"][0].device
    if isinstance(group["lr"], Tensor) and group["lr"].device == device:
        return group["lr"]
    return torch.tensor(float(group["lr"]), dtype=torch.float64, device=device)
