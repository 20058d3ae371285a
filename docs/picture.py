"""Draws the loop with its ten points, from the table of points, as an SVG."""

from __future__ import annotations

from hookrl.hooks.points import POINTS, HookPoint

WIDTH, ROW, MARGIN = 780, 34, 20
COLOURS = {"data": "#0072b2", "logging": "#6b6b6b", "operation": "#b85000"}
RESULTS = {"replaces its first argument": "→ {first}", "metrics": "→ metrics", "nothing": ""}


def loop_picture() -> str:
    """Return the picture."""
    points = list(POINTS.values())
    inner = [point for point in points if point.inner]
    first = points.index(inner[0])
    before, after = points[:first], points[first + len(inner) :]
    parts: list[str] = []
    y = MARGIN + ROW
    for point in before:
        y = _point(parts, point, 2 * MARGIN, y)
    top, y = y, y + ROW + 10
    for point in inner:
        y = _point(parts, point, 3 * MARGIN, y)
        if point is inner[0]:
            _text(parts, 3 * MARGIN + 8, y + 20, "losses = loss_module(sub_batch)", "code")
            y += ROW
    _frame(parts, 2 * MARGIN, top + 4, WIDTH - 4 * MARGIN, y - top, "for each optimization step")
    y += 14
    for point in after:
        y = _point(parts, point, 2 * MARGIN, y)
    _frame(parts, MARGIN, MARGIN / 2, WIDTH - 2 * MARGIN, y - 4, "for each batch of the collector")
    legend = y + 24
    for place, (kind, colour) in enumerate(COLOURS.items()):
        x = MARGIN + 150 * place
        parts.append(f'<rect x="{x}" y="{legend - 11}" width="14" height="14" fill="{colour}"/>')
        _text(parts, x + 20, legend + 1, kind, "small")
    height = legend + MARGIN
    style = (
        "text{font-family:sans-serif;font-size:14px;fill:#222}"
        ".code{font-family:monospace}.small{font-size:13px}.point{font-weight:bold;fill:#fff}"
    )
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
            "<title>The loop and its ten points</title>",
            f"<style>{style}</style>",
            f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
            *parts,
            "</svg>\n",
        ]
    )


def _point(parts: list[str], point: HookPoint, x: int, y: int) -> int:
    """Draw one point and return where the next one goes."""
    parts.append(
        f'<rect x="{x}" y="{y}" width="190" height="{ROW - 8}" rx="5" '
        f'fill="{COLOURS[point.kind]}"/>'
    )
    _text(parts, x + 10, y + 18, point.name, "point")
    result = RESULTS[point.result].format(first=(point.arguments or ("",))[0])
    _text(parts, x + 204, y + 18, f"({', '.join(point.arguments)}) {result}".rstrip(), "code small")
    return y + ROW


def _frame(parts: list[str], x: float, y: float, width: float, height: float, title: str) -> None:
    parts.insert(
        0,
        f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="8" fill="#f6f6f6" '
        'stroke="#999"/>',
    )
    _text(parts, x + 12, y + 22, title, "small")


def _text(parts: list[str], x: float, y: float, text: str, kind: str) -> None:
    parts.append(f'<text x="{x:g}" y="{y:g}" class="{kind}">{text}</text>')
