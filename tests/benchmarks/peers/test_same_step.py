import numpy as np

from benchmarks.peers.same_step import SameStepCartPole


def test_an_end_is_reset_in_its_step_and_shows_what_it_led_to():
    env = SameStepCartPole(4)
    observation, _ = env.reset(seed=0)
    for _ in range(30):
        before, actions = observation, np.ones(4, dtype=np.int64)
        observation, reward, terminated, truncated, infos = env.step(actions)
        assert reward.tolist() == [1.0] * 4  # no step is spent on a reset
        done = terminated | truncated
        if done.any():
            assert infos["_final_obs"].tolist() == done.tolist()
            assert (np.abs(observation[done]) <= 0.05).all()
            moved = infos["final_obs"][done, 0] - before[done, 0]
            np.testing.assert_allclose(moved, 0.02 * before[done, 1], atol=1e-6)
            assert (env.steps[done] == 0).all()
            return
    raise AssertionError("pushed to the right for 30 steps, no pole fell")
