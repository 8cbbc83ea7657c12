"""Draw what the report of a run says, as SVG: where the time went, how the clip was cut up, what the recipe was.

    python -m restore run film.mp4 restored.mp4 --steps chain.json --report report.json
    python benchmarks/draw_run.py report.json docs --work ~/.cache/huggingface/restore/work/NAME

Written are ``chain.svg`` and ``recipe.svg``, from the report alone, and with the folder that the work was kept in also
``segments.svg``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

WIDTH, MARGIN, LEFT = 820, 16, 150
ROW, BAR = 34, 20
INK, FAINT, PAPER = "#1f2933", "#7b8794", "#ffffff"
COLOURS = ("#2f6f4f", "#c0803a", "#3f6ea5", "#8a5a9c", "#a5483f", "#5f7f2f")
GREY, BAND = "#9aa5b1", "#e4e7eb"
NARROW = 90  # pixels of a segment in which there is no room for words


def text(x: float, y: float, words: str, *, colour: str = INK, anchor: str = "start", size: int = 13) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} fill="{colour}" font-size="{size}">{escape(words)}</text>'


def box(x: float, y: float, width: float, height: float, colour: str, title: str = "") -> str:
    hint = f"<title>{escape(title)}</title>" if title else ""
    size = f'width="{max(width, 0.5):.1f}" height="{height:.1f}"'
    return f'<rect x="{x:.1f}" y="{y:.1f}" {size} fill="{colour}">{hint}</rect>'


def line(x: float, top: float, bottom: float, colour: str = INK) -> str:
    return (
        f'<line x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{bottom:.1f}" stroke="{colour}" stroke-dasharray="3 3"/>'
    )


def picture(parts: Iterable[str], height: float, title: str) -> str:
    """A whole picture; ``title`` says what it shows to who cannot see it."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
        f'aria-label="{escape(title)}" font-family="system-ui, sans-serif">\n'
        + "\n".join([box(0, 0, WIDTH, int(height), PAPER), *parts])
        + "\n</svg>\n"
    )


def colours(report: Mapping[str, Any]) -> dict[str, str]:
    """The colour of each part of the work, by its name and its place in the chain."""
    return dict(zip(names(report), [GREY, *COLOURS[: len(report["stages"])], INK], strict=True))


def names(report: Mapping[str, Any]) -> list[str]:
    """The parts of the work: a chain may have a stage twice."""
    stages = [stage["settings"]["stage"] for stage in report["stages"]]
    return ["decode", *(f"{number}. {name}" for number, name in enumerate(stages, 1)), "encode"]


def draw_chain(report: Mapping[str, Any]) -> str:
    """How long each part took, beside the time of the whole, in which they ran at the same time."""
    clip = report["clip"]
    seconds = [clip["seconds"]["decode"], *(stage["seconds"] for stage in report["stages"]), clip["seconds"]["encode"]]
    frames = [clip["read"]["frames"], *(stage["frames"] for stage in report["stages"]), clip["frames"]]
    together, whole = sum(seconds), report["seconds"]
    scale = (WIDTH - LEFT - MARGIN - 190) / max(together, whole)
    parts, top, found = [], MARGIN, colours(report)
    for name, length, count in zip(names(report), seconds, frames, strict=True):
        parts += [
            text(LEFT - 10, top + 15, name, anchor="end"),
            box(LEFT, top, length * scale, BAR, found[name]),
            text(LEFT + length * scale + 8, top + 15, f"{length:.1f} s, {count} frames", colour=FAINT),
        ]
        top += ROW
    parts.append(text(LEFT - 10, top + 15, "one after the other", anchor="end"))
    x = float(LEFT)
    for name, length in zip(names(report), seconds, strict=True):
        parts.append(box(x, top, length * scale, BAR, found[name], name))
        x += length * scale
    parts.append(text(x + 8, top + 15, f"{together:.1f} s", colour=FAINT))
    top += ROW
    parts += [
        text(LEFT - 10, top + 15, "the run", anchor="end"),
        box(LEFT, top, whole * scale, BAR, FAINT),
        text(LEFT + whole * scale + 8, top + 15, f"{whole:.1f} s, start to end", colour=FAINT),
    ]
    return picture(parts, top + ROW, f"Seconds of each part of the work on {report['source']}")


