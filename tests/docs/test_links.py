"""Every link of the documentation leads somewhere."""

import pytest
from pages import DOCS, anchors, docs_pages, links

LINKS = [
    pytest.param(page, target, id=f"{page.relative_to(DOCS)}: {target}")
    for page in docs_pages()
    for target in links(page)
]


@pytest.mark.parametrize(("page", "target"), LINKS)
def test_a_link_leads_somewhere(page, target):
    path, _, anchor = target.partition("#")
    destination = page.parent / path if path else page
    assert destination.exists()
    assert not anchor or anchor in anchors(destination)
