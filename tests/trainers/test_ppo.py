"""PPO as a whole: reproducible, seeded everywhere, refusing what cannot work."""

import json
import math
import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from hookrl.collectors import VectorCollector, evaluation_seeds
from hookrl.configs import EvaluationConfig, PPOConfig
from hookrl.envs import make_vector_env
from hookrl.errors import InvalidType, InvalidValue
from hookrl.hooks import NonFiniteLoss
from hookrl.loggers import read_metrics
from hookrl.models import ActorCritic
from hookrl.objectives import ClipPPOLoss
from hookrl.trainers import PPOTrainer

SMALL = {
    "total_frames": 512,
    "num_envs": 4,
    "steps_per_env": 32,
    "log_interval": 128,
    "progress_bar": False,
}
PENDULUM = {
    "env": "Pendulum-v1",
    "normalize_observation": True,
    "normalize_reward": True,
    "recompute_advantages": True,
    "evaluation": EvaluationConfig(interval=256, episodes=2, num_envs=2),
}


def run(tmp_path, name, **settings):
    """Train and return the final weights and all metrics but those of time."""
    trainer = PPOTrainer.from_config(
        PPOConfig(**{**SMALL, **settings}, run_dir=str(tmp_path / name))
    )
    trainer.train()
    metrics = read_metrics(tmp_path / name / "metrics.csv")
    weights = torch.load(tmp_path / name / "weights.pt", weights_only=True)
    return weights, {k: v for k, v in metrics.items() if not k.startswith("time/")}


def flat(weights):
    """All numbers of a nested state, in order."""
    if isinstance(weights, torch.Tensor):
        return weights.flatten().tolist()
    if isinstance(weights, dict):
        return [number for value in weights.values() for number in flat(value)]
    return [weights]


def same(a, b):
    return repr(a) == repr(b)  # NaN equals NaN, and -0.0 does not equal 0.0


@pytest.mark.parametrize("settings", [{}, PENDULUM], ids=["cartpole", "pendulum"])
def test_two_runs_of_one_seed_in_one_process_are_bit_identical(tmp_path, settings):
    first = run(tmp_path, "first", seed=3, **settings)
    # Whatever foreign code did to the process-wide generators must not matter.
    random.random(), np.random.rand(), torch.rand(1)
    second = run(tmp_path, "second", seed=3, **settings)
    assert same(flat(first[0]), flat(second[0]))
    assert same(first[1], second[1])


def test_two_runs_of_one_seed_in_two_processes_are_bit_identical(tmp_path):
    overrides = [f"{key}={json.dumps(value)}" for key, value in SMALL.items()]
    for name in ("first", "second"):
        command = ["train", "ppo", "seed=5", f"run_dir={tmp_path / name}", *overrides]
        subprocess.run([sys.executable, "-m", "hookrl", *command], check=True, capture_output=True)
    first, second = (
        torch.load(tmp_path / name / "weights.pt", weights_only=True)
        for name in ("first", "second")
    )
    assert same(flat(first), flat(second))
    here = run(tmp_path, "here", seed=5)
    assert same(flat(first), flat(here[0]))
    assert same(
        *(
            {
                key: column
                for key, column in read_metrics(tmp_path / name / "metrics.csv").items()
                if not key.startswith("time/")
            }
            for name in ("first", "here")
        )
    )


def test_seeds_0_and_1_share_no_initial_state_and_no_weight_matrix(tmp_path):
    trainers = [PPOTrainer.from_config(PPOConfig(**SMALL, seed=seed)) for seed in (0, 1)]
    starts = [
        {tuple(state) for state in trainer.collector.collect()["observation"][:, 0].tolist()}
        for trainer in trainers
    ]
    assert len(starts[0]) == len(starts[1]) == SMALL["num_envs"]
    assert not starts[0] & starts[1]
    weights = [trainer.loss_module.actor_critic.policy_net[0].weight for trainer in trainers]
    assert not (weights[0] == weights[1]).any()


def test_evaluation_starts_from_states_that_training_never_starts_from():
    trainer = PPOTrainer.from_config(
        PPOConfig(**SMALL, evaluation=EvaluationConfig(interval=128, episodes=4, num_envs=4))
    )
    training = trainer.collector.collect()["observation"][:, 0]
    validation = trainer.modules["validation"]
    seeds = evaluation_seeds(validation._evaluation.episodes, validation._seed)
    evaluation, _ = validation._evaluation.env.reset(seed=seeds)
    assert not {tuple(row) for row in training.tolist()} & {
        tuple(row) for row in evaluation.tolist()
    }