def draw_segments(report: Mapping[str, Any], records: Sequence[Mapping[str, Any]]) -> str:
    """The segments along the clip, and how long the parts of the work took in each."""
    bounds = [record["bounds"] for record in records]
    begin = Fraction(bounds[0]["start"])
    last = records[-1]["times"][-1]
    end = (Fraction(last[0]) + Fraction(last[1])) / Fraction(report["clip"]["stretch"])
    scale = (WIDTH - 2 * MARGIN) / float(end - begin)
    found = colours(report)
    rows = [
        [each["seconds"]["decode"], *(stage["seconds"] for stage in each["stages"]), each["seconds"]["encode"]]
        for each in records
    ]
    longest = max(sum(row) for row in rows)
    top, height = 52.0, 150.0
    parts = [text(MARGIN, 20, f"{report['source']}: {len(bounds)} segments; dashed: a new shot begins")]
    edges = [MARGIN + float(Fraction(each["start"]) - begin) * scale for each in bounds] + [WIDTH - MARGIN]
    parts += [box(left + 1, top - 18, right - left - 2, 18, BAND) for left, right in pairwise(edges)]
    for cut in report["clip"]["cuts"]:
        parts.append(line(MARGIN + float(Fraction(cut)) * scale, top - 24, top + height + 8))
    for number, (row, (left, right)) in enumerate(zip(rows, pairwise(edges), strict=True)):
        words = [f"{number}: {bounds[number]['frames']} frames", f"{sum(row):.0f} s"]
        if right - left < NARROW:
            words = [str(number), words[1]]
        middle = min((left + right) / 2, WIDTH - MARGIN - 14)
        parts += [box(middle - 3.3 * len(words[0]), top - 16, 6.6 * len(words[0]), 14, BAND)]
        parts.append(text(middle, top - 5, words[0], anchor="middle", size=11))
        y = top + height + 8
        for name, length in zip(found, row, strict=True):
            y -= length / longest * height
            parts.append(box(left + 8, y, right - left - 16, length / longest * height, found[name], name))
        parts.append(text(middle, top + height + 24, words[1], anchor="middle", colour=FAINT, size=11))
    x = float(MARGIN)
    for name, colour in found.items():
        parts += [box(x, top + height + 40, 12, 12, colour), text(x + 18, top + height + 51, name)]
        x += 34 + 7.5 * len(name)
    return picture(parts, top + height + 68, f"The segments of {report['source']} and what they took")


def draw_recipe(report: Mapping[str, Any]) -> str:
    """The steps of the recipe, each with what was made of its settings."""
    found = colours(report)
    clip = report["clip"]
    source = clip["source"]["video"]
    count = len(report["stages"]) + 2
    wide = (WIDTH - 2 * MARGIN - 24 * (count - 1)) / count
    width, height = report["source_size"]
    boxes = [
        (
            "source",
            GREY,
            [f"{width} × {height}", f"{source['frame_rate']} a second", f"{clip['read']['frames']} frames"],
        )
    ]
    for name, stage in zip(names(report)[1:-1], report["stages"], strict=True):
        settings = stage["settings"]
        said = [f"{key}: {json.dumps(value)}" for key, value in settings.items() if value not in (None, "", [], False)]
        models = [model["name"] for model in stage["models"]] or ["no network"]
        boxes.append((name, found[name], [*said[1:6], "→ " + ", ".join(models), f"→ {stage['frames']} frames"]))
    width, height = report["target_size"]
    rows = [
        f"{width} × {height}",
        f"{clip['frame_rate']} a second",
        f"{clip['frames']} frames",
        f"{clip['codec']}, {clip['container']}",
    ]
    boxes.append(("result", INK, rows))
    tall = 40 + 18 * max(len(lines) for _, _, lines in boxes)
    parts, x = [], float(MARGIN)
    for number, (name, colour, lines) in enumerate(boxes):
        parts += [box(x, MARGIN, wide, 24, colour), text(x + 8, MARGIN + 17, name, colour=PAPER)]
        parts.append(
            f'<rect x="{x:.1f}" y="{MARGIN}" width="{wide:.1f}" height="{tall}" fill="none" stroke="{colour}"/>'
        )
        parts += [text(x + 8, MARGIN + 44 + 18 * row, words, size=11) for row, words in enumerate(lines)]
        if number + 1 < count:
            parts.append(text(x + wide + 12, MARGIN + tall / 2, "›", anchor="middle", size=20))
        x += wide + 24
    return picture(parts, tall + 2 * MARGIN, f"The recipe of the work on {report['source']}")


def records_in(work: Path) -> list[dict[str, Any]]:
    """What the folder of a piece of work says of its segments, of the one encoding that it has."""
    (shelf,) = {path.parent for path in work.glob("*/??????.json") if path.parent.name != "master"}
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(shelf.glob("??????.json"))]


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw what the report of a run over a clip says.")
    parser.add_argument("report", type=Path, help="what --report wrote")
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--work", type=Path, help="the folder of this work below RESTORE_WORK_DIR")
    arguments = parser.parse_args()
    report = json.loads(arguments.report.read_text(encoding="utf-8"))
    drawn = {"chain.svg": draw_chain(report), "recipe.svg": draw_recipe(report)}
    if arguments.work is not None:
        drawn["segments.svg"] = draw_segments(report, records_in(arguments.work))
    for name, drawing in drawn.items():
        (arguments.folder / name).write_text(drawing, encoding="utf-8")
        print(arguments.folder / name)


if __name__ == "__main__":
    main()
