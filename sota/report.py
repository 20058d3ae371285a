"""Writes RESULTS.md, and one figure per row, from the files of results: ``python -m sota.report``.

Nothing in it is written by hand, and nothing but those files is read.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sota.curve_report import curve_sections, curves, draw_curves
from sota.figures import draw_row
from sota.intervals import Estimate, difference, estimate, interquartile_mean, mean
from sota.protocol import RESULTS_DIR, TRAINING_SEEDS, scores
from sota.store import read, sides_of

_INTRODUCTION = """\
# Returns

Written by `python -m sota.report` from the files in `results/`; don't edit.

**Protocol.** hookrl and a peer, mostly Stable-Baselines3 with the same settings, train with the
same training seeds. What is evaluated is the *last* weights, never the best ones: 100 deterministic
episodes, from initial states that are the same for every run of either side. The score of a seed is
the mean return of its 100 episodes. Over seeds we give the interquartile mean (IQM, without the
lowest and highest quarter of the seeds) and the mean, each with a 95 % percentile bootstrap
interval (10,000 resamples of the seeds; Agarwal et al., 2021). *Difference* is hookrl − peer, its
interval from resampling the seeds of the two independently; hookrl is called worse if that interval
lies below 0. Published figures follow other protocols, named with them: they are to be compared in
kind only.
"""
_FAST_INTRODUCTION = """\
**Every fast path on.** The same once more, with captured optimization steps (`compile=True`) and,
where there are several environments and Gymnasium has a form that steps many at once, that one.
*Difference* is with fast paths − without, and the target is the row's.

