"""Pages in Markdown as tests see them: their code, their links and their headings."""

from __future__ import annotations

import re
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = ROOT / "docs"

FENCE = re.compile(r"^```(\S*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
GENERATED = re.compile(r"<!-- generated: .*?<!-- end -->", re.DOTALL)


class Block(NamedTuple):
    """A fenced block of code."""

    language: str
    code: str
    line: int
    """Where in the page its code starts."""
    output: str | None
    """The ``text`` block right behind it: what it prints."""


def docs_pages() -> list[Path]:
    """Every page of the documentation."""
    return sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts)


def blocks(page: Path, language: str) -> list[Block]:
    """The blocks of a language that a person wrote; what is generated is checked as a whole."""
    # Blanked, not removed: lines keep their numbers.
    text = GENERATED.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), page.read_text())
    fences = list(FENCE.finditer(text))
    found = []
    for fence, following in zip_longest(fences, fences[1:]):
        if fence[1] != language:
            continue
        printed = following is not None and following[1] == "text"
        printed = printed and not text[fence.end() : following.start()].strip()
        line = text.count("\n", 0, fence.start(2)) + 1
        found.append(Block(language, fence[2], line, following[2] if printed else None))
    return found


MOST = {
    "total_frames": 1_100,
    "steps_per_env": 64,
    "epochs": 2,
    "learning_starts": 512,
    "interval": 1_000,
    "record_interval": 1_000,
}
"""How large a number may be in a test; these only say how long something takes."""


def shorter(code: str) -> str:
    """The same, only shorter."""
    for setting, most in MOST.items():
        code = re.sub(
            rf"\b{setting}=([\d_]+)",
            lambda match, setting=setting, most=most: f"{setting}={min(int(match[1]), most)}",
            code,
        )
    return code


def prose(page: Path) -> str:
    """The text of a page without its code."""
    return re.sub(r"`[^`\n]+`", "", FENCE.sub("", page.read_text()))


def links(page: Path) -> list[str]:
    """Targets of links and pictures that are not on the web."""
    targets = re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text()))
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def anchors(page: Path) -> set[str]:
    """What a link may name behind ``#``: the headings, as GitHub and the site name them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
