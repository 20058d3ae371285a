"""A captured step does what the eager one does, or says why not."""

from __future__ import annotations

import copy
import dataclasses
import functools
import warnings
from typing import Any

import pytest
import torch
from states import assert_same
from tensordict import TensorDict
from trainers.captured.line import Line, refused, toy
from trainers.captured.runs_captured import RUNS, build

from hookrl import graph
from hookrl.hooks import HookTiming, NaNGuard, OptimizerHook, TargetUpdate, TrainerHookBase
from hookrl.hooks.nan_guard import NonFiniteLoss
from hookrl.trainers import Trainer
from hookrl.trainers.captured.traced import TracedStep

each_run = pytest.mark.parametrize("name", RUNS)
interpreted = pytest.mark.usefixtures("interpreted")


def check_agreement(name: str) -> None:
    eager, captured = build(name), build(name, compile=True)
    eager.train()
    captured.train()
    assert refused(captured) is None
    assert captured.optim_steps == eager.optim_steps > 10
    weights = captured.loss_module.state_dict()
    for key, expected in eager.loss_module.state_dict().items():
        if isinstance(expected, torch.Tensor):
            torch.testing.assert_close(weights[key], expected, rtol=1e-4, atol=1e-5)
    metrics = {k: v for k, v in captured.metrics.latest.items() if not k.startswith("time/")}
    assert list(metrics) == [k for k in eager.metrics.latest if not k.startswith("time/")]
    for key, value in metrics.items():
        assert value == pytest.approx(eager.metrics.latest[key], rel=1e-3, abs=1e-5), key


@interpreted
@each_run
def test_it_agrees_with_the_eager_step(name: str) -> None:
    check_agreement(name)


@pytest.mark.parametrize(
    "name", ["ppo", "ppo, minibatches of any length", "dqn, returns of several steps"]
)
def test_it_agrees_when_compiled(name: str) -> None:
    check_agreement(name)


@interpreted
def test_minibatches_of_any_length_share_a_graph() -> None:
    trainer, lengths = build("ppo, minibatches of any length", compile=True), set()
    minibatches = trainer.modules["minibatches"]
    trainer.register_op("post_optim", lambda: lengths.add(len(minibatches._index)))
    made = []
    interpret = graph._compiled
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph, "_compiled", lambda *given: made.append(given) or interpret(*given))
        trainer.train()
    assert len(lengths) > 1
    assert len(made) == 2  # one of the step, one of the value estimation


@interpreted
def test_minibatches_of_one_frame_have_a_graph_of_their_own() -> None:
    trainer = build(
        "ppo",
        num_envs=1,
        steps_per_env=7,  # in minibatches of 2, 2, 2 and 1
        total_frames=21,
        normalize_advantage=False,
        compile=True,
    )
    lengths: dict[int, set[int]] = {}
    run = TracedStep.run

    def recorded(step: TracedStep, inputs: Any) -> bool:
        lengths.setdefault(id(step), set()).add(len(inputs[0]))
        return run(step, inputs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TracedStep, "run", recorded)
        trainer.train()
    assert refused(trainer) is None
    assert sorted(map(sorted, lengths.values())) == [[1], [2]]


