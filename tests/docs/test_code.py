"""What the documentation shows must run as it stands, only shorter, and print what it says."""

import contextlib
import importlib.util
import io
import re
import shlex

import pytest
from pages import DOCS, ROOT, blocks, docs_pages, shorter

from hookrl import cli

PAGES = [page for page in docs_pages() if blocks(page, "python")]
SHORT_RUN = ("total_frames=512", "steps_per_env=64", "progress_bar=false")
COMMANDS = [
    pytest.param(page, id=str(page.relative_to(DOCS)))
    for page in docs_pages()
    if blocks(page, "sh")
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_the_python_blocks_of_a_page_run_in_order(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "docs_page"}
    for block in blocks(page, "python"):
        # Empty lines in front, so that a traceback names the line of the page.
        code = compile("\n" * (block.line - 1) + shorter(block.code), str(page), "exec")
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, namespace)
        if block.output is not None:
            check_output(printed.getvalue(), block.output)
    for name, value in namespace.items():
        if name.startswith("test_"):  # a page shows tests too
            value()


def check_output(printed, shown):
    """Compare what was printed with what is shown, where … stands for anything within a line."""
    pattern = re.escape(shown).replace("…", ".*")
    assert re.fullmatch(pattern, printed), f"printed:\n{printed}\nshown:\n{shown}"


@pytest.mark.parametrize("page", COMMANDS)
def test_the_commands_of_a_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for block in blocks(page, "sh"):
        for line in block.code.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                check_command(*words)


def check_command(program, *arguments):
    if program == "hookrl":
        run_hookrl(list(arguments))
    elif program == "make":
        targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert arguments[0] in targets
    elif program == "python" and arguments[0] == "-m":
        assert importlib.util.find_spec(arguments[1])
    elif program in ("python", "pytest"):
        assert (ROOT / arguments[0]).exists()
    else:
        raise AssertionError(f"a command that nobody checks: {program}")


def run_hookrl(arguments):
    """Run a command of hookrl for a few frames or episodes."""
    if arguments[0] == "train":
        algorithm, *settings = arguments[1:]
        # Also what the shorter run leaves out must be a setting.
        config = cli.ALGORITHMS[algorithm].load_config()
        cli.from_overrides(config, settings)
        shorter = [one for one in SHORT_RUN if algorithm == "ppo" or "steps_per_env" not in one]
        arguments = ["train", algorithm, *settings, *shorter]
    elif arguments[0] == "evaluate":
        arguments += ["--episodes", "2"]
    with contextlib.redirect_stdout(io.StringIO()):
        assert cli.main(arguments) == 0
