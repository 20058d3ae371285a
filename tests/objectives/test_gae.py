"""Advantages by hand, and against torchrl's."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tensordict import TensorDict
from torch import Tensor
from torchrl.objectives import value as torchrl_value

from hookrl.objectives import GAE, generalized_advantage_estimate

GAMMA, LMBDA = 0.9, 0.5


def column(*values: float) -> Tensor:
    return torch.tensor(values)[None, :, None]


def flags(*values: int) -> Tensor:
    return column(*values).bool()


def advantages(done: Tensor, terminated: Tensor) -> list[float]:
    """Of two steps with rewards 1 and 2, values 10 and 20, next values 20 and 30."""
    advantage, target = generalized_advantage_estimate(
        column(1, 2),
        column(10, 20),
        column(20, 30),
        done,
        terminated,
        gamma=GAMMA,
        lmbda=LMBDA,
    )
    torch.testing.assert_close(target, advantage + column(10, 20))
    values: list[float] = advantage.flatten().tolist()
    return values


def test_unfinished_batch_bootstraps_from_the_value_of_its_last_observation() -> None:
    last = 2 + 0.9 * 30 - 20
    first = 1 + 0.9 * 20 - 10 + 0.9 * 0.5 * last
    assert advantages(flags(0, 0), flags(0, 0)) == pytest.approx([first, last])


def test_truncated_step_bootstraps_from_final_observation() -> None:
    assert advantages(flags(0, 1), flags(0, 0))[1] == pytest.approx(2 + 0.9 * 30 - 20)


def test_terminated_step_does_not_bootstrap() -> None:
    assert advantages(flags(0, 1), flags(0, 1))[1] == pytest.approx(2 - 20)


def test_truncated_step_gains_nothing_from_the_next_episode() -> None:
    assert advantages(flags(1, 0), flags(0, 0))[0] == pytest.approx(1 + 0.9 * 20 - 10)


def test_terminated_step_gains_nothing_from_the_next_episode() -> None:
    assert advantages(flags(1, 0), flags(1, 0))[0] == pytest.approx(1 - 10)


def random_batch(seed: int, envs: int, time: int, ends: float) -> TensorDict:
    generator = torch.Generator().manual_seed(seed)

    def draw() -> Tensor:
        return torch.randn(envs, time, 1, generator=generator)

    terminated = torch.rand(envs, time, 1, generator=generator) < ends
    truncated = torch.rand(envs, time, 1, generator=generator) < ends
    return TensorDict(
        {
            "state_value": draw(),
            "next": {
                "state_value": draw(),
                "reward": draw(),
                "done": terminated | truncated,
                "terminated": terminated,
                "truncated": truncated,
            },
        },
        [envs, time],
    )


@given(
    seed=st.integers(0, 2**32),
    envs=st.integers(1, 4),
    time=st.integers(2, 40),
    ends=st.sampled_from([0.0, 0.05, 0.4, 1.0]),
    gamma=st.sampled_from([0.0, 0.9, 0.99, 1.0]),
    lmbda=st.sampled_from([0.0, 0.5, 0.95, 1.0]),
    average_gae=st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_equals_torchrl_whatever_the_flags(
    seed: int, envs: int, time: int, ends: float, gamma: float, lmbda: float, average_gae: bool
) -> None:
    theirs = torchrl_value.GAE(
        gamma=gamma, lmbda=lmbda, value_network=None, average_gae=average_gae, vectorized=False
    )
    batch = random_batch(seed, envs, time, ends)
    expected = theirs(batch.clone())
    got = GAE(gamma, lmbda, average_gae)(batch)
    for key in ("advantage", "value_target"):
        torch.testing.assert_close(got[key], expected[key], rtol=1e-4, atol=2e-5)


def test_result_is_written_into_the_batch_without_gradient() -> None:
    batch = random_batch(0, 2, 5, 0.1)
    batch["state_value"].requires_grad_()
    assert GAE(0.99, 0.95)(batch) is batch
    assert not batch["advantage"].requires_grad


def test_reward_may_come_under_another_name() -> None:
    batch = random_batch(0, 2, 5, 0.1)
    batch["next", "scaled"] = batch["next", "reward"] * 3
    scaled = GAE(0.9, 0.0, reward_key=("next", "scaled"))(batch.clone())
    plain = GAE(0.9, 0.0)(batch.clone())
    difference = scaled["advantage"] - plain["advantage"]
    torch.testing.assert_close(difference, 2 * batch["next", "reward"])


def test_missing_entry_is_named_with_the_nearest_one() -> None:
    batch = random_batch(0, 2, 5, 0.1).rename_key_("state_value", "state_values")
    with pytest.raises(KeyError, match=r"GAE reads 'state_value'.*did you mean 'state_values'"):
        GAE(0.99, 0.95)(batch)


@pytest.mark.parametrize(("name", "gamma", "lmbda"), [("gamma", 1.5, 0.9), ("lmbda", 0.9, -0.1)])
def test_discounts_outside_the_unit_interval_are_refused(
    name: str, gamma: float, lmbda: float
) -> None:
    with pytest.raises(ValueError, match=rf"{name} within \[0, 1\], got"):
        GAE(gamma, lmbda)


def test_shapes_that_merely_broadcast_are_refused() -> None:
    batch = random_batch(0, 4, 4, 0.1)
    batch["next", "reward"] = batch["next", "reward"].squeeze(-1)
    with pytest.raises(ValueError, match=r"one shape .* reward \(4, 4\), state_value \(4, 4, 1\)"):
        GAE(0.99, 0.95)(batch)


def test_a_terminal_observation_may_be_worth_nothing_at_all() -> None:
    advantage, _ = generalized_advantage_estimate(
        column(1, 2),
        column(10, 20),
        column(20, float("nan")),
        flags(0, 1),
        flags(0, 1),
        gamma=GAMMA,
        lmbda=LMBDA,
    )
    assert advantage.flatten().tolist() == pytest.approx([9 - 8.1, -18])