@interpreted
@each_run
def test_a_resumed_run_goes_on_to_the_bit(name: str, tmp_path: Any) -> None:
    whole, half = build(name, compile=True), build(name, compile=True)
    half.save_trainer_file = tmp_path / "half.pt"
    half.register_op("post_steps", half.request_stop, every_frames=whole.total_frames // 2)
    whole.train()
    half.train()
    assert half.collected_frames < whole.collected_frames
    resumed = build(name, compile=True).load_from_file(tmp_path / "half.pt")
    resumed.train()
    state, expected = (_comparable(trainer.state_dict()) for trainer in (resumed, whole))
    assert_same(state, expected)


def _comparable(state: dict[str, Any]) -> dict[str, Any]:
    """What does not tell the time, and is no row that only the interrupted run had."""
    return {
        "counters": {k: v for k, v in state["counters"].items() if k != "last_save"},
        "loss_module": dict(state["loss_module"]),
        "optimizers": {k: v for k, v in state["modules"].items() if "optimizer" in k},
        "generators": state["generators"],
        "rng": state["collector"]["rng"],
    }


@interpreted
def test_hooks_around_it_run_in_their_order_and_see_the_sub_batch() -> None:
    trainer, seen = toy(1, 2), []
    trainer.register_op("process_optim_batch", lambda batch: seen.append("process_optim_batch"))
    trainer.register_op(
        "post_optim", lambda: seen.append(round(float(trainer.losses["loss_line"]), 3))
    )
    trainer.register_op("post_optim_log", lambda sub: seen.append(tuple(sub["error"].shape)))
    trainer.train()
    assert refused(trainer) is None
    assert seen[::3] == ["process_optim_batch"] * 2
    assert seen[2::3] == [(2, 5)] * 2
    assert seen[1] > seen[4]
    assert trainer.mean_losses["loss_line"] == pytest.approx((seen[1] + seen[4]) / 2, abs=1e-3)


class Entries(Line):
    """A loss module with entries of several types and shapes beside the loss."""

    def forward(self, batch: Any) -> TensorDict:
        losses = super().forward(batch)
        losses["rows"] = batch["error"]
        losses["most"] = batch["error"].max().double()
        losses["large"] = (batch["error"] > 1).sum()
        return losses


@interpreted
def test_losses_have_the_types_shapes_and_means_of_the_eager_step() -> None:
    captured, eager = toy(loss_module=Entries()), toy(loss_module=Entries())
    eager.step = eager.step._eager  # type: ignore[attr-defined]
    for trainer in (captured, eager):
        trainer.train()
    assert refused(captured) is None
    assert captured.losses is not None
    assert eager.losses is not None
    assert list(captured.losses.keys()) == list(eager.losses.keys())
    for name, expected in eager.losses.items():
        torch.testing.assert_close(captured.losses[name], expected)
        torch.testing.assert_close(
            torch.as_tensor(captured.mean_losses[name]).double(),
            torch.as_tensor(eager.mean_losses[name]).double(),
            rtol=1e-6,
            atol=1e-6,
        )


class Rows(TrainerHookBase):
    """Draws some rows: at once, or beforehand and only for a number of steps of each batch."""

    capturable = True

    def __init__(self, steps: int | None = None) -> None:
        self.inputs = () if steps is None else ("rows",)
        self.left = self.steps = steps or 0
        self.rows: torch.Tensor | None = None
        self.calls = 0

    def register(self, trainer: Any, name: str = "rows") -> None:
        trainer.register_op("pre_optim_steps", self.start, name=f"{name}.start")
        trainer.register_op("process_optim_batch", self, name=name)
        trainer.register_module(name, self)

    def start(self) -> None:
        self.left = self.steps

    def prepare(self, trainer: Any) -> None:
        self.left -= 1
        self.rows = torch.randint(2, (3,)) if self.left >= 0 else None

    def __call__(self, batch: Any) -> Any:
        self.calls += 1
        return batch[self.rows if self.inputs else torch.randint(2, (3,))]


@interpreted
def test_a_hook_that_draws_without_preparing_it_stays_outside_and_draws_each_time() -> None:
    trainer, rows = toy(2, 3), Rows()
    rows.register(trainer)
    trainer.train()
    assert refused(trainer) is None
    assert rows.calls == trainer.optim_steps == 6


@interpreted
def test_the_inner_loop_ends_when_nothing_was_prepared() -> None:
    trainer, rows = toy(2, 10), Rows(steps=4)
    rows.register(trainer)
    trainer.train()
    assert refused(trainer) is None
    assert rows.calls < trainer.optim_steps == 8


@interpreted
def test_a_target_is_moved_inside_and_one_that_is_not_always_due_outside() -> None:
    def check(every: int) -> torch.Tensor:
        line = Line()
        target = Line()
        trainer = toy(loss_module=line)
        TargetUpdate(line, target, tau=0.5, every=every).register(trainer)
        trainer.train()
        assert refused(trainer) is None
        return target.weight.detach()

    assert not torch.equal(check(1), check(2))


@interpreted
def test_a_loss_that_is_not_finite_stops_before_the_optimizer() -> None:
    trainer = toy(3, 1)
    NaNGuard().register(trainer)
    trainer.collector.batches[1]["observation"][0, 0, 0] = float("nan")
    weights: list[Any] = []
    trainer.register_op("post_steps", lambda: weights.append(trainer.loss_module.weight.tolist()))
    with pytest.raises(NonFiniteLoss, match="loss_line is nan"):
        trainer.train()
    assert trainer.optim_steps == 1
    assert trainer.loss_module.weight.tolist() == weights[-1]


@interpreted
def test_of_several_guards_one_is_enough_to_stop() -> None:
    class Permits(NaNGuard):
        @staticmethod
        def permits(losses: Any) -> torch.Tensor:
            return torch.tensor(True)

    for guards in ([NaNGuard(), Permits()], [Permits(), NaNGuard()]):
        trainer = toy(2, 1)
        for number, guard in enumerate(guards):
            guard.register(trainer, f"guard_{number}")
        trainer.collector.batches[1]["observation"][0, 0, 0] = float("nan")
        with pytest.raises(NonFiniteLoss, match="loss_line is nan"):
            trainer.train()
        assert refused(trainer) is None
        assert trainer.loss_module.weight.isfinite().all()


@interpreted
def test_a_trace_that_fails_after_the_backward_pass_leaves_no_gradients() -> None:
    trainer, seen = toy(1, 2), []
    trainer.loss_module.weight.register_post_accumulate_grad_hook(
        lambda weight: seen.append(float(weight.grad.sum()))
    )
    with pytest.warns(UserWarning, match="the optimization step is not captured"):
        trainer.train()
    assert trainer.optim_steps == len(seen) == 2


@interpreted
def test_a_setting_that_changes_is_captured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []
    original = graph.Graph.__init__
    monkeypatch.setattr(
        graph.Graph, "__init__", lambda self, *a: (made.append(1), original(self, *a))[0]
    )
    trainer = toy(4, 1)  # a second step would have what the first left in the batch
    trainer.register_op("post_steps", lambda: setattr(trainer.loss_module, "scale", 2.0))
    trainer.train()
    assert refused(trainer) is None
    assert len(made) == 2


def _move_weight(trainer: Trainer) -> None:
    weight = trainer.loss_module.weight
    weight.data = weight.data.clone()


def _load_optimizer(trainer: Trainer) -> None:
    optimizer = trainer.optimizer
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))


