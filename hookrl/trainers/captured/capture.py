"""What of a step is captured, with the hooks as they are, and what runs around it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from tensordict import TensorDictBase

from hookrl.batch_graph import Leaves, leaves_of
from hookrl.graph import Graph, NotCapturable
from hookrl.hooks.optimizer import OptimizerHook
from hookrl.trainers.captured.optimizers import TracedAdam
from hookrl.trainers.captured.plan import Plan, make_plan
from hookrl.trainers.captured.traced import Outcome, TracedStep
from hookrl.trainers.step import StepHost, checked_losses


class Refused(Exception):
    """A step cannot be captured, though its sub-batch is drawn already."""

    def __init__(self, sub_batch: Any, reason: NotCapturable) -> None:
        super().__init__(str(reason))
        self.sub_batch = sub_batch
        self.reason = reason


class Capture:
    """The captured part of the step as the hooks are now.

    Args:
        trainer: whose step it is.

    Raises:
        NotCapturable: if a hook or optimizer cannot be captured.
    """

    def __init__(self, trainer: StepHost) -> None:
        self.trainer = trainer
        hooks = trainer.hooks
        self.plan: Plan = make_plan(hooks)
        self.selects = self.plan.select.start != self.plan.select.stop
        self.needs_sub_batch = self.plan.needs_sub_batch
        self._selects_before = bool(hooks["process_optim_batch"].calls[self.plan.select_before])
        self._runs_after = bool(hooks["post_optim"].calls[self.plan.post_optim_after])
        self._select = hooks["process_optim_batch"]
        first = self.plan.captured[0].owner if self.selects else None
        self._stand_in: Callable[[], TensorDictBase] | None = getattr(first, "stand_in", None)
        """What the first captured operation receives, if that is not the batch."""
        self._post_loss = hooks["post_loss"]
        self._optimizer = hooks["optimizer"]
        self._post_optim = hooks["post_optim"]
        self._post_optim_log = hooks["post_optim_log"]
        owners = {id(one.owner): one.owner for one in self.plan.captured}
        self._owners = list(owners.values())
        self.inputs = [
            (owner, name) for owner in self._owners for name in getattr(owner, "inputs", ())
        ]
        self.varying: list[int] = []
        """Places of the `inputs` whose length varies from step to step."""
        self._optimizers: list[tuple[OptimizerHook, TracedAdam]] = []
        for owner in self._owners:
            if isinstance(owner, OptimizerHook):
                try:
                    self._optimizers.append((owner, TracedAdam(owner.optimizer)))
                except NotCapturable as error:
                    raise NotCapturable(f"hook {type(owner).__name__}: {error}") from None
        groups = self._optimizers[0][1].param_groups
        self._device: torch.device = groups[0]["params"][0].device
        self._on_device = self._device.type != "cpu"
        numbers = [
            (part, name)
            for part in (trainer.loss_module, *self._owners)
            for name, value in getattr(part, "__dict__", {}).items()
            if isinstance(value, float | str) or (isinstance(value, bool) and name[0] != "_")
        ]
        self._numbers = [(vars(part), name) for part, name in numbers]
        self.setting_names = [
            *("clip_grad_norm", "clip_norm"),
            *("the settings of an optimizer" for _ in self._optimizers),
            *(f"{type(part).__name__}.{name}" for part, name in numbers),
        ]
        """What each of `settings` is called."""
        self._draw_noise = getattr(trainer.loss_module, "draw_noise", None)
        self._steps: dict[Any, dict[Any, list[TracedStep]]] = {}
        self._steps_of_layout: dict[Any, list[TracedStep]] = {}
        self._graphs: list[Graph] = []
        self._leaves: Leaves = []
        self._tensors: list[torch.Tensor] = []
        self._last: tuple[TensorDictBase, list[torch.Size], TracedStep] | None = None
        """The last value, the shapes of what hooks had prepared for it, and the graph for both."""

    def settings(self) -> list[Any]:
        """Everything that the graph holds as a number, as it is now."""
        return [
            self.trainer.clip_grad_norm,
            self.trainer.clip_norm,
            *[optimizer.constants for _, optimizer in self._optimizers],
            *[attributes[name] for attributes, name in self._numbers],
        ]

    def is_current(self) -> bool:
        """Whether all tensors are still where they were."""
        return all(traced.is_current for _, traced in self._optimizers) and all(
            graph.is_current for graph in self._graphs
        )

    def run(self, batch: Any, index: int) -> bool:
        """Carry out one step; False if there was nothing left to learn from.

        Raises:
            Refused: if it cannot be captured; its sub-batch is still to be learned from.
        """
        trainer, plan = self.trainer, self.plan
        try:
            for prepare in trainer.prepare_calls:
                prepare()
            value = batch
            if self._selects_before:
                value = self._select.replace(batch, part=plan.select_before)
        except StopIteration:
            return False
        own, shapes = [], []
        for owner, name in self.inputs:
            tensor = getattr(owner, name)
            if tensor is None:
                return False
            own.append(tensor)
            shapes.append(tensor.shape)
        if self._stand_in is not None:
            value = self._stand_in()
        last = self._last
        if last is not None and last[0] is not value:
            last = None
        if last is None and not value.batch_size.numel():
            return False
        if self._draw_noise is not None:
            self._draw_noise(value)
        for _, optimizer in self._optimizers:
            optimizer.take_up_rates()
        if self._on_device:  # what the host prepared is not there yet
            own = [tensor.to(self._device, non_blocking=True) for tensor in own]
        if last is not None and last[1] == shapes:
            step = last[2]
        else:
            try:
                step = self._step_for(value, own, shapes, index)
            except NotCapturable as error:
                raise Refused(self._select.replace(value, part=plan.select), error) from None
        step(own + self._tensors)
        if step.permitted is not None and not step.permitted:
            self._report_refusal(step.losses(), index)
        trainer.record_loss_vector(step.names, step.vector, step.losses)
        trainer.optim_steps += 1
        sub_batch = step.sub_batch(value) if self.needs_sub_batch else None
        for place in plan.deferred:
            sub_batch = self._post_loss.replace(sub_batch, part=slice(place, place + 1))
        if self._runs_after:
            self._post_optim.run(part=plan.post_optim_after)
        if self.needs_sub_batch:
            self._post_optim_log.collect(sub_batch, trainer.log)
        return True

    def _step_for(
        self, value: TensorDictBase, own: list[torch.Tensor], shapes: list[torch.Size], index: int
    ) -> TracedStep:
        """The graph for such a sub-batch.

        Args:
            value: what the first captured operation receives.
            own: what hooks have prepared, in the order of `inputs`.
            shapes: of `own`.
            index: of the step.
        """
        if self._last is None or self._last[0] is not value:
            self._leaves = leaves_of(value)
            self._tensors = [leaf for _, leaf in self._leaves]
            layout = tuple(
                (key, leaf.shape, leaf.stride(), leaf.dtype) for key, leaf in self._leaves
            )
            self._steps_of_layout = self._steps.setdefault((value.batch_size, layout), {})
            self.varying = [
                place
                for place, (owner, name) in enumerate(self.inputs)
                if name in getattr(owner, "varying", ())
            ]
        fixed = [
            shape[1:] if place in self.varying else shape for place, shape in enumerate(shapes)
        ]
        steps = self._steps_of_layout.setdefault((*self.varying, *fixed), [])
        found = next((one for one in steps if not self.varying or one.graph.fits(own)), None)
        if found is None:
            found = TracedStep(self, value, self._leaves, own, index)
            steps.append(found)
            self._graphs.append(found.graph)
        # A hook that runs before may have put other tensors into the same sub-batch.
        self._last = None if self._selects_before else (value, shapes, found)
        return found

    def body(self, value: TensorDictBase, index: int) -> Outcome:
        """What is traced: the captured part, as `EagerStep` would do it."""
        trainer, plan = self.trainer, self.plan
        sub_batch = self._select.replace(value, part=plan.select)
        losses = trainer.losses = checked_losses(trainer.loss_module(sub_batch))
        for place in plan.post_loss:
            sub_batch = self._post_loss.replace(sub_batch, part=slice(place, place + 1))
        permitted: torch.Tensor | None = None
        for guard in plan.guards:
            answer = guard.owner.permits(losses)
            permitted = answer if permitted is None else permitted & answer
        for _, optimizer in self._optimizers:
            optimizer.permitted = permitted
        arguments = trainer.clip_grad_norm, trainer.clip_norm, index
        guards = {guard.name for guard in plan.guards}
        for place, registration in enumerate(self._optimizer):
            if registration.name not in guards:
                part = slice(place, place + 1)
                losses = self._optimizer.replace(losses, *arguments, part=part)
        trainer.losses = losses = losses.detach()
        self._post_optim.run(part=plan.post_optim)
        return Outcome(sub_batch, losses, permitted)

    @contextlib.contextmanager
    def tracing(self) -> Iterator[None]:
        """Put optimizers that can be traced in place, and leave no trace of that behind."""
        parts = [*self._owners, self.trainer.loss_module]
        kept = [(part, dict(vars(part))) for part in parts if hasattr(part, "__dict__")]
        losses = self.trainer.losses
        for hook, traced in self._optimizers:
            hook.optimizer = traced  # type: ignore[assignment]
        try:
            yield
        finally:
            for owner, attributes in kept:
                vars(owner).clear()
                vars(owner).update(attributes)
            for _, traced in self._optimizers:
                traced.zero_grad()
                traced.permitted = None
            self.trainer.losses = losses

    def _report_refusal(self, losses: TensorDictBase, index: int) -> None:
        """Have the guards say what is wrong with a step that was not taken."""
        arguments = losses, self.trainer.clip_grad_norm, self.trainer.clip_norm, index
        for guard in self.plan.guards:
            guard.op(*arguments)
