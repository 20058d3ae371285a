import dataclasses

import pytest

from hookrl.configs import PPOConfig
from sota.row import fast


@pytest.mark.parametrize(
    ("env", "num_envs", "mode"),
    [
        ("CartPole-v1", 4, "vector_entry_point"),
        ("CartPole-v1", 1, "sync"),  # nothing to step at once
        ("Pendulum-v1", 4, "sync"),  # gymnasium has no such form of it
    ],
)
def test_fast_paths_are_captured_steps_and_the_vectorised_form(env, num_envs, mode):
    config = PPOConfig(env=env, num_envs=num_envs)
    assert fast(config) == dataclasses.replace(config, compile=True, vectorization_mode=mode)