| row | seeds | hookrl-fast IQM | its mean | difference of IQM | target |
|---|---:|---|---|---|---|"""
_HEADER = (
    "| row | environment | frames | seeds | hookrl IQM | hookrl mean | peer | its IQM | its mean "
    "| difference of IQM | target | published |\n"
    "|---|---|---:|---:|---|---|---|---|---|---|---|---|"
)


def report(directory: Path) -> str:
    """Return the whole document, for the files of results in a directory."""
    contents = {path.stem: read(path) for path in sorted(directory.glob("*.json"))}
    rows = [_table_row(name, content) for name, content in contents.items()]
    fast_rows = [_fast_table_row(name, content) for name, content in contents.items()]
    sections = [_section(name, content) for name, content in contents.items()]
    long_runs = curve_sections(curves(directory / "curves"))
    tables = [_INTRODUCTION, _HEADER, *rows, "", _FAST_INTRODUCTION, *fast_rows, ""]
    return "\n".join([*tables, *sections, *long_runs])


def main(arguments: Sequence[str] | None = None) -> None:
    """Write RESULTS.md and the figures beside the directory of results."""
    parser = argparse.ArgumentParser(prog="python -m sota.report", description="Write RESULTS.md.")
    parser.add_argument("--results", type=Path, default=RESULTS_DIR, help=f"default: {RESULTS_DIR}")
    directory = parser.parse_args(arguments).results
    figures = directory.parent / "figures"
    for path in sorted(directory.glob("*.json")):
        draw_row(read(path), figures / f"{path.stem}.png")
    for name, contents in curves(directory / "curves").items():
        draw_curves(contents, figures / f"{name}.png")
    out = directory.parent / "RESULTS.md"
    out.write_text(report(directory), encoding="utf-8")
    print(out)


def _table_row(name: str, content: dict[str, Any]) -> str:
    about = content["about"]
    ours, _, theirs = _all_scores(content)
    cells = [
        _link(name, content),
        about["env"],
        f"{about['frames']:,}",
        f"{len(ours)} + {len(theirs)}",
        *_two_statistics(ours),
        sides_of(content)[-1],
        *_two_statistics(theirs),
        _difference(ours, theirs),
        _target(ours, about["target"]),
        about["published"],
    ]
    return f"| {' | '.join(cells)} |"


def _fast_table_row(name: str, content: dict[str, Any]) -> str:
    ours, fast, _ = _all_scores(content)
    cells = [
        _link(name, content),
        str(len(fast)),
        *_two_statistics(fast),
        _difference(fast, ours),
        _target(fast, content["about"]["target"]),
    ]
    return f"| {' | '.join(cells)} |"


def _all_scores(content: dict[str, Any]) -> list[list[float]]:
    return [scores(content["sides"][side]["runs"]) for side in sides_of(content)]


def _link(name: str, content: dict[str, Any]) -> str:
    return f"[{content['about']['title']}](#{name.replace('_', '-')})"


def _two_statistics(values: list[float]) -> list[str]:
    if not values:
        return ["–", "–"]
    return [written(estimate(values, statistic)) for statistic in (interquartile_mean, mean)]


def _difference(ours: list[float], theirs: list[float]) -> str:
    if not ours or not theirs:
        return "–"
    gap = difference(ours, theirs, interquartile_mean)
    return f"{written(gap)}: {'worse' if gap.high < 0 else 'not worse'}"


def _target(ours: list[float], target: float | None) -> str:
    if target is None:
        return "not worse"
    text = f"IQM ≥ {_number(target).removesuffix('.0')}"
    if len(ours) < len(TRAINING_SEEDS):
        return text  # nothing is met before every seed has run
    met = estimate(ours, interquartile_mean).value >= target
    return f"{text}: **{'met' if met else 'missed'}**"


def _section(name: str, content: dict[str, Any]) -> str:
    about, sides = content["about"], content["sides"]
    seeds = sorted({int(seed) for side in sides.values() for seed in side["runs"]})
    ours, fast, theirs = _all_scores(content)
    lines = [
        f"## {name.replace('_', '-')}",
        "",
        f"{about['title']}: {about['env']}, {about['frames']:,} frames. {about['published']}.",
        "",
        *(f"- {note}" for note in about["notes"]),
        "",
        f"Command: `python -m sota.{name}`",
        "",
    ]
    if ours and theirs:
        gap = difference(ours, theirs, mean)
        lines += [f"Difference of means: {written(gap)}.", ""]
    if ours and fast:
        gap = difference(fast, ours, mean)
        lines += [f"Difference of means, with fast paths − without: {written(gap)}.", ""]
    lines += [f"![scores of every seed](figures/{name}.png)", ""]
    lines += [_scores_table(sides, seeds), ""]
    for side in sides_of(content):
        lines += [f"{side}: {versions}." for versions in _versions(sides[side]["runs"])]
        lines += ["", "```text", *_wrapped(sides[side]["settings"]), "```", ""]
    return "\n".join(lines)


def _scores_table(sides: dict[str, Any], seeds: list[int]) -> str:
    """Scores of every seed, and how long training took with another run beside it."""
    lines = [
        "| seed | "
        + " | ".join(f"{side}: mean ± std of 100 episodes | s" for side in sides)
        + " |",
        "|---:|---|---:|---|---:|",
    ]
    for seed in seeds:
        cells = [str(seed)]
        for side in sides.values():
            run = side["runs"].get(str(seed))
            if run is None:
                cells += ["–", "–"]
            else:
                cells += [
                    f"{_number(run['mean'])} ± {_number(run['std'])}",
                    f"{run['seconds']:.0f}",
                ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _versions(runs: dict[str, Any]) -> list[str]:
    """Return each set of versions that runs were made with, and by which seeds if several."""
    seeds: dict[str, list[str]] = {}
    for seed, run in runs.items():
        text = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
        seeds.setdefault(text, []).append(seed)
    if len(seeds) < 2:
        return list(seeds)
    return [f"seeds {', '.join(own)}: {text}" for text, own in seeds.items()]


def _wrapped(settings: dict[str, Any]) -> list[str]:
    """Settings as ``name=value``, nested ones with dots, in lines of at most 100 characters."""
    lines = [""]
    for word in _flat(settings):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > 100:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _flat(settings: dict[str, Any], prefix: str = "") -> list[str]:
    words: list[str] = []
    for name, value in settings.items():
        if isinstance(value, dict) and value:
            words += _flat(value, f"{prefix}{name}.")
        else:
            words.append(f"{prefix}{name}={str(value).replace(' ', '')}")
    return words


def written(estimated: Estimate) -> str:
    """Return ``value [low, high]``."""
    low, high = _number(estimated.low), _number(estimated.high)
    return f"{_number(estimated.value)} [{low}, {high}]"


def _number(value: float) -> str:
    """One decimal and a true minus sign."""
    return f"{value:.1f}".replace("-0.0", "0.0").replace("-", "−")


if __name__ == "__main__":
    main()
