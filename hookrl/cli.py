"""The command line: ``hookrl train``, ``hookrl evaluate`` and ``hookrl plot``.

Whatever is heavy is imported by the command that needs it, so that ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import importlib
import shutil
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from hookrl import __version__
from hookrl.configs import field_docs, from_overrides
from hookrl.errors import UserError, did_you_mean


class Algorithm(NamedTuple):
    """What the command line has to know of an algorithm."""

    title: str
    config: str
    """The dataclass of its settings, as ``module:name``."""
    trainer: str
    """The class with ``from_config``, as ``module:name``."""


ALGORITHMS = {
    "dqn": Algorithm("deep Q-learning", "hookrl.configs:DQNConfig", "hookrl.trainers:DQNTrainer"),
    "ppo": Algorithm(
        "proximal policy optimisation", "hookrl.configs:PPOConfig", "hookrl.trainers:PPOTrainer"
    ),
    "sac": Algorithm("soft actor-critic", "hookrl.configs:SACConfig", "hookrl.trainers:SACTrainer"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; a user's mistake is one sentence and a 2."""
    try:
        options = _parser().parse_args(arguments)
        options.run(options)
    except UserError as error:
        notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
        print(f"hookrl: {error}{notes}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.filename is None:
            raise
        print(f"hookrl: {error.filename}: {error.strerror}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("hookrl: interrupted.", file=sys.stderr)
        return 130
    return 0


def train(options: argparse.Namespace) -> None:
    """Train, and say where the results are and what came out."""
    algorithm = ALGORITHMS[options.algorithm]
    config = from_overrides(_load(algorithm.config), options.overrides)
    if config.run_dir is None:
        config.run_dir = str(_new_run_directory(options.algorithm, config.env, config.seed))
    trainer = _load(algorithm.trainer).from_config(config)
    start = time.perf_counter()
    trainer.train()
    seconds = time.perf_counter() - start
    frames = trainer.collected_frames
    print(f"{frames:,} frames in {seconds:.1f} s", end="")
    print(_final_return(config.run_dir))
    print(f"run directory: {config.run_dir}")


def evaluate(options: argparse.Namespace) -> None:
    """Evaluate the final weights of a run and print the returns in figures."""
    from hookrl.runners.evaluate import evaluate_run

    seed = {} if options.seed is None else {"seed": options.seed}
    result = evaluate_run(options.run_path, episodes=options.episodes, **seed)
    returns = result.returns
    print(f"{options.run_path}: {len(returns)} deterministic episodes of the final weights")
    print(f"  return   {result.mean:.1f} ± {result.std:.1f} (mean, standard deviation)")
    print(f"           {result.interquartile_mean:.1f} (interquartile mean)")
    print(f"           {min(returns):.1f} to {max(returns):.1f}")
    print(f"  length   {sum(result.lengths) / len(result.lengths):.1f} steps (mean)")


def plot(options: argparse.Namespace) -> None:
    """Draw learning curves and say where."""
    from hookrl.runners.plot import plot_runs

    metric = {} if options.metric is None else {"metric": options.metric}
    print(plot_runs(options.run_paths, out=options.out, **metric))


class _Parser(argparse.ArgumentParser):
    """Reports misuse as every other mistake of the user is reported."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (see {self.prog} --help).")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = list(action.choices)
            raise UserError(
                f"there is no {str(action.metavar).lower()} {value!r}"
                f"{did_you_mean(str(value), known)}: expected one of {', '.join(known)}."
            )


class _AlgorithmParser(_Parser):
    """Explains every setting of one algorithm, read from its config only if asked."""

    def format_help(self) -> str:
        algorithm = ALGORITHMS[self.prog.split()[-1]]
        return f"{super().format_help()}\nsettings:\n{_settings(_load(algorithm.config))}\n"


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="hookrl", description="Reinforcement learning from hooks: train, evaluate, plot."
    )
    parser.add_argument("--version", action="version", version=f"hookrl {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    training = commands.add_parser("train", help="train an algorithm on an environment")
    algorithms = training.add_subparsers(
        metavar="ALGORITHM", dest="algorithm", required=True, parser_class=_AlgorithmParser
    )
    for name, algorithm in ALGORITHMS.items():
        one = algorithms.add_parser(
            name,
            help=algorithm.title,
            description=f"Train by {algorithm.title}.",
            usage=f"hookrl train {name} [KEY=VALUE ...]",
        )
        one.add_argument(
            "overrides",
            metavar="KEY=VALUE",
            nargs="*",
            help="any of the settings below, as in env=CartPole-v1 network.hidden_sizes=[256,256]",
        )
        one.set_defaults(run=train)

    evaluation = commands.add_parser("evaluate", help="evaluate the final weights of a run")
    evaluation.add_argument("run_path", metavar="RUN", type=Path, help="directory of the run")
    evaluation.add_argument("--episodes", type=int, default=100, help="how many (default: 100)")
    evaluation.add_argument("--seed", type=_seed, help="of the episodes (default: a fixed one)")
    evaluation.set_defaults(run=evaluate)

    plotting = commands.add_parser("plot", help="draw learning curves, the mean over equal runs")
    plotting.add_argument(
        "run_paths", metavar="RUN", type=Path, nargs="+", help="directories of the runs"
    )
    plotting.add_argument("--metric", help="column of metrics.csv (default: the episode return)")
    plotting.add_argument(
        "--out",
        type=Path,
        help="image to write (default: inside the run, or learning_curves.png here for several)",
    )
    plotting.set_defaults(run=plot)
    return parser


def _settings(config_type: type[Any]) -> str:
    """Lay out the settings of a config: name and default in one column, meaning in the other."""
    margin = 36
    width = max(60, min(shutil.get_terminal_size().columns, 110)) - margin
    lines = []
    for name, _, default, doc in field_docs(config_type):
        left = f"  {name}={_written(default)}"
        paragraph = textwrap.wrap(doc, width) or [""]
        if len(left) >= margin - 1:
            lines.append(left)
            left = ""
        lines += [
            f"{left:{margin}}{paragraph[0]}",
            *(" " * margin + line for line in paragraph[1:]),
        ]
    return "\n".join(lines)


def _written(value: Any) -> str:
    """Write a value as an override would."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{','.join(map(str, value))}]"
    return str(value)


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def _seed(text: str) -> int:
    """Read a seed for argparse, which makes a sentence of the error."""
    seed = int(text)
    if seed < 0:
        raise argparse.ArgumentTypeError(f"{seed}: expected a whole number of at least 0")
    return seed


def _new_run_directory(algorithm: str, env: str, seed: int) -> Path:
    """Return ``runs/<algorithm>-<env>-seed<n>``, with a number behind it if that is taken."""
    name = f"{algorithm}-{env.replace('/', '-').replace(':', '-')}-seed{seed}"
    path, number = Path("runs") / name, 1
    while path.exists():
        number += 1
        path = Path("runs") / f"{name}-{number}"
    return path


def _final_return(run_path: str) -> str:
    """Say what the last training episodes brought, if that was logged."""
    from hookrl.loggers.learning_curve import RETURN
    from hookrl.loggers.run_directory import RunDirectory

    run = RunDirectory.open(run_path)
    column = run.metrics().get(RETURN, []) if run.metrics_file.is_file() else []
    values = [value for value in column if value == value]  # not NaN
    return f", episode return at the end: {values[-1]:.1f}" if values else ""
