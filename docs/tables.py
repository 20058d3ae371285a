"""Writes the generated parts of the pages: ``python docs/tables.py``.

A page says where one goes by a pair of comments, ``<!-- generated: points -->`` and
``<!-- end -->``; what stands between them is replaced. The tests fail if it is out of date.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from families import FAMILIES, Example
from picture import loop_picture

from hookrl import DQNConfig, DQNTrainer, PPOConfig, PPOTrainer, SACConfig, SACTrainer
from hookrl.hooks import POINTS, TrainerHookBase
from hookrl.hooks.points import INSTEAD
from hookrl.testing import tiny_trainer
from hookrl.trainers import Trainer
from hookrl.trainers.describe import METHODS
from hookrl.trainers.step import EagerStep

DOCS = Path(__file__).parent
PICTURE = DOCS / "loop.svg"
REGION = re.compile(r"(<!-- generated: (?P<name>.+?) -->\n).*?(<!-- end -->)", re.DOTALL)
ALGORITHMS: dict[str, tuple[Any, Any]] = {
    "PPO": (PPOTrainer, PPOConfig),
    "DQN": (DQNTrainer, DQNConfig),
    "SAC": (SACTrainer, SACConfig),
}
SOURCES: dict[str, Any] = {
    "train": Trainer.train,
    "optimize": Trainer.optimize,
    "step": EagerStep.__call__,
    "learn": EagerStep.learn,
}


def pages() -> list[Path]:
    """Every page of the documentation."""
    return sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)


def written(text: str) -> str:
    """Return the text of a page with its generated parts as they should be."""
    return REGION.sub(lambda match: f"{match[1]}\n{generated(match['name'])}\n\n{match[3]}", text)


def generated(name: str) -> str:
    """Return one generated part: its name, then perhaps what it is about, as in ``hooks replay``.

    Raises:
        KeyError: if there is none of that name.
    """
    kind, *arguments = name.split()
    return GENERATORS[kind](*arguments)


def points() -> str:
    """The ten points."""
    return _table(
        ("point", "kind", "when", "is called as", "what it may return"),
        [
            (
                _code(p.name),
                p.kind,
                re.sub(rf"\b({'|'.join(POINTS)})\b", r"`\1`", p.when),
                _code(p.call),
                _RESULTS[p.result].format(*map(_code, p.arguments)),
            )
            for p in POINTS.values()
        ],
    )


def instead() -> str:
    """The destinations that only torchrl has, and what to use."""
    return _table(
        ("in torchrl", "here"),
        [(_code(name), re.sub(r"'(\w+)'", r"`\1`", what)) for name, what in INSTEAD.items()],
    )


def priorities() -> str:
    """Operations that are not registered with priority 0, in the order in which they run."""
    rows = []
    for family in FAMILIES.values():
        for kind, example in family.hooks.items():
            for registration in _registered(example)[1]:
                if registration.priority:
                    rows.append((registration, kind))
    rows.sort(key=lambda row: ([*POINTS].index(row[0].point.name), row[0].priority))
    return _table(
        ("point", "priority", "hook"),
        [
            (_code(r.point.name), str(r.priority), _code(kind.__name__) + _operation(r))
            for r, kind in rows
        ],
    )


def families() -> str:
    """All hooks, with where they hang and the page that explains them."""
    rows = []
    for page, family in FAMILIES.items():
        for kind, example in family.hooks.items():
            hook, registrations = _registered(example)
            where = dict.fromkeys(registration.point.name for registration in registrations)
            names = [*where] or _methods(hook)
            link = f"[{_code(kind.__name__)}]({page}.md#{kind.__name__.lower()})"
            rows.append((link, _summary(kind), ", ".join(map(_code, names))))
    return _table(("hook", "what it does", "point, or method"), rows)


def hooks(page: str) -> str:
    """The hooks of one page: where each hangs, in which order and how often, and its state."""
    rows, further = [], []
    for kind, example in FAMILIES[page].hooks.items():
        hook, registrations = _registered(example)
        lines = [
            (
                _code(r.point.name) + _operation(r),
                str(r.priority),
                _cadence(r, hook, example),
            )
            for r in registrations
        ] or [("–", "", "")]
        state = _state(hook)
        for number, line in enumerate(lines):
            rows.append(
                (_code(kind.__name__), _summary(kind), *line, state)
                if number == 0
                else ("", "", *line, "")
            )
        reads, writes = (_keys(hook, registrations, what) for what in ("reads", "writes"))
        methods = ", ".join(map(_code, _methods(hook)))
        if reads or writes or methods:
            further.append((_code(kind.__name__), reads, writes, methods))
    table = _table(("hook", "what it does", "point", "priority", "cadence", "state"), rows)
    if not further:
        return table
    return f"{table}\n\n{_table(('hook', 'reads', 'writes', 'further methods'), further)}"


def algorithms() -> str:
    """What hangs where in each algorithm with its default settings."""
    columns = {name: _by_point(_assembled(name)) for name in ALGORITHMS}
    rows = [
        (_code(point), *("<br>".join(columns[name][point]) for name in ALGORITHMS))
        for point in POINTS
    ]
    return _table(("point", *ALGORITHMS), rows)


def description(algorithm: str) -> str:
    """The loop of an algorithm with its default settings."""
    return f"```text\n{_assembled(algorithm).describe()}\n```"


def source(name: str) -> str:
    """A function of the trainer, as it is."""
    return f"```python\n{textwrap.dedent(inspect.getsource(SOURCES[name]))}```"


GENERATORS: dict[str, Callable[..., str]] = {
    function.__name__: function
    for function in (
        points,
        priorities,
        instead,
        families,
        hooks,
        algorithms,
        description,
        source,
    )
}

_RESULTS = {
    "replaces its first argument": "{0}",
    "metrics": "a dictionary of metrics",
    "nothing": "–",
}


def _registered(example: Example) -> tuple[TrainerHookBase, list[Any]]:
    """A hook of its own trainer, and what it registered there."""
    trainer = tiny_trainer(optimizer=None)
    hook = example.make(trainer)
    hook.register(trainer, **example.register)
    registrations = list(trainer.hooks)
    if hasattr(hook, "teardown"):
        hook.teardown(trainer)
    return hook, registrations


def _assembled(algorithm: str) -> Trainer:
    trainer_class, config_class = ALGORITHMS[algorithm]
    trainer: Trainer = trainer_class.from_config(config_class())
    trainer.collector.shutdown()
    return trainer


def _by_point(trainer: Trainer) -> dict[str, list[str]]:
    """The hooks of a trainer at each point, in order, each once."""
    return {
        point: list(dict.fromkeys(_code(type(r.owner).__name__) for r in trainer.hooks[point]))
        for point in POINTS
    }


def _summary(kind: type) -> str:
    """What a hook does: the first sentence of its docstring."""
    return _markdown((inspect.getdoc(kind) or "").split("\n", 1)[0])


def _operation(registration: Any) -> str:
    """What a hook calls one of its operations, in parentheses; "" for the one named as itself."""
    _, _, name = registration.name.rpartition(".")
    return "" if name == registration.name else f" ({name})"


def _state(hook: TrainerHookBase) -> str:
    """The names of its state, or what its own ``state_dict`` says that it returns."""
    if type(hook).state_dict is TrainerHookBase.state_dict:
        return ", ".join(map(_code, hook.state_fields)) or "–"
    return _markdown((inspect.getdoc(type(hook).state_dict) or "").split("\n", 1)[0].rstrip("."))


def _cadence(registration: Any, hook: TrainerHookBase, example: Example) -> str:
    """How often an operation runs, in the words of the argument that says so."""
    text = str(registration.cadence)
    parameters = inspect.signature(type(hook)).parameters
    settings = {name: (getattr(hook, name, None), parameters[name].default) for name in parameters}
    for name, value in example.register.items():  # arguments of register, not of the class
        settings[name] = (value, inspect.signature(hook.register).parameters[name].default)
    unit = "steps" if registration.point.inner else "batches"
    for name, (value, default) in settings.items():
        if isinstance(value, int) and not isinstance(value, bool):
            by_default = "" if default is inspect.Parameter.empty else f" (default: {default})"
            text = re.sub(rf"\b{value:,} frames\b", f"`{name}` frames{by_default}", text)
            text = re.sub(rf"\bevery {value}\b", f"every `{name}` {unit}{by_default}", text)
    if left := re.search(r"\d{3,}", text):
        raise ValueError(f"{type(hook).__name__}: no argument explains the cadence {left[0]}.")
    return text


def _keys(hook: TrainerHookBase, registrations: Iterable[Any], what: str) -> str:
    """The keys that a hook or one of its operations declares."""
    owners = [hook, *(registration.op for registration in registrations)]
    keys = list(dict.fromkeys(key for owner in owners for key in getattr(owner, what, ())))
    for parameter in inspect.signature(type(hook)).parameters.values():
        if parameter.default is parameter.empty and getattr(hook, parameter.name, None) == keys:
            return f"what {_code(parameter.name)} names"  # the example's say nothing
    return ", ".join(_code(str(key).replace("'", '"')) for key in keys)


def _methods(hook: TrainerHookBase) -> list[str]:
    return [name for name in ("set_seed", "prepare", *METHODS) if hasattr(hook, name)]


def _markdown(text: str) -> str:
    return text.replace("``", "`")


def _code(text: str) -> str:
    return f"`{text}`"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines
    )


def outputs() -> Mapping[Path, str]:
    """Every file with generated parts, and what it should hold."""
    texts = {path: written(path.read_text()) for path in pages()}
    return {**texts, PICTURE: loop_picture()}


if __name__ == "__main__":
    for path, text in outputs().items():
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            print(f"wrote {path.relative_to(DOCS.parent)}")
