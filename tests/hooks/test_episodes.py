import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tensordict import TensorDict
from toys import make_batch, make_trainer

from hookrl.errors import MissingKey
from hookrl.hooks import EpisodeStatistics
from hookrl.trainers.metrics import RunningMeans


def batch_of(rewards, dones, mask=None, episodes=None):
    reward = torch.tensor(rewards, dtype=torch.float32).unsqueeze(-1)
    done = torch.tensor(dones, dtype=torch.bool).unsqueeze(-1)
    size = reward.shape[:2]
    batch = TensorDict(
        {"next": TensorDict({"reward": reward, "done": done}, size)}, batch_size=size
    )
    if mask is not None:
        batch["collector", "mask"] = torch.tensor(mask, dtype=torch.bool)
    if episodes is not None:
        batch["collector", "traj_ids"] = torch.tensor(episodes)
    return batch


def means(*reports):
    running = RunningMeans()
    for report in filter(None, reports):
        running.add({key: value for key, value in report.items() if key != "log_pbar"})
    return running.numbers()


def test_an_episode_spanning_three_batches_counts_once_with_everything():
    hook = EpisodeStatistics()
    reports = [
        hook(batch_of([[1.0, 2.0]], [[0, 0]])),
        hook(batch_of([[3.0, 4.0]], [[0, 0]])),
        hook(batch_of([[5.0, 100.0]], [[1, 0]])),
    ]
    assert reports[:2] == [None, None]
    assert means(*reports) == {"episode/mean_reward": 15.0, "episode/mean_length": 5.0}


def test_the_mean_is_over_episodes_not_over_batches():
    hook = EpisodeStatistics()
    one = hook(batch_of([[10.0]], [[1]]))
    three = hook(batch_of([[20.0, 20.0, 20.0]], [[1, 1, 1]]))
    assert means(one, three)["episode/mean_reward"] == pytest.approx((10 + 3 * 20) / 4)


def test_frames_that_are_masked_out_count_neither_reward_nor_length():
    hook = EpisodeStatistics()
    report = hook(batch_of([[1.0, 9.0, 2.0, 4.0]], [[1, 0, 0, 1]], [[1, 0, 1, 1]]))
    assert means(report) == {"episode/mean_reward": 3.5, "episode/mean_length": 1.5}


def test_an_episode_that_is_cut_off_between_batches_does_not_count():
    one, other = EpisodeStatistics(), EpisodeStatistics()
    assert one(batch_of([[1.0], [2.0]], [[0], [0]], episodes=[[0], [1]])) is None
    other.load_state_dict(one.state_dict())
    assert other(batch_of([[4.0], [8.0]], [[0], [0]], episodes=[[2], [1]])) is None
    report = other(batch_of([[16.0], [32.0]], [[1], [1]], episodes=[[2], [1]]))
    assert means(report) == {"episode/mean_reward": (20 + 42) / 2, "episode/mean_length": 2.5}


def test_one_that_is_cut_off_does_not_count_where_the_next_ends_in_its_first_batch():
    hook = EpisodeStatistics()
    hook(batch_of([[1.0, float("nan")]], [[0, 0]], episodes=[[0, 0]]))
    report = hook(batch_of([[2.0, 3.0]], [[0, 1]], episodes=[[1, 1]]))
    assert means(report) == {"episode/mean_reward": 5.0, "episode/mean_length": 2.0}


@given(st.data())
def test_any_cut_into_batches_gives_the_statistics_of_the_plain_loop(data):
    envs, steps = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 12))
    rows = st.lists(st.integers(-5, 5), min_size=steps, max_size=steps)
    rewards = data.draw(st.lists(rows, min_size=envs, max_size=envs))
    flags = st.lists(st.booleans(), min_size=steps, max_size=steps)
    dones = data.draw(st.lists(flags, min_size=envs, max_size=envs))
    cut = data.draw(st.integers(0, steps))

    returns = []
    for row, ends in zip(rewards, dones, strict=True):
        total = 0.0
        for reward, end in zip(row, ends, strict=True):
            total += reward
            if end:
                returns.append(total)
                total = 0.0

    hook, reports = EpisodeStatistics(), []
    for part in (slice(None, cut), slice(cut, None)):
        if rewards[0][part]:
            reports.append(hook(batch_of([r[part] for r in rewards], [d[part] for d in dones])))
    found = means(*reports)
    assert ("episode/mean_reward" in found) == bool(returns)
    if returns:
        assert found["episode/mean_reward"] == pytest.approx(sum(returns) / len(returns))


def test_a_running_episode_survives_a_round_trip_of_the_state():
    hook, restored = EpisodeStatistics(), EpisodeStatistics()
    hook(batch_of([[1.0, 2.0]], [[0, 0]]))
    restored.load_state_dict(hook.state_dict())
    report = restored(batch_of([[3.0]], [[1]]))
    assert means(report) == {"episode/mean_reward": 6.0, "episode/mean_length": 3.0}


def test_the_row_of_a_trainer_has_no_return_before_an_episode_ended():
    trainer = make_trainer([make_batch()])
    EpisodeStatistics().register(trainer)
    trainer.train()
    assert trainer.logger.rows == []


def test_a_batch_without_rewards_is_told():
    with pytest.raises(MissingKey, match="EpisodeStatistics reads 'next.rewards', .*reward"):
        EpisodeStatistics(reward_key=("next", "rewards"))(batch_of([[1.0]], [[0]]))
