"""What of a step is captured, with the hooks as they are, and what runs around it."""

from __future__ import annotations

import contextlib
import functools
import operator
from collections.abc import Callable, Iterator
from typing import Any

import torch
from tensordict import TensorDictBase

from hookrl.batch_graph import Leaves, leaves_of
from hookrl.constants import Constants, Glance, are_same, values_in, values_of
from hookrl.graph import Graph, NotCapturable
from hookrl.hooks.optimizer import OptimizerHook
from hookrl.hooks.registration import Registration
from hookrl.purity import pure
from hookrl.tensordicts import holders
from hookrl.trainers.captured.optimizers import TracedAdam
from hookrl.trainers.captured.plan import Plan, make_plan
from hookrl.trainers.captured.repeat import Repeat, report_refusal
from hookrl.trainers.captured.traced import Outcome, TracedStep
from hookrl.trainers.captured.written import WritesIf
from hookrl.trainers.step import StepHost, checked_losses, prepare

_gradient_of = operator.attrgetter("grad")
_of_trainer = operator.attrgetter("clip_grad_norm", "clip_norm", "loss_module")


class Refused(Exception):
    """A step cannot be captured, though its sub-batch is drawn already.

    Its reason is None if that is true of this step alone.
    """

    def __init__(self, sub_batch: Any, reason: NotCapturable | None = None) -> None:
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
        # A loss may look at what it put into the batch a step before.
        self.needs_sub_batch = self.plan.needs_sub_batch or not self.selects
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
        self._select_calls = self._select.calls[self.plan.select]
        owners = {id(one.owner): one.owner for one in self.plan.captured}
        self._owners = list(owners.values())
        inner = (self._select, self._post_loss, self._optimizer, self._post_optim)
        self._has_foreign_hooks = any(
            type(one.owner).__module__.partition(".")[0] != "hookrl" and self._runs(one)
            for point in (*inner, self._post_optim_log)
            for one in point
        )
        """Whether hooks run that may do anything; hookrl's own leave all as it is."""
        self._calls = tuple(point.calls for point in inner)
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
        self._trained = [one for _, traced in self._optimizers for one in traced.parameters]
        self._device = self._trained[0].device
        self._on_device = self._device.type != "cpu"
        self._loss_module = trainer.loss_module
        self._constants = Constants([trainer.loss_module], self._owners)
        self._settings = [one for _, traced in self._optimizers for one in traced.settings]
        self._draw_noise = getattr(trainer.loss_module, "draw_noise", None)
        self._steps: dict[Any, dict[Any, list[TracedStep]]] = {}
        self._steps_of_layout: dict[Any, list[TracedStep]] = {}
        self._graphs: list[Graph] = []
        self._leaves: Leaves = []
        self._tensors: list[torch.Tensor] = []
        self.glance: Glance | None = None
        """Tells whether anything can have changed that graphs hold or read, once all are known."""
        self._holders: list[dict[str, Any]] | None = None
        self._entries: list[Any] = []
        """What `_holders` held when the leaves were looked up."""
        self._last: tuple[TensorDictBase, list[Any], TracedStep] | None = None
        """The last value, the layouts of what hooks had prepared for it, the graph for both."""
        self._is_alone = self.selects and not (
            self._has_foreign_hooks
            or self._selects_before
            or self._runs_after
            or self.needs_sub_batch
            or self._draw_noise is not None
            or self._on_device
        )
        """Whether between two graphs nothing runs but what hookrl's own hooks prepare."""
        self._repeat = Repeat(trainer, self.inputs, self.plan.guards)
        self.repeat: Repeat | None = None
        """Carries out the steps behind the one that has just run, if that is all they need."""

    def begin_to_glance(self) -> None:
        """Be told, from here on, whether anything can have changed."""
        optimizers = [traced for _, traced in self._optimizers]
        self.glance = self._constants.glance(
            [one for graph in self._graphs for one in graph.parameters],
            dictionaries=[
                *(vars(hook) for hook, _ in self._optimizers),
                *(entries for traced in optimizers for entries in traced.dictionaries),
            ],
            groups=[traced.param_groups for traced in optimizers],
            settings=self._settings,
            others=functools.partial(_of_trainer, self.trainer),
        )

    def settings(self) -> list[Any]:
        """Everything that the graph holds as a number, as it is now."""
        return [
            self.trainer.clip_grad_norm,
            self.trainer.clip_norm,
            values_of(self._settings),
            self._constants.settings(),
        ]

    def changed(self, before: list[Any], now: list[Any]) -> list[str]:
        """Names of the settings that differ."""
        names = ["clip_grad_norm", "clip_norm", "the settings of an optimizer"]
        # The last are those of modules and hooks.
        found = [n for n, one, other in zip(names, before, now, strict=False) if one != other]
        return found + self._constants.changed(before[-1], now[-1])

    def is_current(self) -> bool:
        """Whether modules, optimizers and all tensors are still the ones, where they were."""
        return (
            self.trainer.loss_module is self._loss_module
            and self._constants.has_same_parts
            and all(
                hook.optimizer is traced.optimizer and traced.is_current
                for hook, traced in self._optimizers
            )
            and all(graph.is_current for graph in self._graphs)
        )

    @property
    def has_run(self) -> bool:
        """Whether there has been a graph to run."""
        return bool(self._graphs)

    def serves(self, index: int) -> bool:
        """Whether step `index` of a batch by the graph is the step of now.

        It is not if a hook was removed within the batch, or somebody left gradients, to which this
        step's would be added.
        """
        if index and not self._has_foreign_hooks:
            return True
        select, post_loss, optimizer, post_optim = self._calls
        return (
            # Other tuples once one was removed.
            self._select.calls is select
            and self._post_loss.calls is post_loss
            and self._optimizer.calls is optimizer
            and self._post_optim.calls is post_optim
            and not self._has_gradients()
        )

    def _has_gradients(self) -> bool:
        """Whether there are gradients other than zero; looking at each takes twice as long."""
        try:
            return any(map(_gradient_of, self._trained))
        except RuntimeError:  # several numbers are neither true nor false
            return True

    def run(self, batch: Any, index: int) -> bool:
        """Carry out one step; False if there was nothing left to learn from.

        Raises:
            Refused: if it is not captured; its sub-batch is still to be learned from.
        """
        trainer, plan = self.trainer, self.plan
        value, self.repeat = batch, None
        try:
            prepare(trainer.prepare_calls, trainer)
            if self._selects_before:
                value = self._select.replace(batch, part=plan.select_before)
        except StopIteration:
            return False
        if self._select.calls is not self._calls[0]:  # a hook was removed just now
            raise Refused(self._selected(value))
        own, layouts, repeats = [], [], self._is_alone
        for owner, name in self.inputs:
            tensor = getattr(owner, name)
            if tensor is None:
                return False
            if not tensor.is_contiguous():
                tensor, repeats = tensor.contiguous(), False
            if repeats and getattr(owner, "varying", ()):
                repeats = False
            own.append(tensor)
            layouts.append((tensor.shape, tensor.dtype))
        if self._stand_in is not None:
            value = self._stand_in()
        last = self._last
        if last is not None and not (last[0] is value and self._has_same_leaves(value)):
            last = self._last = None
        if last is None and not value.batch_size.numel():
            return False
        seen = value
        if self._draw_noise is not None:  # which is for this step alone
            seen = value.copy()
            self._draw_noise(seen)
            last = self._last = None
        for _, optimizer in self._optimizers:
            optimizer.take_up_rates()
        if self._on_device:  # what the host prepared is not there yet
            own = [tensor.to(self._device, non_blocking=True) for tensor in own]
        if last is not None and last[1] == layouts:
            step = last[2]
        else:
            try:
                step = self._step_for(seen, own, layouts, index)
            except NotCapturable as error:
                raise Refused(self._selected(seen), error) from None
        if not step.run(own + self._tensors):
            report_refusal(trainer, plan.guards, step.losses(), index)
        trainer.count_captured_step(step.names, step.vector, step.losses)
        if repeats:
            self._repeat.step, self._repeat.leaves = step, self._tensors
            self.repeat = self._repeat
        sub_batch = step.sub_batch(value) if self.needs_sub_batch else None
        for place in plan.deferred:
            sub_batch = self._post_loss.replace(sub_batch, part=slice(place, place + 1))
        if self._runs_after:
            self._post_optim.run(part=plan.post_optim_after)
        if self.needs_sub_batch:
            self._post_optim_log.collect(sub_batch, trainer.log)
        return True

    def _runs(self, one: Registration) -> bool:
        """Whether anything of a hook runs at each step, beside the graph that it may be part of."""
        prepares = hasattr(one.owner, "prepare") or bool(getattr(one.owner, "inputs", ()))
        return prepares or one not in self.plan.captured

    def _selected(self, value: Any) -> Any:
        """The sub-batch as the captured operations select it, those that are left of them."""
        for call in self._select_calls:
            if call in self._select.calls:
                result = call(value)
                value = value if result is None else result
        return value

    def _has_same_leaves(self, value: TensorDictBase) -> bool:
        """Whether the value of the step before still has the same tensors."""
        if self.selects and not self._has_foreign_hooks:
            return True
        if self._holders is None:
            return are_same([leaf for _, leaf in leaves_of(value)], self._tensors)
        return are_same(values_in(self._holders), self._entries)

    def _step_for(
        self, value: TensorDictBase, own: list[torch.Tensor], layouts: list[Any], index: int
    ) -> TracedStep:
        """The graph for such a sub-batch.

        Args:
            value: what the first captured operation receives.
            own: what hooks have prepared, in the order of `inputs`.
            layouts: shapes and types of `own`.
            index: of the step.
        """
        if self._last is None or self._last[0] is not value:
            self._leaves = leaves_of(value)
            self._tensors = [leaf for _, leaf in self._leaves]
            self._holders = holders(value)
            self._entries = values_in(self._holders or ())
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
            (shape[1:] if place in self.varying else shape, dtype)
            for place, (shape, dtype) in enumerate(layouts)
        ]
        steps = self._steps_of_layout.setdefault((*self.varying, *fixed), [])
        found = next((one for one in steps if not self.varying or one.graph.fits(own)), None)
        if found is None:
            found = TracedStep(self, value, self._leaves, own, index)
            steps.append(found)
            self._graphs.append(found.graph)
            self.glance = None
        # A hook that runs before may have put other tensors into the same sub-batch.
        self._last = None if self._selects_before else (value, layouts, found)
        return found

    def body(self, value: TensorDictBase, index: int) -> Outcome:
        """What is traced: the captured part, as `EagerStep` would do it."""
        trainer, plan = self.trainer, self.plan
        sub_batch = self._select.replace(value, part=plan.select)
        with pure(trainer.loss_module):
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
        with contextlib.nullcontext() if permitted is None else WritesIf(permitted):
            self._post_optim.run(part=plan.post_optim)
        return Outcome(sub_batch, losses, permitted)

    @contextlib.contextmanager
    def tracing(self) -> Iterator[None]:
        """Put optimizers that can be traced in place, and leave no trace of that behind."""
        parts = [*self._owners, self.trainer.loss_module]
        kept = [(part, dict(vars(part))) for part in parts if hasattr(part, "__dict__")]
        losses = self.trainer.losses
        gradients = {p: p.grad for p in [*self._constants.parameters, *self._trained]}
        for parameter in gradients:
            parameter.grad = None
        for hook, traced in self._optimizers:
            hook.optimizer = traced  # type: ignore[assignment]
        try:
            yield
        finally:
            for owner, attributes in kept:
                vars(owner).clear()
                vars(owner).update(attributes)
            for parameter, gradient in gradients.items():
                parameter.grad = gradient
            for _, traced in self._optimizers:
                traced.permitted = None
            self.trainer.losses = losses
