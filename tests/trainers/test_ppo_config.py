"""Every field of the config reaches the part it belongs to."""

import dataclasses

import pytest
import torch
from gymnasium.envs.classic_control.cartpole import CartPoleVectorEnv
from gymnasium.vector import AsyncVectorEnv

from hookrl.collectors import OverlappedCollector, TensorCollector, VectorCollector
from hookrl.configs import EvaluationConfig, NetworkConfig, PPOConfig
from hookrl.envs.sync import SerialVectorEnv
from hookrl.envs.tensor import CartPole
from hookrl.errors import InvalidType, InvalidValue
from hookrl.objectives import GAE
from hookrl.trainers import PPOTrainer, ppo
from hookrl.trainers.captured import CapturedStep
from hookrl.trainers.step import EagerStep


def hook(name):
    return lambda trainer: trainer.modules[name]


def attribute(part, name):
    return lambda trainer: getattr(part(trainer), name)


def loss(name):
    return lambda trainer: getattr(trainer.loss_module, name)


def group(name):
    return lambda trainer: trainer.optimizer.param_groups[0][name]


REACHES = {
    "env": ("Acrobot-v1", lambda t: t.collector.env.envs[0].spec.id),
    "num_envs": (3, lambda t: t.collector.num_envs),
    "steps_per_env": (17, lambda t: t.collector.steps_per_env),
    "total_frames": (777, lambda t: t.total_frames),
    "frame_skip": (2, lambda t: t.frame_skip),
    "seed": (9, lambda t: t.seed),
    "gamma": (0.9, attribute(lambda t: t.modules["value_estimation"].estimator, "gamma")),
    "gae_lambda": (0.8, attribute(lambda t: t.modules["value_estimation"].estimator, "lmbda")),
    "epochs": (3, attribute(hook("minibatches"), "epochs")),
    "minibatches": (5, attribute(hook("minibatches"), "minibatches")),
    "clip_epsilon": (0.3, loss("clip_epsilon")),
    "clip_value": (0.4, loss("clip_value")),
    "entropy_coeff": (0.5, loss("entropy_coeff")),
    "critic_coeff": (0.6, loss("critic_coeff")),
    "loss_critic_type": ("l1", loss("loss_critic_type")),
    "normalize_advantage": (False, loss("normalize_advantage")),
    "target_kl": (0.02, attribute(hook("kl_early_stop"), "target_kl")),
    "learning_rate": (0.01, group("lr")),
    "adam_eps": (1e-3, group("eps")),
    "max_grad_norm": (0.7, lambda t: t.clip_norm),
    "log_interval": (123, lambda t: t.metrics._interval),
    "torch_threads": (2, attribute(hook("torch_threads"), "threads")),
    "matmul_precision": ("medium", attribute(hook("matmul_precision"), "precision")),
    "overlap_collection": (True, lambda t: isinstance(t.collector, OverlappedCollector)),
    "keep_freed_memory": (False, lambda t: "keep_freed_memory" in t.modules),
}
TESTED_BY_BEHAVIOUR = {
    "env_kwargs",
    "recompute_advantages",
    "anneal_learning_rate",
    "normalize_observation",
    "normalize_reward",
    "network",
    "evaluation",
    "checkpoint",
    "run_dir",
    "overwrite",
    "progress_bar",
    "device",
    "compile",
    "vectorization_mode",
}


def build(**settings):
    trainer = PPOTrainer.from_config(PPOConfig(**{"progress_bar": False, **settings}))
    trainer.collector.shutdown()
    return trainer


def test_every_field_is_accounted_for():
    fields = {field.name for field in dataclasses.fields(PPOConfig)}
    assert fields == set(REACHES) | TESTED_BY_BEHAVIOUR


@pytest.mark.parametrize("field", REACHES)
def test_a_field_reaches_its_part(field):
    value, read = REACHES[field]
    assert value != getattr(PPOConfig(), field)
    assert read(build(**{field: value})) == value


@pytest.mark.parametrize("compile_", [True, False])
def test_steps_are_captured_if_that_is_asked_for(compile_):
    assert isinstance(build(compile=compile_).step, CapturedStep if compile_ else EagerStep)


@pytest.mark.parametrize(
    ("mode", "collector", "env"),
    [
        ("sync", VectorCollector, SerialVectorEnv),
        ("async", VectorCollector, AsyncVectorEnv),
        ("vector_entry_point", VectorCollector, CartPoleVectorEnv),
        ("tensor", TensorCollector, CartPole),
    ],
)
def test_environments_are_vectorised_as_asked(mode, collector, env):
    trainer = build(vectorization_mode=mode, num_envs=2)
    assert type(trainer.collector) is collector
    assert type(trainer.collector.env.unwrapped) is env


