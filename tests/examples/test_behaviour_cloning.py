"""The example composes an algorithm of its own in under 80 lines, and it learns."""

import importlib.util
from pathlib import Path

from hookrl.loggers import read_metrics

EXAMPLE = Path(__file__).parents[2] / "examples" / "behaviour_cloning.py"


def test_the_example_learns(tmp_path):
    spec = importlib.util.spec_from_file_location("behaviour_cloning", EXAMPLE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    example.make_trainer(20_000, str(tmp_path / "metrics.csv")).train()
    metrics = read_metrics(tmp_path / "metrics.csv")
    returns = [value for value in metrics["eval/mean_reward"] if value == value]
    assert returns[-1] > 450
    assert metrics["train/loss_cloning"][-1] < 0.5 * metrics["train/loss_cloning"][0]


def test_the_example_has_less_than_80_lines():
    assert len(EXAMPLE.read_text().splitlines()) < 80
