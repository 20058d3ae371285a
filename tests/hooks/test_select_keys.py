import pytest
import torch
from toys import make_batch, make_trainer

from hookrl.errors import InvalidType, InvalidValue, MissingKey
from hookrl.hooks import CountFramesLog, SelectKeys


def selected(batch, keys):
    trainer, seen = make_trainer([batch]), []
    SelectKeys(keys).register(trainer)
    trainer.register_op("pre_steps_log", seen.append)
    trainer.train()
    return set(seen[0].keys(True, True))


def test_only_the_named_entries_are_left():
    keys = ["observation", ("next", "reward")]
    assert selected(make_batch(), keys) == {"observation", ("next", "reward")}


def test_the_collectors_batch_stays_whole():
    batch = make_batch()
    before = set(batch.keys(True))
    selected(batch, ["observation"])
    assert set(batch.keys(True)) == before


def test_the_mask_stays_so_that_padding_is_never_counted():
    batch = make_batch()
    batch["collector", "mask"] = torch.tensor([[True] * 5, [False] * 5])
    batch["collector", "traj_ids"] = torch.zeros(2, 5)
    assert selected(batch.clone(), ["observation"]) == {"observation", ("collector", "mask")}
    trainer = make_trainer([batch])
    SelectKeys(["observation"]).register(trainer)
    CountFramesLog().register(trainer)
    trainer.train()
    assert trainer.logger.rows == [(5, {"n_frames": 5.0})]


def test_a_key_that_is_not_there_is_named_with_the_nearest():
    with pytest.raises(MissingKey, match="'observatio' .did you mean 'observation'"):
        selected(make_batch(), ["observatio"])


def test_a_single_name_is_refused():
    with pytest.raises(InvalidType, match="'reward': expected a list of keys"):
        SelectKeys("reward")


def test_no_names_are_refused():
    with pytest.raises(InvalidValue, match="empty"):
        SelectKeys([])
