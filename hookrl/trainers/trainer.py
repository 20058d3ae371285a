"""The loop: batches from a collector, optimization steps on each, and ten points for hooks.

Nothing here knows an algorithm. What PPO, DQN or SAC do hangs on the points of
`hookrl.hooks.points`; `Trainer.describe` shows what hangs where.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from tensordict import TensorDictBase

from hookrl.checkpoints import CheckpointStore
from hookrl.errors import InvalidType, InvalidValue, did_you_mean
from hookrl.hooks.optimizer import OptimizerHook
from hookrl.hooks.progress import ProgressBar
from hookrl.loggers import as_logger
from hookrl.state import integer_seed, seed_process
from hookrl.tensordicts import frame_mask, items
from hookrl.trainers.captured import CapturedStep, captures, check_compile
from hookrl.trainers.checkpointing import require_exact
from hookrl.trainers.describe import describe
from hookrl.trainers.host import call_method
from hookrl.trainers.metrics import MetricLog, RunningMeans
from hookrl.trainers.signals import ending_in_good_order
from hookrl.trainers.step import EagerStep, OptimizationStep, PrepareCalls
from hookrl.trainers.torchrl_names import TorchrlNames


class Trainer(TorchrlNames):
    """A nested loop of collected batches and optimization steps, made of hooks.

    Args:
        collector: an iterable of TensorDicts of shape ``[envs, time]``.
        total_frames: train until at least this many frames were collected.
        frame_skip: environment frames per collected step; frames are counted with it.
        optim_steps_per_batch: length of the inner loop at most; None: until a hook at
            ``process_optim_batch`` is exhausted or `end_inner_loop` is called.
        loss_module: any callable from a TensorDict to a TensorDict of ``loss_…`` entries.
        optimizer: optimizes the sum of all losses, through an `OptimizerHook`. None: hooks at
            ``optimizer`` do it.
        logger: a hookrl or torchrl logger; None logs nowhere.
        clip_grad_norm: True clips gradients by their total norm, False each value.
        clip_norm: the bound for either; None: no clipping.
        progress_bar: show one.
        seed: seeds the collector, every hook and the process-wide generators. Networks that the
            caller built are the caller's to seed.
        save_trainer_interval: frames between checkpoints; 0 or None: none but on request.
        log_interval: frames between rows of metrics; 0 or None logs nothing.
        save_trainer_file: where checkpoints go: a ``.pt`` file for the torch backend, a directory
            for torchsnapshot (environment variable ``CKPT_BACKEND``).
        checkpoints: a folder of checkpoints instead of one.
        save_in_background: go on while a checkpoint is written, from a copy of the state.
        save_errors: "raise" ends training when a checkpoint cannot be written, "warn" goes on.
        exact_resume: "require" refuses environments whose state cannot be saved, and to go on where
            other numbers may come out; "best" warns; "off" says nothing.
        train_time_limit: seconds after which training saves and ends in good order; None: none.
        compile: carry out optimization steps by a compiled graph of the same hooks, which takes
            seconds to be made and then less than half the time. What cannot be captured is a
            warning, and steps are as without. "auto": if enough steps are planned.

    Raises:
        InvalidValue: for counts below their minimum, unknown choices, two places for checkpoints,
            or exact_resume="require" with a collector that cannot resume exactly.
        InvalidType: for a collector or loss module of the wrong kind.
    """

    def __init__(
        self,
        *,
        collector: Iterable[TensorDictBase],
        total_frames: int,
        frame_skip: int = 1,
        optim_steps_per_batch: int | None,
        loss_module: Callable[[TensorDictBase], TensorDictBase],
        optimizer: Any = None,
        logger: Any = None,
        clip_grad_norm: bool = True,
        clip_norm: float | None = None,
        progress_bar: bool = True,
        seed: int | None = None,
        save_trainer_interval: int | None = 10_000,
        log_interval: int | None = 10_000,
        save_trainer_file: str | Path | None = None,
        checkpoints: CheckpointStore | None = None,
        save_in_background: bool = False,
        save_errors: Literal["raise", "warn"] = "raise",
        exact_resume: Literal["require", "best", "off"] = "best",
        train_time_limit: float | None = None,
        compile: bool | Literal["auto"] = False,
    ) -> None:
        _at_least(1, total_frames=total_frames, frame_skip=frame_skip)
        _at_least(
            0,
            optional=True,
            optim_steps_per_batch=optim_steps_per_batch,
            save_trainer_interval=save_trainer_interval,
            log_interval=log_interval,
        )
        if clip_norm is not None and not (isinstance(clip_norm, int | float) and clip_norm > 0):
            raise InvalidValue(
                f"clip_norm={clip_norm!r} for a Trainer: expected a positive number or None."
            )
        if not isinstance(collector, Iterable):
            raise InvalidType(
                f"collector is a {type(collector).__name__}: expected an iterable of TensorDicts."
            )
        if not callable(loss_module):
            raise InvalidType(
                f"loss_module is a {type(loss_module).__name__}: expected a callable from a "
                "TensorDict to a TensorDict."
            )
        check_compile(compile, "Trainer")
        check_choice("save_errors", save_errors, ("raise", "warn"))
        check_choice("exact_resume", exact_resume, ("require", "best", "off"))
        if save_trainer_file is not None and checkpoints is not None:
            raise InvalidValue(
                "save_trainer_file and checkpoints for a Trainer: expected at most one place for "
                "checkpoints."
            )
        if exact_resume == "require":
            require_exact(collector)
        super().__init__(seed)
        self.collector = collector
        self.total_frames = total_frames
        self.frame_skip = frame_skip
        self.optim_steps_per_batch = optim_steps_per_batch
        self.loss_module = loss_module
        self.optimizer = optimizer
        self.logger = as_logger(logger)
        self.clip_grad_norm = clip_grad_norm
        self.clip_norm = clip_norm
        self.save_trainer_interval = save_trainer_interval or 0
        self.save_trainer_file = save_trainer_file
        self.checkpoints = checkpoints
        self.save_in_background = save_in_background
        self.save_errors = save_errors
        self.exact_resume = exact_resume
        self.train_time_limit = train_time_limit
        self.last_save = 0
        self.config: Mapping[str, Any] | None = None
        self.replay_buffer: Any = None

        self.optim_steps = 0
        self.recaptures = 0
        self._losses: TensorDictBase | Callable[[], TensorDictBase] | None = None
        self.stop_reason: str | None = None
        self.inner_loop_end_reason: str | None = None
        self.step: OptimizationStep = EagerStep(self._itself)
        frames_per_batch = getattr(collector, "frames_per_batch", total_frames)
        if captures(compile, total_frames, frames_per_batch, optim_steps_per_batch or 0):
            self.step = CapturedStep(self._itself, warns=compile is True)
        self.metrics = MetricLog(self.logger, log_interval or 0)
        self._inner_losses = RunningMeans()
        self.prepare_calls: PrepareCalls = ()
        self._batch_start_calls: list[Callable[[], None]] = []
        self._seed_process = True
        self._started: list[Any] = []
        self._stop = False
        self._inner_loop_ended = False

        self.seed = seed
        if seed is not None and hasattr(collector, "set_seed"):
            # torchrl's collectors take 32 bits, and have reset their environments already.
            collector.set_seed(integer_seed(self.seeds.sequence("collector")) % 2**31)
            if hasattr(collector, "reset"):
                collector.reset()
        if optimizer is not None:
            OptimizerHook(optimizer).register(self)
        if progress_bar:
            ProgressBar().register(self)

    # ------------------------------------------------------------------ the loop

    def train(self) -> None:
        """Train until `total_frames` were collected, a hook asks to stop, or the data ends.

        With a place for checkpoints, SIGINT and SIGTERM end training after the current batch, save,
        and then do what they always do; a second one kills the process at once.
        """
        with self._good_order(), self._hooks_around_training():
            for batch in self._batches():
                self._count_frames(batch)
                batch = self.hooks["batch_process"].replace(batch)
                self.hooks["pre_steps_log"].collect(batch, self.log)
                self.optimize(batch)
                self.hooks["post_steps"].run()
                self.hooks["post_steps_log"].collect(batch, self.log)
                self._write_metrics()
                self.save_trainer()

    def optimize(self, batch: TensorDictBase) -> None:
        """Run the inner loop on one batch."""
        self._inner_loop_ended = False
        self._inner_losses.clear()
        self.hooks["pre_optim_steps"].run()
        index = 0
        while not self._inner_loop_ended and index != self.optim_steps_per_batch:
            if not self.step(batch, index):
                break
            index += 1

    def _write_metrics(self) -> None:
        """Write a row if one is due, and show it to the hooks that ask for it, before a save."""
        row = self.metrics.write(self.collected_frames)
        if row:
            for call in self.hook_methods("on_metrics", row):
                call()

    def _batches(self) -> Iterator[TensorDictBase]:
        """Batches, for as long as training should go on."""
        source = iter(self.collector)
        limit, start = self.train_time_limit, time.monotonic()
        while not self._stop and self.collected_frames < self.total_frames:
            if self.hooks.stale:
                self._take_up_hooks()
            for call in self._batch_start_calls:
                call()
            try:
                batch = next(source)
            except StopIteration:
                self.stop_reason = "the collector has no more batches"
                return
            yield batch
            if limit is not None and time.monotonic() - start >= limit:
                self.request_stop(f"the time limit of {limit:g} s was reached")

    def _count_frames(self, batch: TensorDictBase) -> None:
        if not isinstance(batch, TensorDictBase):
            raise InvalidType(
                f"the collector gave a {type(batch).__name__}: expected TensorDicts of shape "
                "[envs, time]."
            )
        mask = frame_mask(batch)
        steps = batch.batch_size.numel() if mask is None else int(mask.sum())
        self.collected_frames += steps * self.frame_skip

    @contextlib.contextmanager
    def _hooks_around_training(self) -> Iterator[None]:
        """Start, end, failure and teardown of training: the methods of hooks that are no points."""
        failure: BaseException | None = None
        try:
            if self._seed_process and self.seed is not None:
                # Not before: what else happens in between must not matter to this run.
                seed_process(self.seeds.sequence("process"))
            self._seed_process = False
            self._take_up_hooks()
            self.check_exactness()
            yield
            if self._saves and not 0 < self.collected_frames == self.last_save:
                # Before the last row, which a run that is prolonged writes when it is due.
                self.save_trainer(force_save=True)
            self.metrics.write(self.collected_frames, force=True)
            self.call_methods("on_train_end")
            self.metrics.write(self.collected_frames, force=True)
            self.finish_saving()
        except BaseException as error:
            failure = error
            raise
        finally:
            self._started.clear()
            self._teardown(failure)

    def _good_order(self) -> contextlib.AbstractContextManager[None]:
        """Signals end training in good order if there is something to be saved by that."""
        return ending_in_good_order(self.request_stop) if self._saves else contextlib.nullcontext()

    @property
    def _saves(self) -> bool:
        return self.save_trainer_file is not None or self.checkpoints is not None

    def _take_up_hooks(self) -> None:
        """Fix the order of the hooks and start those that are new, before a batch."""
        self.complete_modules()
        self.hooks.resolve()
        self.step.reset()
        for hook in self.hook_objects():
            if not any(hook is other for other in self._started):
                self._started.append(hook)
                if callable(getattr(hook, "on_train_start", None)):
                    call_method(hook, "on_train_start", self._itself)
        self._batch_start_calls = self.hook_methods("on_batch_start")
        self.prepare_calls = tuple(
            (hook, hook.prepare)
            for hook in self.inner_hooks()
            if callable(getattr(hook, "prepare", None))
        )

    def _teardown(self, failure: BaseException | None) -> None:
        """Tear down every hook, the logger and the collector, whatever any of them raises."""
        actions: list[Callable[[], Any]] = []
        if failure is not None:
            actions.append(lambda: self.metrics.write(self.collected_frames, force=True))
            actions += self.hook_methods("on_exception", failure)
        actions += self.hook_methods("teardown")
        actions += [c for c in (_closer(self.logger), _closer(self.collector)) if c is not None]
        errors: list[BaseException] = []
        for action in actions:
            try:
                action()
            except BaseException as error:
                errors.append(error)
        primary = failure or (errors[0] if errors else None)
        for late in errors:
            if primary is not None and late is not primary:
                primary.add_note(f"teardown failed as well: {type(late).__name__}: {late}")
        if failure is None and primary is not None:
            raise primary

    def describe(self) -> str:
        """Return the loop with every hook where it hangs, in order, with its cadence."""
        return describe(self)

    # ------------------------------------------------------- what hooks may call

    @property
    def losses(self) -> TensorDictBase | None:
        """The losses of the current step: live until the optimizer has run, then detached."""
        if callable(self._losses):
            self._losses = self._losses()
        return self._losses

    @losses.setter
    def losses(self, losses: TensorDictBase | None) -> None:
        self._losses = losses

    @property
    def mean_losses(self) -> dict[str, Any]:
        """Mean of every entry of the losses over the current inner loop.

        Numbers for what is on the host, else tensors on their device.
        """
        return self._inner_losses.means()

    def request_stop(self, reason: str | None = None) -> None:
        """End training in good order after the current batch."""
        self._stop = True
        self.stop_reason = reason

    def end_inner_loop(self, reason: str | None = None) -> None:
        """End the inner loop after ``post_optim_log``, or before its first step.

        The last `reason` is kept in `inner_loop_end_reason`.
        """
        self._inner_loop_ended = True
        self.inner_loop_end_reason = reason

    def record_losses(self, losses: TensorDictBase) -> None:
        """Count the detached losses of one step into `mean_losses`."""
        # torchrl's losses report some diagnostics by element.
        self._inner_losses.add(
            {k: v.double().mean() if v.ndim and v.numel() != 1 else v for k, v in items(losses)}
        )

    def count_captured_step(
        self,
        names: tuple[str, ...],
        values: torch.Tensor,
        losses: Callable[[], TensorDictBase],
    ) -> None:
        """Count a captured step and its losses, float64 ``[names]``, that `losses` names."""
        self.optim_steps += 1
        self._inner_losses.add_vector(names, values)
        self._losses = losses

    def log(self, metrics: Mapping[str, Any]) -> None:
        """Take in metrics; they are averaged until the next row is written.

        The reserved entry ``log_pbar`` says whether the others show on the progress bar.
        """
        self._log_dict.remember(metrics)
        self.metrics.add(metrics)

    @property
    def progress(self) -> dict[str, float]:
        """The metrics of the last row that are to show on the progress bar."""
        return self.metrics.progress


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise InvalidValue unless `value` is one of `choices`."""
    if value not in choices:
        raise InvalidValue(
            f"{name}={value!r} for a Trainer{did_you_mean(str(value), choices)}: expected one of "
            f"{', '.join(choices)}."
        )


def _closer(part: Any) -> Any:
    """How a logger or collector is closed, if it can be."""
    return getattr(part, "shutdown", None) or getattr(part, "close", None)


def _at_least(minimum: int, *, optional: bool = False, **counts: Any) -> None:
    for name, count in counts.items():
        whole = isinstance(count, int) and not isinstance(count, bool)
        if not (count is None and optional) and not (whole and count >= minimum):
            raise InvalidValue(
                f"{name}={count!r} for a Trainer: expected a whole number of at least {minimum}"
                f"{' or None' if optional else ''}."
            )
