"""Measures hookrl on a GPU, all ways of a work in turn: ``python -m benchmarks.gpu [WORK ...]``.

Each run has a process of its own and is stored as soon as it is finished; started again, the
command makes what is missing. It runs on a CPU as well (``--device cpu``), to be tried out: there
are no CUDA graphs there, and nothing is stored unless ``--results`` says where.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.arguments import chosen
from benchmarks.gpu.report import lines
from benchmarks.gpu.works import CUDA_GRAPHS, MODES, WORKS
from benchmarks.machine import machine, package_versions
from benchmarks.report import RESULTS_DIR, write_report
from benchmarks.run import ROOT
from sota.protocol import hookrl_version

_FRAMES = {"cuda": 20_000_000, "cpu": 500_000}
_UPDATES = {"cuda": 5_000, "cpu": 300}
"""By the kind of device: seconds for each run, the making of graphs aside."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, store and report; the exit code is 1 if a run failed."""
    parser = _parser()
    options = parser.parse_args(arguments)
    options.works = chosen(parser, "work", options.works, WORKS)
    try:
        settings = _settings(options)
    except (AssertionError, RuntimeError) as error:
        parser.error(f"--device {options.device}: {str(error).splitlines()[0]}")
    print(f"on {settings['device']}")
    is_gpu = torch.device(options.device).type == "cuda"
    if options.results is None and not is_gpu:
        print("this is no GPU: nothing is stored, unless --results says where")
        with tempfile.TemporaryDirectory() as folder:
            return _measure(options, settings, Path(folder) / "gpu.json")
    directory = options.results or RESULTS_DIR
    failed = _measure(options, settings, directory / "gpu.json")
    print(write_report(directory))
    return failed


def _measure(options: argparse.Namespace, settings: dict[str, Any], file: Path) -> int:
    """Make the runs that are missing in a file, and print what they come to."""
    content: dict[str, Any] = {"settings": settings, "runs": {}}
    if file.exists() and not options.fresh:
        stored = json.loads(file.read_text(encoding="utf-8"))
        if stored["settings"] == settings:
            content = stored
        else:
            print("what is stored was made on or with something else, and is replaced")
    on_gpu = torch.device(options.device).type == "cuda"
    modes = [mode for mode in MODES if on_gpu or mode != CUDA_GRAPHS]
    broken: set[tuple[str, str]] = set()
    for name in options.works:
        runs = content["runs"].setdefault(name, {})
        for seed in range(options.repeats):
            for mode in modes:
                if (name, mode) in broken or len(runs.get(mode, ())) > seed:
                    continue
                figures = _run(name, mode, seed, options, settings)
                if figures is None:
                    broken.add((name, mode))
                    continue
                runs.setdefault(mode, []).append(figures)
                _save(file, content)
                print(f"{name}, {mode}, seed {seed}: {figures['fps']:,.0f}/s", flush=True)
    print("\n".join(lines(content)))
    return 1 if broken else 0


def _run(
    name: str, mode: str, seed: int, options: argparse.Namespace, settings: dict[str, Any]
) -> dict[str, Any] | None:
    """Return the figures of one run in a process of its own; None if it failed."""
    amount = settings["updates" if WORKS[name].updates else "frames"]
    command = [sys.executable, "-m", "benchmarks.gpu.worker", name, mode]
    command += ["--device", options.device, "--amount", str(amount), "--seed", str(seed)]
    command += [] if options.envs is None else ["--envs", str(options.envs)]
    worker = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if worker.returncode:  # its traceback stands above
        print(f"{name}, {mode}, seed {seed} FAILED and is left out from here on.")
        return None
    figures: dict[str, Any] = json.loads(worker.stdout.splitlines()[-1])
    return figures


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    """Everything that a figure is a function of, the work, the mode and the seed aside."""
    kind = torch.empty(0, device=options.device).device.type
    versions = package_versions(("torch", "tensordict", "numpy"))
    if kind == "cuda":
        versions["CUDA"] = str(torch.version.cuda)
    return {
        "device": torch.cuda.get_device_name(options.device) if kind == "cuda" else "the CPU",
        "frames": options.frames or _FRAMES.get(kind, _FRAMES["cpu"]),
        "updates": options.updates or _UPDATES.get(kind, _UPDATES["cpu"]),
        "envs": options.envs,
        "machine": machine() | {"python": platform.python_version()},
        "versions": versions | {"hookrl": hookrl_version()},
    }


def _save(file: Path, content: dict[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "works", nargs="*", metavar="WORK", help=f"default: all of {', '.join(WORKS)}"
    )
    parser.add_argument("--device", default="cuda", help="as torch calls it (default: cuda)")
    parser.add_argument("--frames", type=int, help="of a training; default: by the device")
    parser.add_argument("--updates", type=int, help="default: by the device")
    parser.add_argument("--envs", type=int, help="of a training; default: the work's")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each (default: 3)")
    parser.add_argument("--fresh", action="store_true", help="forget the runs that are stored")
    parser.add_argument("--results", type=Path, help="where JSON is kept")
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted: finished runs are stored, and the same command goes on.")
