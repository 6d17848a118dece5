"""A picture of percentiles: one line for each contender, on a logarithmic scale, as SVG.

A bar ends at the smallest mark, which is what most calls take; the line goes on to the largest.
"""

import math
from collections.abc import Mapping
from html import escape

WIDTH, LABELS, MARGIN, TOP, LINE = 1000, 320, 40, 90, 32  # pixels
COLORS = ("#2563eb", "#0d9488", "#d97706", "#dc2626")  # of the marks, from the smallest to the largest
_UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1, "ns"))


def percentiles(title: str, figures: Mapping[str, Mapping[str, float]]) -> str:
    """Return a picture of nanoseconds, by contender and percentile."""
    values = [max(1.0, value) for marks in figures.values() for value in marks.values()]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))

    def x(value: float) -> float:
        part = (math.log10(max(1.0, value)) - low) / (high - low)
        return round(LABELS + part * (WIDTH - LABELS - MARGIN), 1)

    bottom = TOP + LINE * len(figures)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 40}" font-size="14"'
        """ font-family="system-ui, 'DejaVu Sans', Arial, sans-serif">""",
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{bottom + 40}" rx="12" fill="#ffffff"/>',
        f'<text x="20" y="34" font-size="16" font-weight="600" fill="#0f172a">{escape(title)}</text>',
    ]
    for power in range(low, high + 1):
        at = x(10**power)
        lines += [
            f'<path d="M{at} {TOP - 10}V{bottom}" stroke="#cbd5e1"/>',
            f'<text x="{at}" y="{bottom + 22}" text-anchor="middle" fill="#475569">{_time(10**power)}</text>',
        ]
    for number, mark in enumerate(next(iter(figures.values()))):
        at = LABELS + 90 * number
        lines += [
            f'<circle cx="{at}" cy="58" r="6" fill="{COLORS[number]}"/>',
            f'<text x="{at + 12}" y="63" fill="#0f172a">{escape(mark)}</text>',
        ]
    for number, (name, marks) in enumerate(figures.items()):
        y = TOP + LINE * number + LINE // 2
        ends = [x(value) for value in marks.values()]
        lines += [
            f'<text x="20" y="{y + 5}" fill="#0f172a">{escape(name)}</text>',
            f'<path d="M{LABELS} {y}H{min(ends)}" stroke="#dbeafe" stroke-width="14"/>',
            f'<path d="M{min(ends)} {y}H{max(ends)}" stroke="#94a3b8" stroke-width="3"/>',
            *(f'<circle cx="{at}" cy="{y}" r="6" fill="{color}"/>' for at, color in zip(ends, COLORS, strict=True)),
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"


def _time(nanoseconds: float) -> str:
    for size, unit in _UNITS:
        if nanoseconds >= size:
            return f"{nanoseconds / size:g} {unit}"
    return f"{nanoseconds:g} ns"
