"""The command line."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import hookrl
from hookrl import cli
from hookrl.configs import PPOConfig, to_plain
from hookrl.errors import InvalidValue
from hookrl.loggers import RunDirectory


class FakeTrainer:
    """Takes a config and pretends to have learned."""

    config: PPOConfig
    collected_frames = 2048

    @classmethod
    def from_config(cls, config: PPOConfig) -> FakeTrainer:
        cls.config = config
        cls.run = RunDirectory.create(config.run_dir or "", to_plain(config), algorithm="ppo")
        return cls()

    def train(self) -> None:
        logger = self.run.logger()
        logger.log_metrics({"episode/mean_reward": 123.4}, 2048)
        logger.close()


@pytest.fixture
def fake_trainer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[FakeTrainer]:
    monkeypatch.chdir(tmp_path)
    fake = cli.ALGORITHMS["ppo"]._replace(trainer=f"{__name__}:FakeTrainer")
    monkeypatch.setitem(cli.ALGORITHMS, "ppo", fake)
    return FakeTrainer


def test_overrides_reach_the_trainer(fake_trainer: type[FakeTrainer]) -> None:
    assert cli.main(["train", "ppo", "gamma=0.9", "seed=3", "run_dir=runs/first"]) == 0
    assert (fake_trainer.config.gamma, fake_trainer.config.seed) == (0.9, 3)
    assert fake_trainer.config.run_dir == "runs/first"


@pytest.mark.usefixtures("fake_trainer")
def test_training_ends_with_figures_and_the_directory(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["train", "ppo", "run_dir=runs/first"])
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("2,048 frames in ")
    assert first.endswith("episode return at the end: 123.4")
    assert second == "run directory: runs/first"


def test_run_without_a_name_gets_a_new_one_each_time(fake_trainer: type[FakeTrainer]) -> None:
    names = []
    for _ in range(3):
        cli.main(["train", "ppo", "env=ALE/Pong-v5", "seed=1"])
        names.append(fake_trainer.config.run_dir)
    first = "runs/ppo-ALE-Pong-v5-seed1"
    assert names == [first, f"{first}-2", f"{first}-3"]


def test_evaluation_prints_its_figures(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: dict[str, Any] = {}

    def evaluate_run(path: Path, **options: Any) -> SimpleNamespace:
        asked.update(path=path, **options)
        return SimpleNamespace(
            returns=[1.0, 3.0], lengths=[1, 3], mean=2.0, std=1.0, interquartile_mean=2.5
        )

    module = SimpleNamespace(evaluate_run=evaluate_run)
    monkeypatch.setitem(sys.modules, "hookrl.runners.evaluate", module)
    assert cli.main(["evaluate", "runs/first", "--episodes", "2", "--seed", "7"]) == 0
    assert asked == {"path": Path("runs/first"), "episodes": 2, "seed": 7}
    printed = capsys.readouterr().out
    for figure in ("2 deterministic episodes", "2.0 ± 1.0", "2.5 (interquartile", "1.0 to 3.0"):
        assert figure in printed


def test_plot_prints_where_the_picture_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = RunDirectory.create(tmp_path / "run", {}, algorithm="ppo")
    logger = run.logger()
    logger.log_metrics({"a": 1.0}, 8)
    logger.close()
    out = tmp_path / "a.png"
    assert cli.main(["plot", str(run.path), "--metric", "a", "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert out.exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["train", "ppo", "gamm=1"], "PPOConfig has no field 'gamm' (did you mean 'gamma'?)."),
        (["train", "pppo"], "there is no algorithm 'pppo' (did you mean 'ppo'?): expected one of"),
        (["trian"], "there is no command 'trian' (did you mean 'train'?): expected one of"),
        (["train", "ppo", "--gamma", "1"], "unrecognized arguments: --gamma"),
        ([], "the following arguments are required: COMMAND"),
        (["plot", "nope"], "there is no run directory nope."),
        (["evaluate", "nope", "--episodes", "x"], "argument --episodes: invalid int value: 'x'"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"hookrl: {sentence}")
    assert printed.err.count("\n") == 1
    assert printed.out == ""


def test_a_mistake_found_while_training_is_one_sentence_too(
    fake_trainer: type[FakeTrainer],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def train(self: FakeTrainer) -> None:
        raise InvalidValue("the loss is NaN.")

    monkeypatch.setattr(fake_trainer, "train", train)
    assert cli.main(["train", "ppo"]) == 2
    assert capsys.readouterr().err == "hookrl: the loss is NaN.\n"


def test_an_error_of_the_program_keeps_its_traceback(
    fake_trainer: type[FakeTrainer], monkeypatch: pytest.MonkeyPatch
) -> None:
    def train(self: FakeTrainer) -> None:
        raise ValueError("a bug")

    monkeypatch.setattr(fake_trainer, "train", train)
    with pytest.raises(ValueError, match="a bug"):
        cli.main(["train", "ppo"])


def test_help_lists_every_setting_with_default_and_meaning(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["train", "ppo", "--help"])
    assert stopped.value.code == 0
    printed = capsys.readouterr().out
    for line in ("gamma=0.99 ", "network.hidden_sizes=[64,64] ", "target_kl=null ", "Discount"):
        assert line in printed
    assert max(map(len, printed.splitlines())) <= 110


@pytest.mark.parametrize("arguments", [["--help"], ["train", "ppo", "--help"]])
def test_help_answers_at_once_since_nothing_heavy_is_imported(arguments: list[str]) -> None:
    program = (
        "import sys\nfrom hookrl.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'numpy', 'gymnasium', 'tensordict', 'matplotlib', 'tqdm', 'omegaconf'}\n"
        "sys.exit(str(heavy & sys.modules.keys()) if heavy & sys.modules.keys() else 0)"
    )
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    seconds = time.perf_counter() - start
    assert done.returncode == 0, done.stderr
    assert seconds < 2.0  # half a second is what is promised; test machines may be busy


def test_python_dash_m_works() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hookrl", "--version"], capture_output=True, text=True
    )
    assert done.stdout == f"hookrl {hookrl.__version__}\n"