@pytest.mark.parametrize("compile_", [True, False])
def test_tensor_environments_are_captured_with_the_policy(compile_):
    assert build(vectorization_mode="tensor", compile=compile_).collector.compile is compile_


def test_tensor_environments_train_and_are_evaluated_on_gymnasiums():
    config = PPOConfig(
        vectorization_mode="tensor",
        num_envs=4,
        steps_per_env=8,
        total_frames=64,
        evaluation=EvaluationConfig(interval=32, episodes=2),
        progress_bar=False,
    )
    trainer = PPOTrainer.from_config(config)
    trainer.train()
    assert trainer.collected_frames == 64


def test_observations_in_tensors_are_not_normalised():
    with pytest.raises(InvalidValue, match="normalize_observation=True.*'tensor'.*expected False"):
        PPOConfig(vectorization_mode="tensor", normalize_observation=True)


def test_env_kwargs_reach_the_environment():
    trainer = build(env="FrozenLake-v1", env_kwargs={"is_slippery": False})
    assert trainer.collector.env.envs[0].spec.kwargs["is_slippery"] is False


def test_recompute_advantages_hangs_a_hook_that_runs_every_epoch():
    trainer = build(recompute_advantages=True, minibatches=6)
    assert trainer.modules["value_estimation"].recompute_every == 6


@pytest.mark.parametrize("anneal", [True, False])
def test_anneal_learning_rate_decides_whether_there_is_a_schedule(anneal):
    assert ("learning_rate" in build(anneal_learning_rate=anneal).modules) == anneal


def test_the_annealed_rate_ends_at_zero():
    schedule = build(learning_rate=0.3, total_frames=100).modules["learning_rate"].schedule
    assert (schedule(0), schedule(50), schedule(100)) == (0.3, 0.15, 0.0)


def test_normalize_observation_normalises_what_training_and_evaluation_see():
    trainer = build(
        normalize_observation=True,
        evaluation=EvaluationConfig(interval=5, episodes=2, num_envs=2),
    )
    evaluation = trainer.modules["validation"]._evaluation
    assert evaluation._view == trainer.collector.transform.frozen
    assert evaluation.episodes == 2
    assert "5 frames" in trainer.describe()


def test_with_normalize_reward_advantages_come_from_the_scaled_reward():
    config = PPOConfig(env="Pendulum-v1", normalize_reward=True, gae_lambda=0.9, progress_bar=False)
    trainer = PPOTrainer.from_config(config)
    trainer.hooks.resolve()
    batch = trainer.hooks["batch_process"].replace(trainer.collector.collect())
    found = batch["advantage"].clone()
    GAE(config.gamma, 0.9, reward_key=("next", "scaled_reward"))(batch)
    assert torch.equal(found, batch["advantage"])
    assert not torch.allclose(batch["next", "scaled_reward"], batch["next", "reward"])


def test_the_network_is_the_one_that_was_asked_for():
    network = build(
        env="Pendulum-v1",
        network=NetworkConfig(
            hidden_sizes=(7,), activation="relu", shared_trunk=True, log_std_init=-1.0
        ),
    ).loss_module.actor_critic
    assert network.distribution.log_std.tolist() == [-1.0]
    assert [type(layer).__name__ for layer in network.trunk[1]] == ["Linear", "ReLU"]
    assert network.trunk[1][0].out_features == 7


def test_the_progress_bar_is_there_if_asked_for():
    assert "progress_bar" in build(progress_bar=True).modules
    assert "progress_bar" not in build(progress_bar=False).modules


def test_a_dictionary_is_no_config():
    with pytest.raises(InvalidType, match="config is a dict: expected a PPOConfig"):
        PPOTrainer.from_config({"env": "CartPole-v1"})


def test_a_loss_of_another_kind_is_refused_with_what_is_missing():
    with pytest.raises(InvalidType, match="without 'actor_critic'"):
        PPOTrainer(collector=[], total_frames=1, loss_module=torch.nn.Identity(), optimizer=None)


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="device='gpu'"):
        build(device="gpu")


def test_a_trainer_that_cannot_be_built_leaves_no_run_behind(tmp_path, monkeypatch):
    config = PPOConfig(num_envs=1, run_dir=str(tmp_path / "run"), progress_bar=False)
    with monkeypatch.context() as patch:
        patch.setattr(ppo, "Minibatches", None)
        with pytest.raises(TypeError):
            PPOTrainer.from_config(config)
    assert PPOTrainer.from_config(config).collected_frames == 0
