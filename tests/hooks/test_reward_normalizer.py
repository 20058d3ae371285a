import pytest
import torch
from toys import make_batch, make_trainer

from hookrl.errors import InvalidValue
from hookrl.hooks import RewardNormalizer


def batch_of(*rewards):
    return make_batch(1, len(rewards), reward=torch.tensor(rewards).view(1, -1, 1))


def normalized(batches, **arguments):
    """Rewards as the loss sees them, batch by batch."""
    trainer, seen = make_trainer(batches, optim_steps_per_batch=1), []
    RewardNormalizer(**arguments).register(trainer)
    trainer.register_op("post_loss", lambda sub: seen.append(sub["next", "reward"].flatten()))
    trainer.train()
    return seen, trainer


def test_the_first_batch_is_standardised_by_itself():
    (seen,), _ = normalized([batch_of(1.0, 2.0, 3.0)])
    torch.testing.assert_close(seen, torch.tensor([-1.0, 0.0, 1.0]))


def test_older_batches_count_less_by_the_decay():
    (_, seen), _ = normalized([batch_of(4.0, 0.0), batch_of(2.0, 6.0)], decay=0.5)
    # sum 0.5·4+8, squares 0.5·16+40, count 0.5·2+2
    total, squares, count = 10.0, 48.0, 3.0
    mean = total / count
    deviation = ((squares - total * mean) / (count - 1)) ** 0.5
    expected = torch.tensor([(2 - mean) / deviation, (6 - mean) / deviation])
    torch.testing.assert_close(seen, expected)


def test_the_scale_multiplies_what_was_normalised():
    (seen,), _ = normalized([batch_of(1.0, 2.0, 3.0)], scale=5.0)
    torch.testing.assert_close(seen, torch.tensor([-5.0, 0.0, 5.0]))


def test_constant_rewards_are_divided_by_the_root_of_epsilon():
    (seen,), _ = normalized([batch_of(2.0, 2.0)], eps=4.0)
    torch.testing.assert_close(seen, torch.zeros(2))
    (seen,), _ = normalized([batch_of(3.0)], eps=0.25)
    torch.testing.assert_close(seen, torch.zeros(1))


def test_frames_masked_out_do_not_count():
    batch = batch_of(1.0, 100.0, 3.0)
    batch["collector", "mask"] = torch.tensor([[True, False, True]])
    (seen,), _ = normalized([batch])
    torch.testing.assert_close(seen[[0, 2]], torch.tensor([-1.0, 1.0]) / 2**0.5)


def test_the_batch_keeps_the_rewards_of_the_environment():
    batch = batch_of(1.0, 2.0, 3.0)
    normalized([batch])
    assert batch["next", "reward"].flatten().tolist() == [1.0, 2.0, 3.0]


def test_it_comes_behind_sampling_whichever_was_registered_first():
    trainer, seen = make_trainer([batch_of(1.0, 2.0, 3.0)], optim_steps_per_batch=1), []
    RewardNormalizer().register(trainer)
    trainer.register_op("process_optim_batch", lambda batch: batch_of(3.0))
    trainer.register_op("post_loss", lambda sub: seen.append(sub["next", "reward"].item()))
    trainer.train()
    assert seen == pytest.approx([1.0])


def test_the_statistics_are_logged():
    _, trainer = normalized([batch_of(1.0, 2.0, 3.0)])
    row = trainer.logger.rows[0][1]
    assert row == pytest.approx({"train/reward_mean": 2.0, "train/reward_std": 1.0})


def test_with_its_state_another_one_normalises_alike():
    one, other = RewardNormalizer(), RewardNormalizer()
    one.update_reward_stats(batch_of(1.0, 5.0, 7.0))
    other.load_state_dict(one.state_dict())
    for hook in (one, other):
        hook.update_reward_stats(batch_of(2.0, 3.0))
    ours, theirs = (hook.normalize_reward(batch_of(4.0))["next", "reward"] for hook in (one, other))
    assert torch.equal(ours, theirs)


def test_it_agrees_with_torchrl():
    from torchrl.trainers import RewardNormalizer as Reference

    ours, theirs = RewardNormalizer(0.9, 2.0), Reference(0.9, 2.0)
    for _ in range(3):
        batch = make_batch(3, 7, reward=torch.randn(3, 7, 1))
        ours.update_reward_stats(batch)
        theirs.update_reward_stats(batch)
        found, expected = ours.normalize_reward(batch), theirs.normalize_reward(batch)
        torch.testing.assert_close(found["next", "reward"], expected["next", "reward"])


def test_normalising_before_any_batch_was_seen_is_refused():
    with pytest.raises(InvalidValue, match="has seen no batch"):
        RewardNormalizer().normalize_reward(batch_of(1.0))


def test_a_decay_out_of_range_is_refused():
    with pytest.raises(InvalidValue, match="decay=1.5"):
        RewardNormalizer(decay=1.5)