@interpreted
@pytest.mark.parametrize("swap", [_move_weight, _load_optimizer])
def test_tensors_that_were_swapped_for_others_are_learned(swap: Any) -> None:
    captured, eager = toy(), toy()
    eager.step = eager.step._eager  # type: ignore[attr-defined]
    for trainer in (captured, eager):
        trainer.register_op("post_steps", functools.partial(swap, trainer), name="swap")
        trainer.train()
    assert refused(captured) is None
    torch.testing.assert_close(captured.loss_module.weight, eager.loss_module.weight)


@interpreted
def test_a_setting_that_keeps_changing_is_named() -> None:
    trainer, scales = toy(8, 1), iter(range(2, 100))

    def change() -> None:
        trainer.loss_module.scale = float(next(scales))

    trainer.register_op("post_steps", change)
    with pytest.warns(UserWarning, match=r"not captured: Line.scale changed 4 times"):
        trainer.train()
    assert trainer.optim_steps == 8


@interpreted
def test_a_new_learning_rate_needs_no_new_graph() -> None:
    trainer = toy(2, 1)
    weights = []

    def freeze() -> None:
        weights.append(trainer.loss_module.weight.tolist())
        trainer.optimizer.param_groups[0]["lr"] = 0.0

    trainer.register_op("post_steps", freeze)
    trainer.train()
    assert weights[0] == weights[1] != [1.0, 1.0, 1.0]


@interpreted
def test_a_hook_that_comes_later_is_part_of_the_next_batch() -> None:
    trainer, calls = toy(3, 1), []

    def join() -> None:
        trainer.register_op("post_optim", lambda: calls.append(1), name="late")

    trainer.register_op("post_steps", join, once=True)
    trainer.train()
    assert len(calls) == 2


@interpreted
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda trainer: trainer.register_op("post_loss", lambda sub_batch: None, name="look"),
            "hook 'look' at 'post_loss' is neither capturable nor deferrable",
        ),
        (
            lambda trainer: trainer.register_op("optimizer", lambda *args: None, name="norms"),
            "hook 'norms' at 'optimizer' is neither an OptimizerHook",
        ),
        (
            lambda trainer: setattr(
                trainer.modules["optimizer"],
                "optimizer",
                torch.optim.SGD(trainer.loss_module.parameters(), lr=0.1),
            ),
            "is a SGD",
        ),
    ],
    ids=["post_loss", "optimizer", "SGD"],
)
def test_what_cannot_be_captured_is_named_and_steps_are_eager(change: Any, reason: str) -> None:
    trainer, eager = toy(), toy()
    eager.step = eager.step._eager  # type: ignore[attr-defined]
    for one in (trainer, eager):
        change(one)
    with pytest.warns(UserWarning, match=reason):
        trainer.train()
    eager.train()
    assert torch.equal(trainer.loss_module.weight, eager.loss_module.weight)


@interpreted
def test_a_loss_that_reads_numbers_is_eager_from_its_first_sub_batch_on() -> None:
    class Reading(Line):
        def forward(self, batch: Any) -> TensorDict:
            losses = super().forward(batch)
            return losses * 2 if losses["loss_line"].item() > 0 else losses

    trainer = toy(loss_module=Reading())
    samples: list[Any] = []
    trainer.register_op("process_optim_batch", lambda batch: samples.append(batch))
    with pytest.warns(UserWarning, match="not captured: .*[Dd]ata-?[Dd]ependent"):
        trainer.train()
    assert len(samples) == trainer.optim_steps == 12


@interpreted
def test_the_clock_hook_and_a_second_training_do_not_disturb_it() -> None:
    trainer = toy()
    HookTiming().register(trainer)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trainer.train()
    assert refused(trainer) is None


@interpreted
def test_nothing_of_a_trace_stays_in_the_hooks() -> None:
    trainer = toy(1, 1)
    hook = trainer.modules["optimizer"]
    assert isinstance(hook, OptimizerHook)
    optimizer = hook.optimizer
    trainer.train()
    assert hook.optimizer is optimizer
    assert trainer.loss_module.weight.grad is None
    assert set(optimizer.state_dict()["state"][0]) == {"step", "exp_avg", "exp_avg_sq"}
    assert dataclasses.is_dataclass(trainer.step._capture.plan)  # type: ignore[attr-defined]
