import numpy as np
import pytest

pytest.importorskip("stable_baselines3")

from benchmarks.peers.sb3 import arguments_for
from benchmarks.peers.sb3_vector import VectorCartPole
from benchmarks.works import WORKS


def test_ppo_has_the_settings_of_the_config():
    name, arguments = arguments_for(WORKS["ppo_cartpole"].config)
    assert name == "PPO"
    assert (arguments["n_steps"], arguments["n_epochs"], arguments["batch_size"]) == (128, 4, 256)
    assert arguments["learning_rate"](1.0) == 2.5e-4
    assert arguments["learning_rate"](-0.1) == 0.0


def test_target_updates_are_counted_in_frames():
    name, arguments = arguments_for(WORKS["dqn_cartpole"].config)
    assert (name, arguments["target_update_interval"]) == ("DQN", 500)


def test_sac_learns_its_temperature():
    name, arguments = arguments_for(WORKS["sac_halfcheetah"].config)
    assert (name, arguments["ent_coef"]) == ("SAC", "auto_1.0")


def test_the_vectorised_environment_shows_where_episodes_end():
    env = VectorCartPole(4)
    env.seed(0)
    env.reset()
    for _ in range(30):
        observation, _, done, infos = env.step(np.ones(4, dtype=np.int64))
        ended = ["terminal_observation" in info for info in infos]
        assert ended == done.tolist()
        if done.any():
            last = infos[int(np.flatnonzero(done)[0])]
            assert abs(last["terminal_observation"][2]) > 0.2
            assert not last["TimeLimit.truncated"]
            assert (np.abs(observation[done]) <= 0.05).all()
            return
    raise AssertionError("pushed to the right for 30 steps, no pole fell")
