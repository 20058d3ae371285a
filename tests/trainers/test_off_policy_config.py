"""Every field of the configs of DQN and both forms of SAC reaches the part it belongs to."""

import dataclasses
import math

import pytest

from hookrl.collectors import OverlappedCollector, TensorCollector, VectorCollector
from hookrl.configs import (
    CheckpointConfig,
    DiscreteSACConfig,
    DQNConfig,
    EvaluationConfig,
    ReplayConfig,
    SACConfig,
    field_docs,
)
from hookrl.envs.tensor import TensorEnv
from hookrl.errors import ExistingFile
from hookrl.hooks import OptimizerHook
from hookrl.trainers import DiscreteSACTrainer, DQNTrainer, SACTrainer, assembly
from hookrl.trainers.captured import CapturedStep
from hookrl.trainers.step import EagerStep

TRAINERS = {DQNConfig: DQNTrainer, SACConfig: SACTrainer, DiscreteSACConfig: DiscreteSACTrainer}


def buffer(trainer):
    return trainer.modules["replay_buffer"].replay_buffer


def loss(attribute):
    return lambda trainer: getattr(trainer.loss_module, attribute)


def hook(name, attribute):
    return lambda trainer: getattr(trainer.modules[name], attribute)


def rates(trainer):
    """Of all optimizers."""
    hooks = [hook for hook in trainer.modules.values() if isinstance(hook, OptimizerHook)]
    optimizers = [hook.optimizer for hook in hooks] or [trainer.optimizer]
    return {group["lr"] for optimizer in optimizers for group in optimizer.param_groups}


def perceptrons(trainer):
    """The layers of each network that is trained."""
    loss = trainer.loss_module
    if isinstance(trainer, DQNTrainer):
        return [list(loss.q_network.action_net)]
    return [list(loss.policy.policy_net), list(loss.critics.net)]


def hidden_sizes(trainer):
    return {tuple(x.bias.shape[-1] for x in layers[:-1:2]) for layers in perceptrons(trainer)}


def activations(trainer):
    return {type(layer).__name__ for layers in perceptrons(trainer) for layer in layers[1::2]}


def devices(trainer):
    parameters = {parameter.device.type for parameter in trainer.loss_module.parameters()}
    return parameters | {trainer.collector.device.type}


# A value that is not the default, where to read it, and what is read there if that is not it.
COMMON = {
    "env_kwargs": (
        {"render_mode": "rgb_array"},
        lambda t: t.collector.env.envs[0].spec.kwargs["render_mode"],
        "rgb_array",
    ),
    "total_frames": (777, lambda t: t.total_frames),
    "frame_skip": (2, lambda t: t.frame_skip),
    "seed": (9, lambda t: t.seed),
    "log_interval": (123, lambda t: t.metrics._interval),
    "torch_threads": (2, hook("torch_threads", "threads")),
    "matmul_precision": ("high", hook("matmul_precision", "precision")),
    "overlap_collection": (True, lambda t: isinstance(t.collector, OverlappedCollector)),
    "keep_freed_memory": (False, lambda t: "keep_freed_memory" in t.modules),
    "device": ("meta", devices, {"meta"}),
    "train_frequency": (20, lambda t: t.collector.frames_per_batch),
    "gradient_steps": (3, lambda t: t.optim_steps_per_batch),
    "replay.capacity": (500, lambda t: buffer(t).capacity),
    "replay.batch_size": (17, lambda t: buffer(t).batch_size),
    "replay.learning_starts": (70, hook("warm_up", "learning_starts")),
    "replay.n_step": (3, lambda t: buffer(t).n_step),
    "gamma": (0.9, lambda t: {t.loss_module.gamma, buffer(t).gamma}, {0.9}),
    "tau": (0.5, hook("target_update", "tau")),
    "loss_function": ("smooth_l1", loss("loss_function")),
    "learning_rate": (0.01, rates, {0.01}),
    "max_grad_norm": (0.7, lambda t: t.clip_norm),
    "network.hidden_sizes": ((7, 5), hidden_sizes, {(7, 5)}),
    "network.activation": ("tanh", activations, {"Tanh"}),
}
DISCRETE = {"env": ("Acrobot-v1", lambda t: t.collector.env.envs[0].spec.id)}
SOFT = {
    "replay.learning_starts": (
        70,
        lambda t: {t.modules["warm_up"].learning_starts, t.collector.init_random_frames},
        {70},
    ),
    "alpha": (0.3, lambda t: t.loss_module.alpha().item(), pytest.approx(0.3)),
    "learn_alpha": (
        False,
        lambda t: {"alpha" in t.modules, not t.loss_module.fixed_alpha},
        {False},
    ),
}
REACHES = {
    DQNConfig: {
        **COMMON,
        **DISCRETE,
        "double": (True, loss("double_q")),
        "dueling": (True, lambda t: t.loss_module.q_network.value_net is not None),
        "target_interval": (7, hook("target_update", "every")),
        "epsilon_start": (0.8, lambda t: t.modules["epsilon"].schedule(0)),
        "epsilon_end": (
            0.2,
            lambda t: t.modules["epsilon"].schedule(t.total_frames),
            pytest.approx(0.2),
        ),
        "exploration_fraction": (
            0.1,
            lambda t: [t.modules["epsilon"].schedule(n) for n in (49_999, 50_000)],
            pytest.approx([0.05 + 0.95 / 50_000, 0.05]),
        ),
    },
    SACConfig: {
        **COMMON,
        **SOFT,
        "env": ("MountainCarContinuous-v0", DISCRETE["env"][1]),
    },
    DiscreteSACConfig: {
        **COMMON,
        **DISCRETE,
        **SOFT,
        "target_interval": (7, hook("target_update", "every")),
        "target_entropy_scale": (0.3, loss("target_entropy"), pytest.approx(0.3 * math.log(2))),
    },
}
TESTED_BELOW = {
    "num_envs",
    "normalize_observation",
    *(f"checkpoint.{field.name}" for field in dataclasses.fields(CheckpointConfig)),
    "evaluation.interval",
    "evaluation.episodes",
    "evaluation.num_envs",
    "run_dir",
    "overwrite",
    "progress_bar",
    "replay.prioritized",
    "replay.alpha",
    "replay.beta",
    "replay.save_contents",
    "compile",
    "vectorization_mode",
}
each_config = pytest.mark.parametrize("config_type", TRAINERS)


