"""Drawing learning curves."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from hookrl.errors import InvalidValue
from hookrl.loggers import CSVLogger, Curve, draw_curves, draw_learning_curve
from hookrl.loggers.learning_curve import across_seeds

PNG = b"\x89PNG"


def logged(path: Path, **columns: list[float]) -> Path:
    logger = CSVLogger(path)
    for row in range(len(next(iter(columns.values())))):
        logger.log_metrics({f"{k}/mean_reward": v[row] for k, v in columns.items()}, 8 * (row + 1))
    logger.close()
    return path


def test_training_and_evaluation_are_drawn(tmp_path: Path) -> None:
    metrics = logged(tmp_path / "metrics.csv", episode=[1.0, 2.0], eval=[2.0, 3.0])
    picture = draw_learning_curve([metrics], tmp_path / "curve.png")
    assert picture is not None
    assert picture.read_bytes().startswith(PNG)


def test_nothing_is_drawn_of_a_run_without_returns(tmp_path: Path) -> None:
    metrics = logged(tmp_path / "metrics.csv", other=[1.0])
    assert draw_learning_curve([metrics], tmp_path / "curve.png") is None
    assert not (tmp_path / "curve.png").exists()


def test_returns_that_are_all_nan_are_no_returns(tmp_path: Path) -> None:
    metrics = logged(tmp_path / "metrics.csv", episode=[float("nan")])
    assert draw_learning_curve([metrics], tmp_path / "curve.png") is None


def test_unknown_metric_is_refused_with_the_nearest(tmp_path: Path) -> None:
    curve = Curve(label="", tables=[{"frames": [8], "train/kl": [0.1]}])
    with pytest.raises(InvalidValue, match=r"'train/lk' \(did you mean 'train/kl'\?\)"):
        draw_curves([curve], tmp_path / "curve.png", metric="train/lk")


def test_unknown_format_is_refused(tmp_path: Path) -> None:
    curve = Curve(label="", tables=[{"frames": [8], "a": [0.1]}])
    with pytest.raises(InvalidValue, match="expected a file ending in one of"):
        draw_curves([curve], tmp_path / "curve.xyz", metric="a")


def test_pyplot_and_its_global_state_are_not_touched(tmp_path: Path) -> None:
    before = "matplotlib.pyplot" in sys.modules
    draw_curves(
        [Curve(label="", tables=[{"frames": [8], "a": [0.1]}])], tmp_path / "a.png", metric="a"
    )
    assert ("matplotlib.pyplot" in sys.modules) == before


def test_seeds_are_compared_at_common_frames_and_not_beyond_their_own() -> None:
    first = {"frames": [0.0, 10.0, 20.0], "a": [0.0, 10.0, 20.0]}
    second = {"frames": [5.0, 10.0], "a": [1.0, float("nan")]}
    frames, values = across_seeds([first, second], "a")
    assert frames.tolist() == [0, 5, 10, 20]
    assert values[0].tolist() == [0, 5, 10, 20]
    assert values[1][1] == 1
    assert np.isnan(values[1][[0, 2, 3]]).all()
