"""Metrics as TensorBoard events."""

from __future__ import annotations

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from hookrl.loggers import TensorBoardLogger


def scalars(path: Path, name: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(path))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


def test_scalars_stand_at_their_frames(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path)
    logger.log_metrics({"a": 1.0}, 8)
    logger.log_metrics({"a": 2.0}, 16)
    logger.close()
    assert scalars(tmp_path, "a") == [(8, 1.0), (16, 2.0)]


def test_building_one_leaves_no_trace(tmp_path: Path) -> None:
    TensorBoardLogger(tmp_path / "tensorboard").close()
    assert not any(tmp_path.iterdir())


def test_config_is_shown_as_text(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path)
    logger.log_config({"gamma": 0.99})
    logger.close()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert events.Tags()["tensors"] == ["config/text_summary"]


def test_resuming_forgets_what_was_logged_after_the_checkpoint(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path)
    logger.log_metrics({"a": 1.0}, 8)
    state = logger.state_dict()
    logger.log_metrics({"a": 2.0}, 16)
    logger.log_metrics({"a": 3.0}, 24)
    logger.load_state_dict(state)
    logger.log_metrics({"a": 2.5}, 16)
    logger.close()
    assert scalars(tmp_path, "a") == [(8, 1.0), (16, 2.5)]
