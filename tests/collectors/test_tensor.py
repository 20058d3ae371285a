"""Batches of tensor environments: what the environments did, laid out as ever, resumable."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from states import assert_same

from hookrl.collectors import TensorCollector, VectorCollector
from hookrl.configs import PPOConfig
from hookrl.envs.tensor import State, make
from hookrl.errors import InvalidType, InvalidValue
from hookrl.models import ActorCritic, QNetwork
from hookrl.objectives import ClipPPOLoss
from hookrl.trainers import PPOTrainer

ENVS, STEPS = 3, 24
each_env = pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1"])


def collector(name: str = "CartPole-v1", limit: int = 10, **options: Any) -> TensorCollector:
    env = make(name, ENVS, max_episode_steps=limit)
    policy = ActorCritic.from_spaces(
        env.single_observation_space,
        env.single_action_space,
        hidden_sizes=(8,),
        generator=torch.Generator().manual_seed(0),
    )
    options = {"frames_per_batch": ENVS * STEPS, "seed": 5, **options}
    return TensorCollector(env, policy, **options)


@each_env
def test_a_batch_is_what_the_environments_did(name: str) -> None:
    source = collector(name)
    env = make(name, ENVS, max_episode_steps=10)
    batch = source.collect()
    start = collector(name)
    start.env.reset(seed=int(start.rng.integers(2**31)))
    assert torch.equal(batch["observation"][:, 0], start.env.observe(start.env.state.physics))
    never = torch.zeros(ENVS, env.noise_size)
    state = start.env.state
    for t in range(STEPS):
        assert torch.equal(batch["observation"][:, t], env.observe(state.physics))
        after = env.advance(state, batch["action"][:, t], never)
        assert torch.equal(batch["next", "observation"][:, t], after.final_observation)
        assert torch.equal(batch["next", "reward"][:, t, 0], after.reward)
        for key in ("terminated", "truncated", "done"):
            assert torch.equal(batch["next", key][:, t, 0], getattr(after, key))
        if t + 1 < STEPS:  # where an episode ended the next one begins as it is in the batch
            expected = env.observe(after.state.physics)
            seen = batch["observation"][:, t + 1]
            assert torch.equal(seen[~after.done], expected[~after.done])
            assert not torch.equal(seen[after.done], expected[after.done]) or not after.done.any()
            state = after.state
            if after.done.any():
                break
    else:
        pytest.fail("no episode ended")
    assert after.truncated.all() or name == "CartPole-v1"


def test_episodes_are_cut_off_and_counted() -> None:
    batch = collector("Pendulum-v1", limit=10).collect()
    assert batch["next", "truncated"][0, :, 0].nonzero()[:, 0].tolist() == [9, 19]
    ids = batch["collector", "traj_ids"]
    assert ids[0].tolist() == [0] * 10 + [3] * 10 + [4] * 4
    assert ids[:, 0].tolist() == [0, 1, 2]


def test_batches_are_laid_out_as_those_of_a_vector_collector() -> None:
    tensors = collector().collect()
    vector = VectorCollector("CartPole-v1", num_envs=ENVS, frames_per_batch=ENVS * STEPS, seed=1)

    def layout(batch: Any) -> Any:
        entries = batch.items(include_nested=True, leaves_only=True)
        return sorted((str(key), leaf.shape, leaf.dtype) for key, leaf in entries)

    assert layout(tensors) == layout(vector.collect())


@pytest.mark.usefixtures("interpreted")
@each_env
@pytest.mark.parametrize("steps", [STEPS, 32, 7])
def test_captured_steps_give_the_same_batches(name: str, steps: int) -> None:
    eager, captured = (
        collector(name, frames_per_batch=ENVS * steps, compile=compile_)
        for compile_ in (False, True)
    )
    for _ in range(3):
        found, expected = captured.collect(), eager.collect()
        for key, value in expected.items(include_nested=True, leaves_only=True):
            torch.testing.assert_close(found[key], value, rtol=1e-4, atol=1e-4)
    assert captured.compile


@pytest.mark.usefixtures("interpreted")
def test_a_captured_policy_explores_as_much_as_it_is_told_to() -> None:
    env = make("CartPole-v1", ENVS)
    q_network = QNetwork.from_spaces(
        env.single_observation_space, env.single_action_space, hidden_sizes=(8,)
    )
    q_network.action_net[-1].bias.data[:] = torch.tensor([0.0, 100.0])  # the second is the best
    source = TensorCollector(env, q_network, frames_per_batch=60, compile=True, seed=0)
    q_network.epsilon = 1.0
    assert 0.2 < source.collect()["action"].double().mean() < 0.8
    q_network.epsilon = 0.0
    assert source.collect()["action"].all()
    assert source.compile


def test_environments_see_actions_within_bounds_and_batches_what_was_drawn() -> None:
    source, seen = collector("Pendulum-v1"), []
    source.policy.distribution.log_std.data.fill_(2.0)
    advance = source.env.advance

    def watched(state: Any, actions: torch.Tensor, resets: torch.Tensor) -> Any:
        seen.append(actions)
        return advance(state, actions, resets)

    source.env.advance = watched
    batch = source.collect()
    assert batch["action"].abs().max() > 2
    assert torch.stack(seen).abs().max() == 2


@pytest.mark.usefixtures("interpreted")
@pytest.mark.parametrize("part", ["an environment's number", "the last layer"])
def test_what_changes_between_batches_counts(part: str) -> None:
    batches = []
    for compile_ in (False, True):
        source = collector("Pendulum-v1", compile=compile_)
        source.collect()
        if part == "the last layer":
            bias = list(source.policy.parameters())[-1]
            bias.data = torch.ones_like(bias)
        else:
            source.env.gravity = 1.0
        batches.append(source.collect())
        assert source.compile is compile_
    for key in ("observation", "action"):
        torch.testing.assert_close(batches[1][key], batches[0][key], rtol=1e-4, atol=1e-4)


def test_what_cannot_be_captured_is_collected_without(monkeypatch: pytest.MonkeyPatch) -> None:
    source, expected = collector(compile=True), collector()
    params = source.policy.policy_params
    monkeypatch.setattr(
        source.policy,
        "policy_params",
        lambda observation: params(observation) if observation.sum().item() else observation,
    )
    with pytest.warns(UserWarning, match="collecting is not captured"):
        batch = source.collect()
    assert_same(batch.to_dict(), expected.collect().to_dict())


@each_env
def test_it_goes_on_in_the_middle_of_episodes(name: str) -> None:
    source = collector(name, limit=11)
    source.collect()
    other = collector(name, limit=11, seed=99)
    other.load_state_dict(source.state_dict())
    for _ in range(2):
        assert_same(other.collect().to_dict(), source.collect().to_dict())


def test_a_batch_does_not_change_afterwards() -> None:
    source = collector()
    batch = source.collect()
    before = batch.clone().to_dict()
    source.collect()
    assert_same(batch.to_dict(), before)


def test_equal_seeds_are_equal_and_others_are_not() -> None:
    one, same, other = collector(), collector(), collector(seed=6)
    first = one.collect()["observation"]
    assert torch.equal(first, same.collect()["observation"])
    assert not torch.equal(first, other.collect()["observation"])


def trained(**options: Any) -> PPOTrainer:
    source = collector(**options)
    policy: Any = source.policy
    trainer = PPOTrainer(
        collector=source,
        total_frames=ENVS * STEPS * 4,
        loss_module=ClipPPOLoss(policy),
        optimizer=torch.optim.Adam(policy.parameters(), lr=1e-3),
        progress_bar=False,
        seed=1,
    )
    trainer.train()
    return trainer


def test_ppo_learns_from_it_and_two_runs_are_equal() -> None:
    one, other = trained(), trained()
    assert one.optim_steps == 4 * PPOConfig().epochs * PPOConfig().minibatches
    assert_same(dict(one.loss_module.state_dict()), dict(other.loss_module.state_dict()))
    assert one.resume_kind == "exact"


def test_mistakes_are_answered() -> None:
    with pytest.raises(InvalidValue, match="a positive multiple"):
        collector(frames_per_batch=ENVS * STEPS + 1)
    with pytest.raises(InvalidType, match="without 'policy_params'"):
        TensorCollector(make("CartPole-v1"), torch.nn.Linear(4, 2), frames_per_batch=4)  # type: ignore[arg-type]
    closed = collector()
    closed.shutdown()
    with pytest.raises(InvalidValue, match="was shut down"):
        closed.collect()
    assert State._fields == ("physics", "steps")
