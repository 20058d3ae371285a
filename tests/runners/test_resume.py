import dataclasses
import json

import pytest
import torch

from hookrl.configs import CheckpointConfig, NetworkConfig, PPOConfig, to_plain
from hookrl.errors import ExistingFile, InvalidValue, MissingFile, MissingKey, UserError
from hookrl.hooks import EarlyStopping
from hookrl.loggers import RunDirectory
from hookrl.runners.resume import resume_run
from hookrl.trainers import PPOTrainer

CONFIG = PPOConfig(
    num_envs=2,
    steps_per_env=10,
    total_frames=100,
    log_interval=20,
    epochs=1,
    minibatches=2,
    progress_bar=False,
    network=NetworkConfig(hidden_sizes=(4,)),
    checkpoint=CheckpointConfig(interval=20, max_checkpoints=None, background=False),
)


def train(path, **changes):
    config = dataclasses.replace(CONFIG, run_dir=str(path), **changes)
    trainer = PPOTrainer.from_config(config)
    trainer.train()
    return trainer


def weights(trainer):
    return torch.cat([p.detach().flatten() for p in trainer.loss_module.parameters()])


@pytest.fixture
def finished(tmp_path):
    train(tmp_path / "run")
    return tmp_path / "run"


def test_a_run_has_checkpoints_by_frame(finished):
    assert [p.name for p in sorted((finished / "checkpoints").glob("0*"))] == [
        f"{frames:012d}" for frames in (20, 40, 60, 80, 100)
    ]


def test_a_run_goes_on_where_it_stood(finished):
    trainer = resume_run(finished).trainer
    assert trainer.collected_frames == 100


def test_a_run_is_prolonged_and_says_what_changed(finished):
    resumed = resume_run(finished, ["total_frames=140"])
    resumed.trainer.train()
    assert resumed.changed == ["total_frames: 100 → 140"]
    assert resumed.trainer.collected_frames == 140
    run = RunDirectory.open(finished)
    assert run.config["total_frames"] == 140
    assert run.history == [{"frames": 100, "changed": resumed.changed}]
    assert run.metrics()["frames"] == [20.0, 40.0, 60.0, 80.0, 100.0, 120.0, 140.0]


def test_a_run_that_was_killed_is_resumed_to_the_bit(tmp_path):
    whole = train(tmp_path / "whole")

    class Killed(Exception):
        pass

    def kill():
        if killed.collected_frames == 60:
            raise Killed

    config = dataclasses.replace(CONFIG, run_dir=str(tmp_path / "killed"))
    killed = PPOTrainer.from_config(config)
    killed.register_op("pre_optim_steps", kill)
    with pytest.raises(Killed):
        killed.train()
    resumed = resume_run(tmp_path / "killed").trainer
    assert resumed.collected_frames == 40
    resumed.train()
    assert torch.equal(weights(resumed), weights(whole))
    timeless = [
        {k: v for k, v in RunDirectory.open(tmp_path / name).metrics().items() if k[:5] != "time/"}
        for name in ("whole", "killed")
    ]
    assert repr(timeless[0]) == repr(timeless[1])


def test_a_fork_leaves_the_run_alone_and_knows_where_it_comes_from(finished):
    before = (finished / "config.json").read_bytes(), (finished / "metrics.csv").read_bytes()
    fork = resume_run(finished, ["learning_rate=0.5"], at=40, into=finished.parent / "fork")
    fork.trainer.train()
    assert before == (
        (finished / "config.json").read_bytes(),
        (finished / "metrics.csv").read_bytes(),
    )
    assert fork.run.history == [
        {
            "forked_from": str(finished),
            "frames": 40,
            "changed": [f"learning_rate: {CONFIG.learning_rate} → 0.5"],
        }
    ]
    assert fork.run.metrics()["frames"] == [20.0, 40.0, 60.0, 80.0, 100.0]
    assert fork.run.metrics()["train/learning_rate"][-1] > CONFIG.learning_rate


def test_a_fork_without_changes_ends_as_the_run_did(finished):
    whole = train(finished.parent / "whole")
    fork = resume_run(finished, at=60, into=finished.parent / "fork").trainer
    fork.train()
    assert torch.equal(weights(fork), weights(whole))


def test_going_back_in_place_is_refused(finished):
    with pytest.raises(InvalidValue, match="expected a new run directory"):
        resume_run(finished, at=40)


def test_a_fork_into_a_directory_in_use_is_refused(finished):
    with pytest.raises(ExistingFile, match="exists and is not empty"):
        resume_run(finished, at=40, into=finished)


def test_a_checkpoint_that_is_not_there_is_refused_with_those_that_are(finished):
    with pytest.raises(MissingFile, match="no checkpoint 41: expected one of 20, 40, 60, 80, 100"):
        resume_run(finished, at=41, into=finished.parent / "fork")
    assert not (finished.parent / "fork").exists()


def test_a_run_without_checkpoints_cannot_go_on(tmp_path):
    run = RunDirectory.create(tmp_path / "run", to_plain(CONFIG), algorithm="ppo")
    with pytest.raises(MissingFile, match="has no checkpoint yet"):
        resume_run(run.path)


def test_a_run_of_an_unknown_algorithm_is_refused_with_the_nearest(finished):
    content = json.loads((finished / "config.json").read_text())
    (finished / "config.json").write_text(json.dumps({**content, "algorithm": "pop"}))
    with pytest.raises(InvalidValue, match=r"'pop' \(did you mean 'ppo'\?\)"):
        resume_run(finished)


def test_an_unknown_setting_changes_nothing(finished):
    before = (finished / "config.json").read_bytes()
    with pytest.raises(MissingKey, match="total_frame"):
        resume_run(finished, ["total_frame=1"])
    assert (finished / "config.json").read_bytes() == before


@pytest.mark.parametrize("change", ["network.hidden_sizes=[7]", "env=CartPole-v9"])
def test_what_does_not_fit_is_refused_before_anything_changes(finished, change):
    before = (finished / "config.json").read_bytes()
    with pytest.raises(UserError):
        resume_run(finished, [change])
    assert (finished / "config.json").read_bytes() == before
    with pytest.raises(UserError):
        resume_run(finished, [change], into=finished.parent / "fork")
    assert resume_run(finished, into=finished.parent / "fork").trainer.collected_frames == 100


def test_a_run_with_a_hook_of_ones_own_goes_on_with_it(tmp_path):
    def add_hook(trainer):
        EarlyStopping("episode/mean_reward", threshold=1e6).register(trainer)

    trainer = PPOTrainer.from_config(dataclasses.replace(CONFIG, run_dir=str(tmp_path / "run")))
    add_hook(trainer)
    trainer.train()
    with pytest.raises(MissingKey, match=r"Hooks of your own are registered first: resume_run"):
        resume_run(tmp_path / "run")
    resumed = resume_run(tmp_path / "run", ["total_frames=140"], register=add_hook).trainer
    resumed.train()
    assert resumed.collected_frames == 140
