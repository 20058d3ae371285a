"""JSON, and nothing that is nearly JSON."""

from __future__ import annotations

import pytest

from hookrl.checkpoints.strict import parse
from hookrl.errors import InvalidValue


def test_json_is_read() -> None:
    assert parse(b'{"a": [1, 2.5, null, "\\ud800"]}', "it") == {"a": [1, 2.5, None, "\ud800"]}
    assert parse("[]", "it") == []


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"{", b"[1,]", b"\xff", b"\xef\xbb\xbf1", "1".encode("utf-16"), b"1" * 5000),
        *(b'{"a": 1, "a": 1}', b'[{"a": 1, "b": 2, "a": 3}]', b"!!python/name:os.system", b"a: 1"),
    ],
    ids=repr,
)
def test_anything_else_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidValue, match=r"^it is not what it should be: .*\.$"):
        parse(text, "it")


@pytest.mark.parametrize("text", ["[" * 10**6, '{"a":' * 10**6], ids=["lists", "objects"])
def test_what_is_nested_without_end_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="^it is nested too deep"):
        parse(text, "it")
