"""The tiny trainer that users test their hooks with."""

import copy

import numpy as np
import pytest
import torch
from tensordict import TensorDict

from hookrl.errors import InvalidValue, MissingKey
from hookrl.hooks import LogLosses
from hookrl.objectives import GAE
from hookrl.testing import MemoryLogger, TinyCollector, TinyLoss, tiny_batch, tiny_trainer
from hookrl.testing.compare import difference, frozen


def stream(batches, **options):
    return torch.cat([tiny_batch(index, **options) for index in range(batches)], dim=1)


def test_a_batch_has_the_full_layout():
    assert set(tiny_batch().keys(True, True)) == {
        *("observation", "action", "done", "terminated", "truncated"),
        *(("next", key) for key in ("observation", "reward", "done", "terminated", "truncated")),
        ("collector", "traj_ids"),
    }


def test_batches_follow_on_each_other():
    assert (stream(3, steps=4) == stream(1, steps=12)).all()


def test_the_next_observation_is_the_following_row_except_at_the_end_of_an_episode():
    frames = stream(6)
    same = (frames["next", "observation"][:, :-1] == frames["observation"][:, 1:]).all(-1)
    assert (same == ~frames["next", "done"][:, :-1, 0]).all()


def test_episodes_end_in_both_ways():
    ends = stream(3)["next"]
    assert (ends["done"] == ends["terminated"] | ends["truncated"]).all()
    assert ends["terminated"][0].any()
    assert ends["truncated"][1].any()
    assert not (ends["terminated"] & ends["truncated"]).any()


def test_each_episode_has_a_trajectory_of_its_own():
    frames = stream(6)
    ids, done = frames["collector", "traj_ids"], frames["next", "done"][..., 0]
    assert ((ids[:, 1:] != ids[:, :-1]) == done[:, :-1]).all()
    assert not set(ids[0].tolist()) & set(ids[1].tolist())


def test_two_equal_batches_share_no_memory():
    one, two = tiny_batch(), tiny_batch()
    one.zero_()
    assert two["observation"].any()


@pytest.mark.parametrize("options", [{"index": -1}, {"envs": 0}, {"steps": 0}])
def test_a_batch_of_nothing_is_refused(options):
    with pytest.raises(InvalidValue, match="expected an index of at least 0"):
        tiny_batch(**options)


def test_the_collector_goes_on_where_it_was():
    one, two = TinyCollector(), TinyCollector()
    next(iter(one)), next(iter(one))
    two.load_state_dict(one.state_dict())
    assert (next(iter(one)) == next(iter(two))).all()
    assert (next(iter(two)) == tiny_batch(3)).all()


def test_the_collector_refuses_a_foreign_state():
    with pytest.raises(MissingKey, match="TinyCollector lacks 'position'"):
        TinyCollector().load_state_dict({})


def test_the_collector_gives_copies_of_a_batch_it_was_given():
    batch = tiny_batch(3)
    given = next(iter(TinyCollector(batch)))
    given.zero_()
    assert (batch == tiny_batch(3)).all()


def test_the_loss_depends_on_every_real_entry():
    loss, batch = TinyLoss(), tiny_batch()
    before = loss(batch)["loss_value"]
    batch["advantage"] = torch.ones(2, 4)
    assert loss(batch)["loss_value"] != before


def test_the_loss_takes_a_batch_without_numbers():
    batch = TensorDict({"action": torch.zeros(2, dtype=torch.long)}, [2])
    assert TinyLoss()(batch)["loss_value"].item() == 1.0


def test_the_trainer_trains_three_batches_and_both_parameters():
    trainer = tiny_trainer()
    trainer.train()
    assert (trainer.collected_frames, trainer.optim_steps) == (24, 6)
    assert trainer.loss_module.weight != 0.5
    assert trainer.loss_module.bias != 0.0


def test_two_trainers_train_alike():
    one, two = tiny_trainer(), tiny_trainer()
    one.train(), two.train()
    assert torch.equal(one.loss_module.weight, two.loss_module.weight)


def test_the_logger_keeps_a_row_for_every_batch():
    trainer = tiny_trainer()
    LogLosses().register(trainer)
    trainer.train()
    assert [frames for frames, row in trainer.logger.rows if "train/loss_value" in row] == [
        8,
        16,
        24,
    ]
    assert trainer.logger.closed


def test_the_trainer_takes_any_argument_of_a_trainer():
    logger, loss = MemoryLogger(), TinyLoss()
    trainer = tiny_trainer(
        loss_module=loss, optimizer=None, logger=logger, total_frames=8, optim_steps_per_batch=1
    )
    trainer.train()
    assert (trainer.logger, trainer.loss_module, trainer.optimizer) == (logger, loss, None)
    assert (trainer.collected_frames, trainer.optim_steps) == (8, 1)


def test_advantages_can_be_estimated_on_a_tiny_batch():
    batch = tiny_batch()
    batch["state_value"] = batch["next", "state_value"] = torch.zeros(2, 4, 1)
    assert GAE(0.9, 0.9)(batch)["advantage"].shape == (2, 4, 1)


@pytest.mark.parametrize(
    "value",
    [
        *(1, 1.5, True, "text", b"bytes", 1j, None, float("nan")),
        *(torch.tensor([1.0, float("nan")]), torch.tensor(3), torch.zeros(0, 2)),
        *(np.arange(3), np.array([np.nan]), np.array(["a"]), np.int64(3), np.float32("nan")),
        *({1, 2}, frozenset()),
        *([1, (2, 3)], {"a": {("b", "c"): torch.ones(2)}}, tiny_batch()),
        *(torch.Generator().manual_seed(3), np.random.default_rng(3)),
    ],
)
def test_a_value_is_the_same_as_its_copy(value):
    assert difference(frozen(value), frozen(copy.deepcopy(value))) is None


@pytest.mark.parametrize(
    ("one", "other", "where"),
    [
        (1, 1.0, "it"),
        (1, True, "it"),
        (torch.ones(2), torch.ones(2, dtype=torch.float64), "it"),
        (torch.ones(2), torch.ones(2, 1), "it"),
        (np.ones(2), np.zeros(2), "it"),
        ([1, 2], [1], "the length of it"),
        ({"a": 1}, {"b": 1}, "the names in it"),
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, "a/1/b"),
        ({("a", "b"): object()}, {("a", "b"): object()}, "a/b"),
    ],
)
def test_the_first_difference_is_found(one, other, where):
    assert difference(one, other).where == where


def test_a_copy_does_not_follow_what_it_was_taken_from():
    value = {"a": [torch.zeros(2)], "b": np.zeros(2), "c": tiny_batch()}
    before = frozen(value)
    value["a"][0] += 1
    assert difference(before, frozen(value)).where == "a/0"


def test_long_values_are_cut_in_what_is_told():
    found = difference(["x" * 200, 0], ["y", 0])
    assert len(found.one) == 80
    found = difference(torch.zeros(9), torch.ones(9))
    assert found.other == "tensor((9,): 1, 1, 1, 1, …)"