def build(config_type, **settings):
    trainer = TRAINERS[config_type].from_config(config_type(**{"progress_bar": False, **settings}))
    trainer.collector.shutdown()
    return trainer


@each_config
def test_every_field_is_accounted_for(config_type):
    fields = {row.name for row in field_docs(config_type)}
    assert fields == set(REACHES[config_type]) | TESTED_BELOW


@pytest.mark.parametrize(
    ("config_type", "field"),
    [(config_type, field) for config_type, fields in REACHES.items() for field in fields],
)
def test_a_field_reaches_its_part(config_type, field):
    value, read, *expected = REACHES[config_type][field]
    default, (group, _, name) = config_type(), field.rpartition(".")
    assert value != getattr(getattr(default, group) if group else default, name)
    if group:
        settings = {group: dataclasses.replace(getattr(default, group), **{name: value})}
    else:
        settings = {name: value}
    assert read(build(config_type, **settings)) == (expected[0] if expected else value)


@each_config
def test_environments_share_the_frames_of_a_batch(config_type):
    collector = build(config_type, num_envs=3, train_frequency=6).collector
    assert (collector.num_envs, collector.steps_per_env) == (3, 2)


@each_config
def test_evaluation_is_what_was_asked_for_and_sees_what_training_sees(config_type, monkeypatch):
    asked = {}

    class Evaluation:
        def __init__(self, **arguments):
            asked.update(arguments)

        def register(self, trainer):
            pass

    monkeypatch.setattr(assembly, "LogValidationReward", Evaluation)
    evaluation = EvaluationConfig(interval=5, episodes=4, num_envs=2)
    trainer = build(config_type, normalize_observation=True, evaluation=evaluation)
    assert asked["view"] == trainer.collector.transform.frozen
    assert asked["environment"] == config_type().env
    assert [asked[name] for name in ("record_interval", "episodes", "num_envs")] == [5, 4, 2]
    assert build(config_type).collector.transform is None


@each_config
def test_prioritized_replay_has_its_exponents(config_type):
    replay = ReplayConfig(prioritized=True, alpha=0.1, beta=0.2)
    sampler = buffer(build(config_type, replay=replay)).sampler
    assert (sampler.alpha, sampler.beta) == (0.1, 0.2)


@each_config
def test_steps_are_captured_if_that_is_asked_for(config_type):
    assert isinstance(build(config_type).step, EagerStep)
    assert isinstance(build(config_type, compile=True).step, CapturedStep)


@each_config
def test_tensor_environments_are_stepped_with_the_policy_unless_it_begins_at_random(config_type):
    env = "Pendulum-v1" if config_type is SACConfig else "CartPole-v1"
    trainer = build(config_type, env=env, vectorization_mode="tensor")
    assert isinstance(trainer.collector.env, TensorEnv)
    expected = TensorCollector if config_type is DQNConfig else VectorCollector
    assert type(trainer.collector) is expected


@each_config
def test_the_contents_of_the_buffer_may_be_left_out_of_checkpoints(config_type):
    assert build(config_type).modules["replay_buffer"].save_contents
    replay = ReplayConfig(save_contents=False)
    assert not build(config_type, replay=replay).modules["replay_buffer"].save_contents


@each_config
def test_the_run_directory_is_replaced_only_if_that_is_asked_for(config_type, tmp_path):
    run_dir = str(tmp_path / "run")
    build(config_type, run_dir=run_dir)
    with pytest.raises(ExistingFile, match="overwrite=true"):
        build(config_type, run_dir=run_dir)
    build(config_type, run_dir=run_dir, overwrite=True)


@each_config
def test_the_progress_bar_is_there_if_asked_for(config_type):
    assert "progress_bar" in build(config_type, progress_bar=True).modules
    assert "progress_bar" not in build(config_type, progress_bar=False).modules


@each_config
def test_a_device_that_is_not_there_is_refused(config_type):
    with pytest.raises(ValueError, match="device='gpu'"):
        build(config_type, device="gpu")
