import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tensordict import TensorDict
from toys import make_trainer

from hookrl.hooks import RewardScaling

GAMMA = 0.9


class ReferenceLoop:
    """Stable-Baselines3's ``VecNormalize`` for rewards, written out frame by frame.

    Each time step: add the rewards to the discounted sums, merge the sums into mean and variance by
    the formula of Chan, Golub & LeVeque (1979), divide, clip, restart the sums of ended episodes.
    """

    def __init__(self, envs, clip=10.0):
        self.sums = [0.0] * envs
        self.mean, self.variance, self.count = 0.0, 1.0, 1e-4
        self.clip = clip

    def step(self, rewards, dones, valid):
        counted = [env for env, is_valid in enumerate(valid) if is_valid]
        for env in counted:
            self.sums[env] = GAMMA * self.sums[env] + rewards[env]
        if counted:
            self.merge(np.array([self.sums[env] for env in counted]))
        deviation = (self.variance + 1e-8) ** 0.5
        for env in counted:
            if dones[env]:
                self.sums[env] = 0.0
        return [
            max(-self.clip, min(self.clip, rewards[env] / deviation)) if valid[env] else 0.0
            for env in range(len(rewards))
        ]

    def merge(self, sums):
        total = self.count + len(sums)
        delta = sums.mean() - self.mean
        squares = self.variance * self.count + sums.var() * len(sums)
        self.variance = (squares + delta**2 * self.count * len(sums) / total) / total
        self.mean += delta * len(sums) / total
        self.count = total

    def batch(self, rewards, dones, valid):
        columns = [self.step(*column) for column in zip(rewards.T, dones.T, valid.T, strict=True)]
        return np.array(columns).T


def batch_of(rewards, dones=None, mask=None):
    reward = torch.as_tensor(rewards, dtype=torch.float64).unsqueeze(-1)
    done = torch.zeros_like(reward) if dones is None else torch.as_tensor(dones).unsqueeze(-1)
    size = reward.shape[:2]
    batch = TensorDict(
        {"next": TensorDict({"reward": reward, "done": done.bool()}, size)}, batch_size=size
    )
    if mask is not None:
        batch["collector", "mask"] = torch.as_tensor(mask)
    return batch


def scaled(hook, *arguments):
    return hook(batch_of(*arguments))["next", "scaled_reward"].squeeze(-1).numpy()


def random_rollout(rng, envs, steps):
    scale, offset = 10 ** rng.uniform(-2, 3), rng.normal() * 10
    rewards = scale * (rng.normal(size=(envs, steps)) + offset)
    return rewards, rng.random((envs, steps)) < 0.2


@given(seed=st.integers(0, 2**31), envs=st.integers(1, 4), steps=st.integers(1, 20))
def test_rewards_are_scaled_as_by_the_plain_loop_over_several_batches(seed, envs, steps):
    rng = np.random.default_rng(seed)
    hook, reference = RewardScaling(GAMMA), ReferenceLoop(envs)
    for _ in range(4):
        rewards, dones = random_rollout(rng, envs, steps)
        expected = reference.batch(rewards, dones, np.ones_like(dones))
        np.testing.assert_allclose(scaled(hook, rewards, dones), expected, rtol=1e-6)


@given(seed=st.integers(0, 2**31))
def test_frames_that_are_masked_out_are_passed_over_whatever_they_hold(seed):
    rng = np.random.default_rng(seed)
    hook, reference = RewardScaling(GAMMA), ReferenceLoop(3)
    for _ in range(3):
        rewards, dones = random_rollout(rng, 3, 12)
        valid = rng.random(rewards.shape) < 0.7
        expected = reference.batch(rewards, dones, valid)
        rewards[~valid] = np.nan
        np.testing.assert_allclose(scaled(hook, rewards, dones, valid), expected, rtol=1e-6)


@given(seed=st.integers(0, 2**31), cut=st.integers(1, 9))
def test_where_batches_are_cut_makes_no_difference(seed, cut):
    rewards, dones = random_rollout(np.random.default_rng(seed), 2, 10)
    whole = scaled(RewardScaling(GAMMA), rewards, dones)
    hook = RewardScaling(GAMMA)
    parts = [
        scaled(hook, rewards[:, part], dones[:, part])
        for part in (slice(None, cut), slice(cut, None))
    ]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=1e-6)


def test_the_discounted_sum_begins_anew_behind_the_end_of_an_episode():
    hook = RewardScaling(GAMMA)
    scaled(hook, [[100.0, 100.0, 1.0]], [[False, True, False]])
    assert hook.state_dict()["_returns"].item() == pytest.approx(GAMMA * 1.0)


def test_the_reward_that_ends_an_episode_still_belongs_to_its_sum():
    hook = RewardScaling(GAMMA)
    scaled(hook, [[2.0, 3.0]], [[False, True]])
    assert hook.state_dict()["_mean"].item() == pytest.approx((2 + (GAMMA * 2 + 3)) / 2, rel=1e-3)


def test_it_begins_anew_where_an_episode_was_cut_off_between_batches():
    def batch(reward, episodes):
        found = batch_of([[reward], [reward]], [[False], [False]])
        return found.set(("collector", "traj_ids"), torch.tensor(episodes)[:, None])

    one, other = RewardScaling(GAMMA), RewardScaling(GAMMA)
    one(batch(1.0, [0, 1]))
    other.load_state_dict(one.state_dict())
    other(batch(2.0, [2, 1]))
    sums = GAMMA * torch.tensor([2.0, 2.0 + GAMMA], dtype=torch.float64)
    torch.testing.assert_close(other._returns, sums)


def test_scaled_rewards_are_clipped():
    hook = RewardScaling(GAMMA, clip=1.5)
    scaled(hook, [[0.1, -0.1] * 50])
    assert scaled(hook, [[1e6, -1e6]]).tolist() == [[1.5, -1.5]]


def test_the_reward_of_the_environment_is_untouched():
    batch = batch_of([[1.0, -2.0, 3.0]])
    before = batch.clone()
    RewardScaling(GAMMA)(batch)
    assert torch.equal(batch["next", "reward"], before["next", "reward"])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_scaled_reward_has_shape_and_dtype_of_the_reward(dtype):
    batch = batch_of([[1.0, 2.0]])
    batch["next", "reward"] = batch["next", "reward"].to(dtype)
    result = RewardScaling(GAMMA)(batch)["next", "scaled_reward"]
    assert (result.shape, result.dtype) == ((1, 2, 1), dtype)


def test_keys_are_read_and_written_where_they_were_asked_for():
    batch = batch_of([[1.0, 2.0]])
    batch["mine"] = batch["next", "reward"]
    RewardScaling(GAMMA, reward_key="mine", out_key="theirs")(batch)
    assert "theirs" in batch


@given(seed=st.integers(0, 2**31))
def test_a_round_trip_of_the_state_is_exact(seed):
    rng = np.random.default_rng(seed)
    hook, restored = RewardScaling(GAMMA), RewardScaling(GAMMA)
    scaled(hook, *random_rollout(rng, 2, 8))
    restored.load_state_dict(hook.state_dict())
    following = random_rollout(rng, 2, 8)
    assert np.array_equal(scaled(hook, *following), scaled(restored, *following))


def test_it_runs_ahead_of_what_reads_rewards():
    trainer = make_trainer(1)
    trainer.register_op("batch_process", lambda batch: None, name="reader")
    RewardScaling(GAMMA).register(trainer)
    assert [r.name for r in trainer.hooks["batch_process"]] == ["reward_scaling", "reader"]
