#!/usr/bin/env python3
"""Draws the lines of bench_figures as a chart.

chart.py FIGURES.CSV CHART.SVG
"""
import csv
import html
import sys

COLOURS = {"ours": "#2f6fbd", "library": "#b9c4d0"}
BAR, GAP, LEFT, WIDTH = 13, 9, 190, 720


def scale(values):
    """Pixels per frame a second, so that the longest bar leaves room for its number."""
    return (WIDTH - LEFT - 60) / max(values)


def draw(rows):
    """One group of two bars for each processor and size."""
    parts, y = [], 30
    factor = scale([max(row["ours"], row["library"]) for row in rows])
    processor = None
    for row in rows:
        if row["processor"] != processor:
            processor = row["processor"]
            parts.append(f'<text x="8" y="{y + 12}" font-weight="bold">{html.escape(processor)}</text>')
            y += 24
        parts.append(f'<text x="{LEFT - 10}" y="{y + 17}" text-anchor="end">{row["size"]}</text>')
        for kind in ["ours", "library"]:
            length = row[kind] * factor
            parts.append(
                f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{COLOURS[kind]}"/>'
                f'<text x="{LEFT + length + 6:.1f}" y="{y + 11}">{row[kind]:.3g}</text>'
            )
            y += BAR
        y += GAP
    legend = "".join(
        f'<rect x="{x}" y="8" width="12" height="12" fill="{COLOURS[kind]}"/><text x="{x + 18}" y="18">{text}</text>'
        for kind, x, text in [
            ("ours", LEFT, "livepeerupscale"),
            ("library", LEFT + 150, "the same with libtorch's convolutions"),
        ]
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 6}" '
        f'font-family="sans-serif" font-size="12" fill="#222">'
        f'<rect width="100%" height="100%" fill="white"/>'
        f'<text x="8" y="18">frames a second</text>{legend}{"".join(parts)}</svg>\n'
    )


def main():
    figures, chart = sys.argv[1:]
    with open(figures, newline="") as file:
        rows = [
            {
                "processor": f"{row['processor']} ({row['level']})",
                "size": f"{row['width']}x{row['height']} to {4 * int(row['width'])}x{4 * int(row['height'])}",
                "ours": float(row["frames per second"]),
                "library": float(row["with libtorch's convolutions"]),
            }
            for row in csv.DictReader(file)
        ]
    with open(chart, "w") as file:
        file.write(draw(rows))


if __name__ == "__main__":
    main()
