"""DQN and both forms of SAC: nothing but hooks, reproducible, refusing what cannot work."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hookrl.configs import (
    DiscreteSACConfig,
    DQNConfig,
    EvaluationConfig,
    ReplayConfig,
    SACConfig,
)
from hookrl.errors import InvalidType, InvalidValue, MissingKey
from hookrl.hooks import ReplayBufferTrainer
from hookrl.loggers import read_metrics
from hookrl.replay import PrioritizedSampler, ReplayBuffer
from hookrl.runners.evaluate import evaluate_run
from hookrl.trainers import DiscreteSACTrainer, DQNTrainer, SACTrainer

REPLAY = ReplayConfig(capacity=1000, batch_size=16, learning_starts=100)
SMALL = {"total_frames": 400, "log_interval": 100, "progress_bar": False, "replay": REPLAY}
ALGORITHMS = {
    "dqn": (DQNTrainer, DQNConfig),
    "sac": (SACTrainer, SACConfig),
    "discrete_sac": (DiscreteSACTrainer, DiscreteSACConfig),
}
PENDULUM = "Box(-2.0, 2.0, (1,), float32)"


def build(algorithm, **settings):
    trainer, config = ALGORITHMS[algorithm]
    return trainer.from_config(config(**{**SMALL, **settings}))


def run(tmp_path, name, algorithm, **settings):
    """Train and return the final weights and all metrics but those of time."""
    build(algorithm, run_dir=str(tmp_path / name), **settings).train()
    metrics = read_metrics(tmp_path / name / "metrics.csv")
    weights = torch.load(tmp_path / name / "weights.pt", weights_only=True)["policy"]
    return weights, {k: v for k, v in metrics.items() if not k.startswith("time/")}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_it_is_nothing_but_hooks(algorithm):
    golden = Path(__file__).parent / f"{algorithm}_description.txt"
    assert build(algorithm).describe() + "\n" == golden.read_text()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_two_runs_of_one_seed_are_bit_identical(tmp_path, algorithm):
    first = run(tmp_path, "first", algorithm, seed=3)
    torch.manual_seed(99)  # what is global must not matter
    second = run(tmp_path, "second", algorithm, seed=3)
    assert all(torch.equal(first[0][name], second[0][name]) for name in first[0])
    assert repr(first[1]) == repr(second[1])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_another_seed_gives_other_networks(algorithm):
    first, second = (dict(build(algorithm, seed=s).loss_module.named_parameters()) for s in (1, 2))
    drawn = first.keys() - {"log_alpha"}
    assert all(not torch.equal(first[name], second[name]) for name in drawn)


@pytest.mark.parametrize(
    "settings",
    [
        {"double": True, "dueling": True, "loss_function": "smooth_l1"},
        {"replay": ReplayConfig(capacity=500, batch_size=8, learning_starts=50, n_step=3)},
        {"replay": ReplayConfig(capacity=500, batch_size=8, learning_starts=50, prioritized=True)},
        {"num_envs": 5, "train_frequency": 20, "gradient_steps": 3, "max_grad_norm": 1.0},
        {"normalize_observation": True, "evaluation": EvaluationConfig(interval=200, episodes=2)},
    ],
    ids=["double dueling", "n-step", "prioritized", "many environments", "normalised"],
)
def test_every_variant_of_dqn_trains(settings):
    trainer = build("dqn", **settings)
    before = [parameter.clone() for parameter in trainer.loss_module.parameters()]
    trainer.train()
    after = list(trainer.loss_module.parameters())
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize(
    "settings",
    [
        {"learn_alpha": False, "alpha": 0.2, "loss_function": "smooth_l1"},
        {"replay": ReplayConfig(capacity=500, batch_size=8, learning_starts=52, n_step=3)},
        {"replay": ReplayConfig(capacity=500, batch_size=8, learning_starts=52, prioritized=True)},
        {"num_envs": 5, "train_frequency": 20, "gradient_steps": 3, "max_grad_norm": 1.0},
        {"normalize_observation": True, "evaluation": EvaluationConfig(interval=200, episodes=2)},
    ],
    ids=["fixed temperature", "n-step", "prioritized", "many environments", "normalised"],
)
@pytest.mark.parametrize("algorithm", ["sac", "discrete_sac"])
def test_every_variant_of_sac_trains(algorithm, settings):
    trainer = build(algorithm, **settings)
    before = [parameter.clone() for parameter in trainer.loss_module.parameters()]
    trainer.train()
    after = list(trainer.loss_module.parameters())
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_the_target_network_is_copied_at_its_interval_and_not_between():
    trainer = build("dqn", target_interval=7)
    loss, equal = trainer.loss_module, []

    def compare():
        pairs = zip(loss.q_network.parameters(), loss.target_network.parameters(), strict=True)
        equal.append(all(torch.equal(a, b) for a, b in pairs))

    trainer.register_op("post_optim", compare, priority=10)
    trainer.train()
    assert [step + 1 for step, same in enumerate(equal) if same] == [7, 14, 21, 28]


def test_the_target_critics_of_discrete_sac_are_copied_at_their_interval_and_not_between():
    trainer = build("discrete_sac", target_interval=30)
    loss, equal = trainer.loss_module, []

    def compare():
        pairs = zip(loss.critics.parameters(), loss.target_critics.parameters(), strict=True)
        equal.append(all(torch.equal(a, b) for a, b in pairs))

    trainer.register_op("post_optim", compare, priority=10)
    trainer.train()
    assert [step + 1 for step, same in enumerate(equal) if same] == [30, 60]


def test_epsilon_falls_linearly_over_its_share_of_the_frames():
    trainer, seen = build("dqn", exploration_fraction=0.5), []
    trainer.register_op(
        "batch_process", lambda batch: seen.append(trainer.modules["epsilon"]._epsilon)
    )
    trainer.train()
    assert seen[0] == 1.0
    assert seen[10] == pytest.approx(1.0 - 0.95 * 100 / 200)
    assert seen[-1] == pytest.approx(0.05)


def test_nothing_is_learned_before_learning_starts():
    trainer = build("dqn", total_frames=90)
    trainer.train()
    assert trainer.optim_steps == 0


def test_sac_acts_at_random_until_learning_starts():
    trainer = build("sac", total_frames=100)
    actions = []
    trainer.register_op("batch_process", lambda batch: actions.append(batch["action"].item()))
    trainer.train()
    # Uniform on [-2, 2]; the untrained policy would stay around 0.
    assert torch.tensor(actions).std() > 0.9
    assert trainer.collector._collected == 100


def test_discrete_sac_acts_at_random_until_learning_starts():
    trainer = build("discrete_sac", total_frames=200)
    # A policy that would always go right.
    with torch.no_grad():
        trainer.loss_module.policy.policy_net[-1].bias.copy_(torch.tensor([-50.0, 50.0]))
    actions = []
    trainer.register_op("batch_process", lambda batch: actions.extend(batch["action"].flatten()))
    trainer.train()
    assert 30 < sum(actions[:100]) < 70
    assert sum(actions[100:]) == 100


@pytest.mark.parametrize("algorithm", ["sac", "discrete_sac"])
def test_sac_learns_policy_critics_and_temperature(algorithm):
    trainer = build(algorithm, total_frames=150)
    before = {n: p.clone() for n, p in trainer.loss_module.named_parameters()}
    trainer.train()
    after = dict(trainer.loss_module.named_parameters())
    assert {name.split(".")[0] for name in before} == {"policy", "critics", "log_alpha"}
    assert all(not torch.equal(before[name], after[name]) for name in before)


def test_prioritized_replay_instead_of_uniform_is_one_line():
    trainer = build("dqn")
    prioritized = ReplayBuffer(1000, batch_size=16, sampler=PrioritizedSampler(0.6, 0.4))

    trainer.swap_hook("replay_buffer", ReplayBufferTrainer(prioritized))

    built = build("dqn", replay=replace(REPLAY, prioritized=True, alpha=0.6, beta=0.4))
    assert trainer.describe() == built.describe()
    trainer.train()
    built.train()
    weights = [list(one.loss_module.parameters()) for one in (trainer, built)]
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*weights, strict=True))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_finished_run_is_evaluated(tmp_path, algorithm):
    run(tmp_path, "run", algorithm)
    assert len(evaluate_run(tmp_path / "run", episodes=3).returns) == 3


@pytest.mark.parametrize(
    ("algorithm", "env", "sentence"),
    [
        (
            "dqn",
            "Pendulum-v1",
            "DQNTrainer expects Discrete actions, but those of env='Pendulum-v1' are "
            f"{PENDULUM}: SACTrainer is for a Box.",
        ),
        (
            "sac",
            "CartPole-v1",
            "SACTrainer expects Box actions, but those of env='CartPole-v1' are Discrete(2): "
            "DiscreteSACTrainer is for Discrete actions.",
        ),
        (
            "discrete_sac",
            "Pendulum-v1",
            "DiscreteSACTrainer expects Discrete actions, but those of env='Pendulum-v1' are "
            f"{PENDULUM}: SACTrainer is for a Box.",
        ),
    ],
)
def test_actions_of_the_wrong_kind_are_refused_with_the_trainer_to_use(
    tmp_path, algorithm, env, sentence
):
    with pytest.raises(InvalidType) as info:
        build(algorithm, env=env, run_dir=str(tmp_path / "run"))
    assert str(info.value) == sentence
    assert not (tmp_path / "run").exists()


def test_the_config_of_the_other_form_of_sac_is_refused():
    with pytest.raises(InvalidType, match="is a DiscreteSACConfig: expected a SACConfig"):
        SACTrainer.from_config(DiscreteSACConfig())
    with pytest.raises(InvalidType, match="is a SACConfig: expected a DiscreteSACConfig"):
        DiscreteSACTrainer.from_config(SACConfig())


def test_a_batch_larger_than_the_buffer_before_warm_up_is_refused():
    trainer = build("dqn", replay=ReplayConfig(capacity=1000, batch_size=64, learning_starts=0))
    with pytest.raises(InvalidValue, match="64"):
        trainer.train()


def test_batches_that_environments_cannot_share_are_refused():
    with pytest.raises(InvalidValue, match="train_frequency=10.*num_envs=3"):
        build("dqn", num_envs=3)


def test_a_key_that_the_loss_misses_is_named():
    trainer = build("dqn")
    trainer.register_op("process_optim_batch", lambda batch: batch.exclude("action"), priority=10)
    with pytest.raises(MissingKey, match="action"):
        trainer.train()
