"""The site is built without a warning."""

import importlib.util
import re
import subprocess
import sys

import pytest
from pages import DOCS, ROOT, docs_pages

NEEDED = ("sphinx", "myst_parser", "furo")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]

needs_sphinx = pytest.mark.skipif(
    bool(MISSING), reason=f"{', '.join(MISSING)} not installed: pip install '.[docs]'"
)


@needs_sphinx
def test_sphinx_builds_the_site_without_a_warning(tmp_path):
    site = tmp_path / "site"
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    done = subprocess.run(
        [*command, "-d", str(tmp_path / "doctrees"), str(DOCS), str(site)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    for page in docs_pages():
        text = (site / page.relative_to(DOCS)).with_suffix(".html").read_text()
        # A table that is not understood is left as its source.
        assert "| ---" not in text
        assert not re.search(r"<!-- generated: hooks .*?-->\s*<p", text)
    assert '<table class="docutils' in (site / "hooks" / "replay.html").read_text()


def test_the_reference_has_every_public_package():
    packages = {
        f"hookrl.{path.parent.name}"
        for path in (ROOT / "hookrl").glob("*/__init__.py")
        if "__all__" in path.read_text()
    }
    listed = re.findall(r"^\.\. automodule:: (\S+)$", (DOCS / "api.md").read_text(), re.MULTILINE)
    assert packages <= set(listed)
