"""The part of RESULTS.md on speed: one table of everything, and what lies behind it."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.comparison import (
    RESOLUTION,
    STANDARD_ERRORS,
    Sides,
    agreement,
    best_peer,
    measured,
    ratio,
    spread,
    turn_ratios,
)
from benchmarks.markdown import table

FRAMEWORKS = ("torch", "jax")
"""What peers rest on."""

INTRODUCTION = f"""\
# Speed

Written by the programs in this directory from the files in `results/`; don't edit.

Frames per second of training, learning included. All sides of a work have the same hyper-parameters
and take turns (A B C A B C), each run in a process of its own with as many processors as threads,
after a short training to warm up. hookrl has its normal hooks on (episode statistics, losses,
explained variance, throughput, NaN guard); *captured* is `compile=true`. Nobody writes files.

- *frames/s*: median of the runs (lowest to highest), without the first fifth of the frames, in
  which graphs are compiled and off-policy algorithms act at random; *whole* counts it too.
- *per CPU s*: frames per second of processor time of all threads, which other work on the machine
  disturbs less; on a quiet machine with one thread it is the same as frames/s.
- *of torch*, *of jax*: ratio of the medians of frames/s, over the fastest of the peers that rest on
  that.
- *return*: mean over 100 deterministic episodes of the last weights, from the same initial states
  for all, and over runs. A return agrees with hookrl's if the two are at most {STANDARD_ERRORS}
  standard errors apart, estimated from the spread of all sides' runs, or {RESOLUTION:.0%}.
- cleanrl-style and jax-scan are scripts of our own, in `peers/`.

`pip install -e '.[benchmarks]'` brings the peers, and `python -m benchmarks.run` makes what is
missing.
"""


def overview(contents: Mapping[str, Mapping[str, Any]], figure: Path) -> str:
    """Return the table of all works and sides, and the figure."""
    over = [f"of {framework}" for framework in FRAMEWORKS]
    head = ("work", "side", "frames/s", *over, "per CPU s", "whole", "return", "agrees")
    rows = []
    for work, content in contents.items():
        peers = [best_peer(content, framework) for framework in FRAMEWORKS]
        for index, name in enumerate(measured(content)):
            side = f"**{name}**" if name in content["about"]["ours"] else name
            cells = _summary(content, name, peers)
            rows.append((work if not index else "", side, *cells))
    return "\n".join(
        [
            f"![Frames per second of every side, by work]({figure.as_posix()})",
            "",
            *table(head, rows, text_columns=2),
            "",
        ]
    )


def section(name: str, content: Mapping[str, Any]) -> str:
    """Return what lies behind the rows of one work."""
    about, sides = content["about"], measured(content)
    lines = [f"## {name}", "", f"{about['title']}.", ""]
    lines += [f"- {line}" for line in (*_ratios(content), *about["notes"])]
    lines += ["", *_runs(sides), ""]
    lines += [f"- {line}" for line in _conditions(content, sides)]
    return "\n".join([*lines, ""])


def _summary(content: Mapping[str, Any], name: str, peers: Sequence[str | None]) -> Iterator[str]:
    """The cells of one side in the table of everything."""
    sides = measured(content)
    runs = sides[name]
    fps = spread(runs)
    yield f"{fps.median:,.0f} ({fps.lowest:,.0f} to {fps.highest:,.0f})"
    for peer in peers:
        yield "" if peer is None else f"{ratio(sides, name, peer):.2f}"
    yield f"{spread(runs, 'fps_cpu').median:,.0f}"
    yield f"{spread(runs, 'fps_whole').median:,.0f}"
    yield f"{statistics.mean(run['score'] for run in runs.values()):,.1f}"
    reference = _reference(sides, content["about"]["ours"])
    if name == reference or reference is None:
        yield ""
        return
    found = agreement(sides, name, reference)
    yield "too few runs" if found is None else "yes" if found.agree else "**NO**"


def _reference(sides: Sides, ours: Sequence[str]) -> str | None:
    """Whose returns the others are compared with: the first of hookrl's."""
    return next((name for name in sides if name in ours), None)


def _ratios(content: Mapping[str, Any]) -> Iterator[str]:
    """How often faster hookrl is than the best peers, in each turn."""
    sides = measured(content)
    peers = [best_peer(content, framework) for framework in FRAMEWORKS]
    ours = [name for name in content["about"]["ours"] if name in sides]
    for peer in [peer for peer in peers if peer is not None]:
        for name in ours:
            turns = turn_ratios(sides, name, peer)
            text = f"{name} over {peer}: **{ratio(sides, name, peer):.2f}** by medians"
            if turns:
                text += f"; within turns {', '.join(f'{value:.2f}' for value in turns.values())}"
            cpu = ratio(sides, name, peer, "fps_cpu")
            yield f"{text}; of frames per CPU second {cpu:.2f}"


def _runs(sides: Sides) -> list[str]:
    """Every run: frames/s and return."""
    seeds = sorted({seed for runs in sides.values() for seed in runs}, key=int)
    head = ("side", *(f"seed {seed}: frames/s, return" for seed in seeds))
    rows = []
    for name, runs in sides.items():
        cells = [
            f"{runs[seed]['fps']:,.0f}, {runs[seed]['score']:,.1f}" if seed in runs else ""
            for seed in seeds
        ]
        rows.append((name, *cells))
    return table(head, rows, text_columns=1)


def _conditions(content: Mapping[str, Any], sides: Sides) -> Iterator[str]:
    """Frames, machine, versions and settings; what differs between sides is said of each."""
    made = {name: content["sides"][name]["settings"] for name in sides}
    yield from _grouped({name: _frames(settings) for name, settings in made.items()})
    machines = {name: _listed(settings["machine"]) for name, settings in made.items()}
    yield from _grouped(machines)
    loads = [run["load"] for runs in sides.values() for run in runs.values()]
    yield f"load average when runs started: {min(loads):.2f} to {max(loads):.2f}"
    yield from _grouped({name: _listed(settings["versions"]) for name, settings in made.items()})
    first, *others = made
    base = made[first]["config"]
    yield f"{first}: `{json.dumps(base, ensure_ascii=False)}`"
    for name in others:
        config = made[name]["config"]
        changed = {key: value for key, value in config.items() if base.get(key) != value}
        if changed:
            yield f"{name}: the same, but `{json.dumps(changed, ensure_ascii=False)}`"


def _frames(settings: Mapping[str, Any]) -> str:
    return f"{settings['frames']:,} frames after {settings['warm_up']:,} to warm up"


def _listed(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _grouped(texts: Mapping[str, str]) -> Iterator[str]:
    """Each text once, with whom it is true of, unless it is true of all."""
    for text in dict.fromkeys(texts.values()):
        names = [name for name, own in texts.items() if own == text]
        yield text if len(names) == len(texts) else f"{', '.join(names)}: {text}"
