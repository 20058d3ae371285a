"""What changes while a step is captured counts, as it does for the eager step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tensordict import TensorDict
from toys import ListCollector
from trainers.captured.compared import Change, Net, compare, data, once, trainer_of, weights
from trainers.captured.line import refused

from hookrl.hooks import MixedPrecision, NaNGuard, OptimizerHook, TargetUpdate, TrainerHookBase
from hookrl.hooks.nan_guard import NonFiniteLoss
from hookrl.trainers import Trainer

pytestmark = pytest.mark.usefixtures("interpreted")


def set_on_loss(name: str, value: Any) -> Change:
    return lambda trainer: setattr(trainer.loss_module, name, value)


def swap_weight(place: int) -> Change:
    def change(trainer: Trainer) -> None:
        weight = trainer.loss_module.net[place].weight
        weight.data = torch.full_like(weight, 0.1)

    return change


def move_buffer(trainer: Trainer) -> None:
    trainer.loss_module.shift.data = torch.tensor(-1.0)


def swap_optimizer(trainer: Trainer) -> None:
    trainer.modules["optimizer"].optimizer = torch.optim.Adam(
        trainer.loss_module.parameters(), lr=0.2
    )


def swap_layer(trainer: Trainer) -> None:
    trainer.loss_module.net[1] = torch.nn.ReLU()


def load_rate(trainer: Trainer) -> None:
    state = trainer.optimizer.state_dict()
    state["param_groups"][0]["lr"] = 0.0
    trainer.optimizer.load_state_dict(state)


def forget_one(trainer: Trainer) -> None:
    trainer.optimizer.state[trainer.loss_module.net[2].weight] = {}


CHANGES: dict[str, Change] = {
    "a whole number": set_on_loss("scale", 5.0),
    "a number that becomes None": set_on_loss("scale", None),
    "a tuple": set_on_loss("weights", (3.0, 1.0)),
    "another tensor": set_on_loss("coefficient", torch.tensor(4.0)),
    "a buffer that moves": move_buffer,
    "another buffer": set_on_loss("shift", torch.tensor(-1.0)),
    "frozen": lambda trainer: trainer.loss_module.net[0].requires_grad_(False),
    "the mode of an inner module": lambda trainer: trainer.loss_module.drop.train(),
    "a number of an inner module": lambda trainer: setattr(trainer.loss_module.drop, "p", 0.9),
    "another layer": swap_layer,
    "weights of the first layer": swap_weight(0),
    "weights of the last layer": swap_weight(2),
    "another optimizer": swap_optimizer,
    "a rate that is loaded": load_rate,
    "the state of one parameter": forget_one,
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_changes_between_batches_counts(change: Change) -> None:
    assert compare(lambda trainer: once(trainer, change)) is None


def test_what_changes_between_the_look_at_it_and_a_new_graph_counts() -> None:
    def of_two_lengths(loss: Net) -> ListCollector:
        batches = data()
        batches[2] = batches[2][:, :4]
        return ListCollector(batches)

    def prepare(trainer: Trainer) -> None:
        once(trainer, set_on_loss("scale", 5.0), "process_optim_batch", 7)

    assert compare(prepare, collector=of_two_lengths) is None


def test_what_is_trained_from_now_on_is_trained() -> None:
    def frozen() -> Net:
        loss = Net()
        loss.net[0].requires_grad_(False)
        return loss

    thaw = lambda trainer: trainer.loss_module.net[0].requires_grad_(True)  # noqa: E731
    assert compare(lambda trainer: once(trainer, thaw), frozen) is None


def test_numbers_of_a_wrapped_loss_count() -> None:
    found = []
    for compile in (False, True):
        loss = Net()
        wrapped = MixedPrecision(loss)
        optimizer = torch.optim.Adam(loss.parameters(), lr=0.05, eps=1.0)
        trainer = trainer_of(wrapped, compile=compile, optimizer=optimizer)
        once(trainer, lambda _, loss=loss: setattr(loss, "scale", 20.0))
        trainer.train()
        found.append(weights(loss))
    assert refused(trainer) is None
    for captured, eager in zip(found[1], found[0], strict=True):
        torch.testing.assert_close(captured, eager, rtol=0, atol=0.02)


class Weighing(TrainerHookBase):
    """Prepares weights in memory of all kinds, and multiplies observations by them."""

    capturable = True
    inputs = ("own",)

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.steps = 0

    def register(self, trainer: Any, name: str = "weighing") -> None:
        trainer.register_op("process_optim_batch", self, name=name)
        trainer.register_module(name, self)

    def prepare(self, trainer: Any) -> None:
        self.steps += 1
        generator = torch.Generator().manual_seed(self.steps)
        own = torch.rand(2, 5, generator=generator)
        odd = self.steps % 2 == 1
        if self.kind == "transposed" and odd:
            own = torch.rand(5, 2, generator=generator).t()
        elif self.kind == "expanded" and odd:
            own = torch.full((1,), 0.5).expand(2, 5)
        elif self.kind == "doubles" and odd:
            own = own.double()
        self.own = own

    def __call__(self, batch: Any) -> Any:
        batch = batch.copy()
        batch["observation"] = batch["observation"] * self.own[..., None].float()
        return batch


@pytest.mark.parametrize("kind", ["transposed", "expanded", "doubles"])
def test_what_hooks_prepare_may_lie_in_memory_as_it_likes(kind: str) -> None:
    assert compare(lambda trainer: Weighing(kind).register(trainer)) is None


@pytest.mark.parametrize("kind", ["transposed", "expanded", "doubles"])
def test_so_it_may_when_compiled(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert compare(lambda trainer: Weighing(kind).register(trainer)) is None


def test_an_entry_that_is_replaced_within_a_batch_counts() -> None:
    def halve(trainer: Trainer) -> None:
        seen: list[TensorDict] = []
        trainer.register_op("batch_process", seen.append)

        def change() -> None:
            seen[-1]["observation"] = seen[-1]["observation"] / 2

        trainer.register_op("post_optim", change)

    assert compare(halve) is None


class Feeding(Net):
    def forward(self, batch: Any) -> TensorDict:
        losses = super().forward(batch)
        before = batch.get("error", None)
        error = self.net(batch["observation"]).detach().abs()
        batch["error"] = error
        factor = 1 if before is None else 1 + before.mean()
        return losses.apply(lambda loss: loss * factor)


def test_what_the_loss_left_in_the_batch_a_step_before_counts() -> None:
    assert compare(make=Feeding) is None


def test_a_hook_that_removes_itself_within_a_batch_takes_none_with_it() -> None:
    def prepare(trainer: Trainer) -> None:
        Weighing("").register(trainer)
        handles: list[Any] = []

        def leave(batch: Any) -> None:
            handles[0].remove()

        handles.append(trainer.register_op("process_optim_batch", leave, name="leave", priority=-5))

    assert compare(prepare) is None


def test_a_captured_hook_that_is_removed_within_a_batch_stops() -> None:
    found = []
    for compile in (False, True):
        loss, target, calls = Net(), Net(), []
        trainer = trainer_of(loss, compile=compile)
        TargetUpdate(loss, target, tau=0.5).register(trainer)
        once(trainer, lambda t: t.remove_hook("target_update"), "post_optim", 4)
        trainer.register_op("post_optim", lambda calls=calls: calls.append(1), name="counts")
        trainer.train()
        found.append((weights(target), len(calls)))
    assert found[0][1] == found[1][1] == trainer.optim_steps
    for captured, eager in zip(found[1][0], found[0][0], strict=True):
        torch.testing.assert_close(captured, eager)


class EveryOther(OptimizerHook):
    def step(self, losses: Any, clip_grad_norm: bool, clip_norm: Any, optim_step: int) -> Any:
        if optim_step % 2:
            return losses
        return super().step(losses, clip_grad_norm, clip_norm, optim_step)


def test_an_optimizer_hook_that_does_something_else_is_not_captured() -> None:
    loss = Net()
    trainer = trainer_of(loss, compile=True, optimizer=None)
    EveryOther(torch.optim.Adam(loss.parameters())).register(trainer)
    with pytest.warns(UserWarning, match=r"'optimizer.backward' .* is neither an OptimizerHook"):
        trainer.train()


def test_a_step_that_is_refused_moves_no_target() -> None:
    loss, target = Net(), Net()
    trainer = trainer_of(loss, compile=True)
    NaNGuard().register(trainer)
    TargetUpdate(loss, target, tau=0.5).register(trainer)
    at_last: list[Any] = []

    def spoil(trainer: Trainer) -> None:
        at_last.append(weights(target))
        loss.coefficient.fill_(float("nan"))

    once(trainer, spoil)
    with pytest.raises(NonFiniteLoss):
        trainer.train()
    assert refused(trainer) is None
    assert all(torch.equal(a, b) for a, b in zip(weights(target), at_last[0], strict=True))
    assert not torch.equal(weights(target)[0], weights(Net())[0])


def test_a_run_that_became_eager_is_resumed_eager(tmp_path: Any) -> None:
    def build(batches: int) -> Trainer:
        loss = Net()
        trainer = trainer_of(loss, compile=True, collector=ListCollector(data(8)[-batches:]))

        def anneal() -> None:
            loss.scale = 1 / (1 + trainer.collected_frames)

        trainer.register_op("post_steps", anneal)
        return trainer

    whole = build(8)
    with pytest.warns(UserWarning, match=r"Net.scale changed 4 times"):
        whole.train()
    half = build(8)
    half.save_trainer_file = tmp_path / "half.pt"
    half.register_op("post_steps", half.request_stop, every=6)
    with pytest.warns(UserWarning, match=r"Net.scale changed 4 times"):
        half.train()
    resumed = build(2).load_from_file(tmp_path / "half.pt")
    resumed.loss_module.scale = 1 / (1 + resumed.collected_frames)
    with pytest.warns(UserWarning, match=r"settings changed 4 times"):
        resumed.train()
    assert all(
        torch.equal(a, b)
        for a, b in zip(weights(resumed.loss_module), weights(whole.loss_module), strict=True)
    )
