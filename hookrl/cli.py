"""The command line: ``hookrl train``, ``resume``, ``evaluate``, ``plot`` and ``checkpoint``.

Whatever is heavy is imported by the command that needs it, so that ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from hookrl import __version__
from hookrl.algorithms import ALGORITHMS
from hookrl.configs import field_docs, from_overrides
from hookrl.errors import UserError, did_you_mean


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; a user's mistake is one sentence and a 2."""
    try:
        options = _parse(arguments)
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
    """Begin a run."""
    algorithm = ALGORITHMS[options.algorithm]
    config = from_overrides(algorithm.load_config(), options.overrides)
    if config.run_dir is None:
        config.run_dir = str(_new_run_directory(options.algorithm, config.env, config.seed))
    _run(algorithm.load_trainer().from_config(config), config.run_dir)


def resume(options: argparse.Namespace) -> None:
    """Go on with a run, or with a copy of it."""
    from hookrl.runners.resume import resume_run

    resumed = resume_run(
        options.run_path, options.overrides, at=options.at, into=options.new_run_path
    )
    trainer = resumed.trainer
    for change in resumed.changed:
        print(f"changed: {change}")
    print(f"resumed after {trainer.collected_frames:,} frames, exactly: {_exactly(trainer)}")
    if trainer.collected_frames >= trainer.total_frames:
        print(f"nothing is left to do; total_frames=… beyond {trainer.total_frames:,} prolongs it.")
    else:
        _run(trainer, str(resumed.run.path))


def checkpoint(options: argparse.Namespace) -> None:
    """Look at checkpoints without loading them into anything; damage is exit code 1."""
    from hookrl.checkpoints.inspect import diff, inspect, verify

    action: Any = {"inspect": inspect, "verify": verify, "diff": diff}[options.action]
    result = action(*options.paths)
    print(result)
    if not getattr(result, "sound", True):
        raise SystemExit(1)


def _run(trainer: Any, run_path: str) -> None:
    """Train, and say where the results are and what came out."""
    before, start = trainer.collected_frames, time.perf_counter()
    try:
        trainer.train()
    except (KeyboardInterrupt, SystemExit):
        print(
            f"saved after {trainer.collected_frames:,} frames: hookrl resume {run_path}",
            file=sys.stderr,
        )
        raise
    seconds = time.perf_counter() - start
    print(f"{trainer.collected_frames - before:,} frames in {seconds:.1f} s", end="")
    print(_final_return(run_path))
    print(f"run directory: {run_path}")


def _exactly(trainer: Any) -> str:
    return {"exact": "yes", "replayed": "yes, by replaying actions"}.get(trainer.resume_kind, "no")


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


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the arguments; settings may stand before options and behind them."""
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    settings = [text for text in rest if "=" in text and not text.startswith("-")]
    if settings != rest or (rest and not hasattr(options, "overrides")):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if settings:
        options.overrides = [*options.overrides, *settings]
    return options


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
        return f"{super().format_help()}\nsettings:\n{_settings(algorithm.load_config())}\n"


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="hookrl",
        description="Reinforcement learning from hooks: train, resume, evaluate, plot.",
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

    resuming = commands.add_parser("resume", help="go on with a run that was stopped")
    resuming.add_argument("run_path", metavar="RUN", type=Path, help="directory of the run")
    resuming.add_argument(
        "overrides",
        metavar="KEY=VALUE",
        nargs="*",
        help="settings to change, as in total_frames=1e6 to prolong it",
    )
    resuming.add_argument(
        "--at", metavar="FRAME", type=int, help="an older checkpoint, with --into"
    )
    resuming.add_argument(
        "--into", metavar="NEW", type=Path, dest="new_run_path", help="a new run directory"
    )
    resuming.set_defaults(run=resume)

    checkpoints = commands.add_parser("checkpoint", help="look at checkpoints")
    actions = checkpoints.add_subparsers(metavar="ACTION", dest="action", required=True)
    for name, help_text, count in (
        ("inspect", "list what a checkpoint holds", 1),
        ("verify", "compare every file with the hash that was taken of it", 1),
        ("diff", "list what differs between two checkpoints", 2),
    ):
        action = actions.add_parser(name, help=help_text)
        action.add_argument("paths", metavar="PATH", type=Path, nargs=count)
        action.set_defaults(run=checkpoint)

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
