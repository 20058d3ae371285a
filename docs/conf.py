"""How Sphinx builds the site: ``make docs``."""

import re
from pathlib import Path
from typing import Any

from sphinx.ext.napoleon.docstring import GoogleDocstring

import hookrl

project = "hookrl"
author = "hookrl developers"
copyright = author
release = hookrl.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"hookrl {release}"

# Links to headings of other pages: as GitHub names them.
myst_heading_anchors = 3

# `Name` in a docstring is a link if it is the name of something, and code if not.
default_role = "py:obj"
add_module_names = False
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_class_signature = "mixed"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False


def whole_docstring(docstring: Any) -> tuple[str, list[str]]:
    """Take the docstring of an attribute as text: for napoleon, what precedes a colon is a type."""
    lines = docstring._dedent(docstring._consume_to_end())
    return "", type(docstring)(lines, docstring._config).lines()


GoogleDocstring._consume_inline_attribute = whole_docstring


def beside_the_site(app: Any, docname: str, source: list[str]) -> None:
    """Make links to Markdown files outside of docs/ downloads: they are no pages of the site."""
    page = Path(app.env.doc2path(docname))

    def link(match: re.Match[str]) -> str:
        inside = (page.parent / match[1]).resolve().is_relative_to(Path(app.srcdir).resolve())
        return match[0] if inside else f"](path:{match[1]})"

    source[0] = re.sub(r"\]\((\.\./[^)#:]+\.md)\)", link, source[0])


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", beside_the_site)
