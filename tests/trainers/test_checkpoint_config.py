"""Every field of a run's CheckpointConfig reaches the part it belongs to, in every algorithm."""

import dataclasses

import pytest

from hookrl.configs import (
    CheckpointConfig,
    DiscreteSACConfig,
    DQNConfig,
    PPOConfig,
    SACConfig,
)
from hookrl.errors import InvalidValue
from hookrl.trainers import DiscreteSACTrainer, DQNTrainer, PPOTrainer, SACTrainer

TRAINERS = {
    PPOConfig: PPOTrainer,
    DQNConfig: DQNTrainer,
    SACConfig: SACTrainer,
    DiscreteSACConfig: DiscreteSACTrainer,
}
REACHES = {
    "interval": (123, lambda trainer: trainer.save_trainer_interval),
    "max_checkpoints": (7, lambda trainer: trainer.checkpoints.max_checkpoints),
    "keep_period": (1000, lambda trainer: trainer.checkpoints.keep_period),
    "keep_best": ("eval/mean_reward", lambda trainer: trainer.checkpoints.keep_best),
    "backend": ("torchsnapshot", lambda trainer: trainer.checkpoints.backend),
    "background": (False, lambda trainer: trainer.save_in_background),
    "exact_resume": ("off", lambda trainer: trainer.exact_resume),
}
all_algorithms = pytest.mark.parametrize("config_type", TRAINERS, ids=lambda kind: kind.__name__)


def build(config_type, run_dir, **checkpoint):
    config = config_type(
        run_dir=None if run_dir is None else str(run_dir),
        progress_bar=False,
        checkpoint=CheckpointConfig(**checkpoint),
    )
    return TRAINERS[config_type].from_config(config)


def test_every_field_is_accounted_for():
    assert {field.name for field in dataclasses.fields(CheckpointConfig)} == set(REACHES)


@all_algorithms
@pytest.mark.parametrize("field", REACHES)
def test_a_field_reaches_its_part(config_type, field, tmp_path):
    value, read = REACHES[field]
    assert value != getattr(CheckpointConfig(), field)
    assert read(build(config_type, tmp_path / "run", **{field: value})) == value


@all_algorithms
@pytest.mark.parametrize("mode", ["require", "best", "off"])
def test_the_environments_are_resumed_as_exactly_as_was_asked(config_type, mode):
    trainer = build(config_type, None, exact_resume=mode)
    assert trainer.collector.exact_resume == ("off" if mode == "off" else "exact")
    assert trainer.collector._environments.mode == mode


@all_algorithms
def test_checkpoints_are_in_the_run_directory(config_type, tmp_path):
    trainer = build(config_type, tmp_path / "run")
    assert trainer.checkpoints.folder == tmp_path / "run" / "checkpoints"


def test_a_run_without_a_directory_saves_nothing():
    trainer = build(PPOConfig, None)
    assert trainer.checkpoints is None
    assert trainer.save_trainer_file is None


def test_the_config_is_recorded_in_checkpoints(tmp_path):
    trainer = build(PPOConfig, tmp_path / "run")
    trainer.save_trainer(True)
    trainer.finish_saving()
    about = trainer.checkpoints.versions.manifest(0).about
    assert about["config"]["env"] == "CartPole-v1"


@pytest.mark.parametrize(
    ("field", "value"), [("exact_resume", "always"), ("backend", "pickle"), ("interval", -1)]
)
def test_values_out_of_range_are_refused(field, value):
    with pytest.raises(InvalidValue, match=field):
        CheckpointConfig(**{field: value})