def test_building_a_trainer_from_components_draws_nothing_from_the_global_generators():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    env = "CartPole-v1"
    collector = VectorCollector(env, None, frames_per_batch=8, num_envs=2)
    actor_critic = ActorCritic.from_spaces(
        collector.env.single_observation_space, collector.env.single_action_space
    )
    PPOTrainer(
        collector=collector,
        total_frames=16,
        loss_module=ClipPPOLoss(actor_critic),
        optimizer=torch.optim.Adam(actor_critic.parameters()),
        progress_bar=False,
    )
    assert torch.equal(before, torch.get_rng_state())


def test_ready_components_train_as_well():
    env = make_vector_env("CartPole-v1", 2)
    actor_critic = ActorCritic.from_spaces(env.single_observation_space, env.single_action_space)
    collector = VectorCollector(env, actor_critic, frames_per_batch=64)
    before = actor_critic.policy_net[0].weight.clone()
    PPOTrainer(
        collector=collector,
        total_frames=64,
        loss_module=ClipPPOLoss(actor_critic),
        optimizer=torch.optim.Adam(actor_critic.parameters()),
        epochs=2,
        minibatches=3,
        progress_bar=False,
    ).train()
    assert not torch.equal(before, actor_critic.policy_net[0].weight)


def test_the_run_directory_holds_what_the_readme_says(tmp_path):
    run(tmp_path, "run")
    found = {path.name for path in (tmp_path / "run").iterdir()}
    assert found == {
        "config.json",
        "metrics.csv",
        "tensorboard",
        "learning_curve.png",
        "weights.pt",
        "checkpoints",
    }


def test_every_canonical_metric_is_logged(tmp_path):
    _, metrics = run(tmp_path, "run", **PENDULUM)
    assert {
        *("frames", "rollout/mean_reward", "rollout/mean_value"),
        *("train/policy_loss", "train/value_loss", "train/entropy_loss", "train/approx_kl"),
        *("train/clip_fraction", "train/explained_variance", "train/learning_rate"),
        *("train/grad_norm", "train/entropy", "eval/mean_reward"),
    } <= set(metrics)


def test_rewards_are_logged_as_the_environment_gave_them(tmp_path):
    _, metrics = run(tmp_path, "run", **PENDULUM)
    assert all(-16.3 <= value <= 0 for value in metrics["rollout/mean_reward"])
    assert min(metrics["rollout/mean_reward"]) < -1.0


def test_a_loss_that_is_nan_is_one_sentence_and_leaves_no_weights_behind(tmp_path):
    trainer = PPOTrainer.from_config(PPOConfig(**SMALL, run_dir=str(tmp_path / "run")))
    with torch.no_grad():
        trainer.loss_module.actor_critic.value_net[-1].bias.fill_(math.nan)
    with pytest.raises(NonFiniteLoss, match="loss_critic is nan") as info:
        trainer.train()
    assert "\n" not in str(info.value)
    assert not (tmp_path / "run" / "weights.pt").exists()


def test_an_unknown_environment_is_answered_with_the_nearest_id():
    with pytest.raises(InvalidValue, match=r"'CartPol-v1' \(did you mean 'CartPole-v1'\?\)"):
        PPOTrainer.from_config(PPOConfig(env="CartPol-v1"))


def test_an_unsupported_space_is_named(tmp_path):
    import gymnasium as gym

    class Texts(gym.Env):
        observation_space = gym.spaces.Text(4)
        action_space = gym.spaces.Discrete(2)

    gym.register("hookrl-tests/Texts-v0", entry_point=Texts)
    with pytest.raises(InvalidType, match="space of observation is Text.*Box, Discrete"):
        PPOTrainer.from_config(
            PPOConfig(env="hookrl-tests/Texts-v0", run_dir=str(tmp_path / "run"))
        )
    assert not (tmp_path / "run").exists()


def test_zero_frames_are_refused():
    with pytest.raises(InvalidValue, match="total_frames"):
        PPOConfig(total_frames=0)
