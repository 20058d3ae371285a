"""The generated parts of the documentation are those of the code as it is, and miss nothing."""

import importlib
import re
import sys

import pytest
from pages import DOCS, anchors, docs_pages

from hookrl.hooks import TrainerLike
from hookrl.hooks.points import INSTEAD, POINTS
from hookrl.trainers.describe import METHODS

HOW = "run python docs/tables.py"


@pytest.fixture(scope="module")
def tables():
    sys.path.insert(0, str(DOCS))
    try:
        return importlib.import_module("tables")
    finally:
        sys.path.remove(str(DOCS))


@pytest.fixture(scope="module")
def families():
    sys.path.insert(0, str(DOCS))
    try:
        return importlib.import_module("families")
    finally:
        sys.path.remove(str(DOCS))


def test_what_is_committed_is_what_the_code_gives(tables):
    stale = [path.name for path, text in tables.outputs().items() if path.read_text() != text]
    assert not stale, f"out of date: {HOW}"


def test_every_generated_part_has_its_end(tables):
    for page in docs_pages():
        begins = page.read_text().count("<!-- generated: ")
        assert len(tables.REGION.findall(page.read_text())) == begins


def test_every_exported_hook_belongs_to_one_family(families):
    listed = [kind for family in families.FAMILIES.values() for kind in family.hooks]
    assert len(set(listed)) == len(listed)
    missing = families.exported_hooks() - set(listed)
    assert not missing, f"add it to docs/families.py, explain it on its page, and {HOW}"
    assert set(listed) == families.exported_hooks()


def test_every_family_has_a_page_with_its_table_and_a_section_for_each_hook(families):
    for name, family in families.FAMILIES.items():
        page = DOCS / "hooks" / f"{name}.md"
        assert page.read_text().startswith(f"# {family.title}\n")
        assert f"<!-- generated: hooks {name} -->" in page.read_text()
        sections = {kind.__name__.lower() for kind in family.hooks}
        assert sections <= anchors(page), f"{page.name} lacks a section"


def test_every_page_is_part_of_the_site():
    listed = set()
    for page in docs_pages():
        for tree in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text(), re.DOTALL):
            names = [line for line in tree.splitlines() if line and not line.startswith(":")]
            listed |= {(page.parent / f"{name}.md").resolve() for name in names}
    assert {page.resolve() for page in docs_pages()} - listed == {(DOCS / "index.md").resolve()}


def test_the_table_of_points_has_the_ten(tables):
    assert all(f"| `{name}` |" in tables.points() for name in POINTS)
    assert all(f"| `{name}` |" in tables.instead() for name in INSTEAD)


def test_the_page_of_the_loop_names_all_that_hooks_see_and_may_have():
    text = (DOCS / "loop.md").read_text()
    seen = {*TrainerLike.__annotations__, *vars(TrainerLike)}
    names = {name for name in seen if not name.startswith("_")} | {*METHODS, "prepare", "set_seed"}
    assert {name for name in names if not re.search(rf"`{name}\b", text)} == set()
