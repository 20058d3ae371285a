import json

import numpy as np
import pytest

from hookrl.collectors import evaluation_seeds, run_episodes
from hookrl.configs import PPOConfig
from hookrl.envs import make_vector_env
from hookrl.errors import InvalidValue, MissingFile
from hookrl.runners.evaluate import evaluate_run
from hookrl.trainers import PPOTrainer


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A short run with normalised observations, and its trainer."""
    path = tmp_path_factory.mktemp("runs") / "pendulum"
    config = PPOConfig(
        env="Pendulum-v1",
        total_frames=512,
        num_envs=2,
        normalize_observation=True,
        progress_bar=False,
        run_dir=str(path),
    )
    trainer = PPOTrainer.from_config(config)
    trainer.train()
    return path, trainer


def test_a_run_is_evaluated_with_its_final_weights_and_frozen_statistics(finished):
    path, trainer = finished
    live = run_episodes(
        trainer.loss_module.actor_critic.actor(),
        make_vector_env("Pendulum-v1", 6),
        evaluation_seeds(6, 3),
        view=trainer.collector.transform.frozen,
    )
    assert np.array_equal(evaluate_run(path, episodes=6, seed=3).returns, live.returns)


def test_the_seed_chooses_the_episodes(finished):
    path, _ = finished
    first, same, other = (evaluate_run(path, episodes=3, seed=seed).returns for seed in (0, 0, 1))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_a_run_of_an_algorithm_that_is_not_known_is_refused(finished, tmp_path):
    path, _ = finished
    content = json.loads((path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**content, "algorithm": "pp0"}))
    with pytest.raises(InvalidValue, match="'pp0'.*did you mean 'ppo'"):
        evaluate_run(tmp_path)


def test_a_run_that_has_not_ended_is_refused(finished, tmp_path):
    path, _ = finished
    (tmp_path / "config.json").write_text((path / "config.json").read_text())
    with pytest.raises(MissingFile, match="no weights yet"):
        evaluate_run(tmp_path)
