"""The command line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tensordict import TensorDictBase

import hookrl
from hookrl import cli
from hookrl.configs import PPOConfig, to_plain
from hookrl.errors import InvalidValue
from hookrl.loggers import RunDirectory
from hookrl.trainers import Trainer


class FakeTrainer:
    """Takes a config and pretends to have learned."""

    config: PPOConfig
    collected_frames = 0

    @classmethod
    def from_config(cls, config: PPOConfig) -> FakeTrainer:
        cls.config = config
        cls.run = RunDirectory.create(config.run_dir or "", to_plain(config), algorithm="ppo")
        return cls()

    def train(self) -> None:
        self.collected_frames = 2048
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


def small_run(path: Path, *settings: str) -> list[str]:
    sizes = ["num_envs=2", "steps_per_env=10", "total_frames=60", "log_interval=20"]
    return ["train", "ppo", f"run_dir={path}", "checkpoint.interval=20", *sizes, *settings]


@pytest.fixture
def finished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A run of 60 frames with checkpoints at 40 and 60."""
    cli.main(small_run(tmp_path / "run"))
    capsys.readouterr()
    return tmp_path / "run"


def test_a_run_is_prolonged(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["resume", str(finished), "total_frames=100"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == [
        "changed: total_frames: 60 → 100",
        "resumed after 60 frames, exactly: yes",
    ]
    assert lines[2].startswith("40 frames in ")


def test_a_finished_run_says_how_to_prolong_it(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.main(["resume", str(finished)])
    assert "total_frames=… beyond 60 prolongs it" in capsys.readouterr().out


def test_settings_may_stand_behind_options(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fork = finished.parent / "fork"
    arguments = ["resume", str(finished), "--at", "40", "--into", str(fork), "gamma=0.5"]
    assert cli.main(arguments) == 0
    assert "changed: gamma: 0.99 → 0.5" in capsys.readouterr().out
    assert RunDirectory.open(fork).config["gamma"] == 0.5


def test_an_interrupted_run_says_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Trainer.optimize

    def interrupted(trainer: Trainer, batch: TensorDictBase) -> None:
        original(trainer, batch)
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Trainer, "optimize", interrupted)
    assert cli.main(small_run(tmp_path / "run")) == 130
    assert f"saved after 20 frames: hookrl resume {tmp_path / 'run'}" in capsys.readouterr().err
    monkeypatch.undo()
    assert cli.main(["resume", str(tmp_path / "run")]) == 0
    assert "resumed after 20 frames" in capsys.readouterr().out


def test_checkpoints_are_looked_at(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = finished / "checkpoints"
    first, second = (str(folder / f"{frames:012d}") for frames in (40, 60))
    assert cli.main(["checkpoint", "inspect", first]) == 0
    assert "loss_module" in capsys.readouterr().out
    assert cli.main(["checkpoint", "verify", str(folder)]) == 0
    capsys.readouterr()
    assert cli.main(["checkpoint", "diff", first, second]) == 0
    assert "collected_frames" in capsys.readouterr().out


def test_damage_is_exit_code_1(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = finished / "checkpoints" / f"{60:012d}" / "state.pt"
    state.write_bytes(state.read_bytes()[:-1])
    with pytest.raises(SystemExit) as caught:
        cli.main(["checkpoint", "verify", str(finished / "checkpoints")])
    assert caught.value.code == 1
    assert "state.pt" in capsys.readouterr().out


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


@pytest.mark.parametrize("algorithm", cli.ALGORITHMS)
def test_every_algorithm_has_its_settings_in_its_help(
    algorithm: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main(["train", algorithm, "--help"])
    printed = capsys.readouterr().out
    assert f"usage: hookrl train {algorithm} [KEY=VALUE ...]" in printed
    assert "learning_rate=" in printed


def test_discrete_sac_is_trained_and_evaluated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = str(tmp_path / "run")
    settings = ["total_frames=200", "replay.learning_starts=100", "replay.batch_size=8"]
    quiet = ["progress_bar=false", f"run_dir={run}"]
    assert cli.main(["train", "discrete-sac", "env=CartPole-v1", *settings, *quiet]) == 0
    assert cli.main(["evaluate", run, "--episodes", "2"]) == 0
    printed = capsys.readouterr().out
    assert "200 frames in " in printed
    assert "2 deterministic episodes of the final weights" in printed


def test_actions_that_an_algorithm_is_not_for_are_one_sentence_and_leave_no_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "sac", "env=CartPole-v1"]) == 2
    assert capsys.readouterr().err == (
        "hookrl: SACTrainer expects Box actions, but those of env='CartPole-v1' are Discrete(2): "
        "DiscreteSACTrainer is for Discrete actions.\n"
    )
    assert list(tmp_path.iterdir()) == []


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
