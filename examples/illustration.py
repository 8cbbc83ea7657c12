"""A drawing in the manner of an anime still: a girl in a straw hat by the sea, made of filled curves and inked lines.

Everything is in units of a sheet of 900 x 1080; paths are written as in SVG (M, L, Q, C and Z, absolute).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw

WIDTH, HEIGHT = 900, 1080
SUPERSAMPLING = 2
INK = "#2a2438"

Point = tuple[float, float]

SKIN, SKIN_SHADE = "#fde3d0", "#f0bfa9"
HAIR, HAIR_SHADE, HAIR_LIGHT = "#7a4a3c", "#55302c", "#b77c5c"
STRAW, STRAW_SHADE, RIBBON, RIBBON_SHADE = "#f3d58a", "#d7a958", "#c8394b", "#8f2440"
CLOTH, CLOTH_SHADE, COLLAR, COLLAR_SHADE = "#fbfbf6", "#c9d5e6", "#2f4f8f", "#233a6c"


def points(path: str, steps: int = 24) -> list[Point]:
    """The outline that ``path`` describes, its curves made of ``steps`` straight pieces each."""
    words = path.replace(",", " ").split()
    outline: list[Point] = []
    command, place = "M", 0
    while place < len(words):
        if words[place].isalpha():
            command, place = words[place], place + 1
            if command == "Z":
                outline.append(outline[0])
            continue
        count = {"M": 1, "L": 1, "Q": 2, "C": 3}[command]
        numbers = [float(word) for word in words[place : place + 2 * count]]
        place += 2 * count
        controls = list(zip(numbers[::2], numbers[1::2], strict=True))
        if count == 1:
            outline += controls
            continue
        controls.insert(0, outline[-1])
        outline += [bezier(controls, step / steps) for step in range(1, steps + 1)]
    return outline


def bezier(controls: Sequence[Point], t: float) -> Point:
    """The point at ``t`` (0 to 1) of the Bézier curve with these control points (de Casteljau's construction)."""
    while len(controls) > 1:
        controls = [(x + (u - x) * t, y + (v - y) * t) for (x, y), (u, v) in pairwise(controls)]
    return controls[0]


def mirrored(path: str) -> str:
    """``path`` on the other side of the middle of the sheet."""
    words = path.split()
    sides = [index for index, word in enumerate(words) if not word.isalpha()][::2]
    for index in sides:
        words[index] = f"{WIDTH - float(words[index]):g}"
    return " ".join(words)


class Sheet:
    """A canvas, and what is drawn with: filled shapes, lines, shadows cut to a shape, bands of sky and sea."""

    def __init__(self) -> None:
        self.picture = Image.new("RGB", (WIDTH * SUPERSAMPLING, HEIGHT * SUPERSAMPLING))
        self._draw = ImageDraw.Draw(self.picture)

    def fill(self, path: str, colour: str, ink: float = 0) -> None:
        """Fill ``path``, and ink its outline with a line of that width."""
        outline = self._scaled(points(path))
        self._draw.polygon(outline, fill=colour)
        if ink:
            self.line(path, ink)

    def fill_inside(self, path: str, within: str, colour: str) -> None:
        """Fill what of ``path`` lies within another path."""
        masks = [Image.new("L", self.picture.size) for _ in range(2)]
        for mask, each in zip(masks, (path, within), strict=True):
            ImageDraw.Draw(mask).polygon(self._scaled(points(each)), fill=255)
        both = Image.fromarray(np.minimum(*(np.asarray(mask) for mask in masks)))
        self.picture.paste(Image.new("RGB", self.picture.size, colour), mask=both)

    def line(self, path: str, width: float, colour: str = INK, taper: bool = False) -> None:
        """A line of round pen strokes; one that tapers is thin at both ends, as a brush makes it."""
        outline = self._scaled(points(path))
        for (x, y), (u, v), share in self._pieces(outline):
            middle = math.sin(math.pi * share) if taper else 1
            radius = width * SUPERSAMPLING / 2 * (0.25 + 0.75 * middle)
            for step in range(int(math.dist((x, y), (u, v))) + 1):
                t = step / (math.dist((x, y), (u, v)) or 1)
                self._dot(x + (u - x) * t, y + (v - y) * t, radius, colour)

    def oval(self, x: float, y: float, across: float, down: float, colour: str) -> None:
        """A filled ellipse with these radii."""
        box = [(x - across) * SUPERSAMPLING, (y - down) * SUPERSAMPLING]
        box += [(x + across) * SUPERSAMPLING, (y + down) * SUPERSAMPLING]
        self._draw.ellipse(box, fill=colour)

    def gradient(self, colours: Sequence[str], top: float, bottom: float) -> None:
        """Bands that run from one colour to the next between two heights, over the whole width."""
        stops = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in colours], float)
        first, last = int(top * SUPERSAMPLING), int(bottom * SUPERSAMPLING)
        places = np.linspace(0, len(colours) - 1, last - first)
        rows = np.stack([np.interp(places, range(len(colours)), stops[:, channel]) for channel in range(3)], axis=-1)
        band = np.repeat(rows.round().astype(np.uint8)[:, None], self.picture.width, axis=1)
        self.picture.paste(Image.fromarray(band), (0, first))

    def _dot(self, x: float, y: float, radius: float, colour: str) -> None:
        self._draw.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colour)

    def _scaled(self, outline: Sequence[Point]) -> list[Point]:
        return [(x * SUPERSAMPLING, y * SUPERSAMPLING) for x, y in outline]

    def _pieces(self, outline: Sequence[Point]) -> list[tuple[Point, Point, float]]:
        count = max(1, len(outline) - 1)
        return [(a, b, i / count) for i, (a, b) in enumerate(pairwise(outline))]


def cloud(sheet: Sheet, puffs: Sequence[tuple[float, float, float]]) -> None:
    """A heap of white puffs (x, y, radius) with its shade below."""
    for x, y, radius in puffs:
        sheet.oval(x, y, radius, radius * 0.86, "#c3def0")
    for x, y, radius in puffs:
        sheet.oval(x + radius * 0.08, y - radius * 0.16, radius * 0.92, radius * 0.74, "#f6fbff")


def background(sheet: Sheet) -> None:
    sheet.gradient(["#2f86d0", "#63b3e6", "#bfe7f5"], 0, 760)
    cloud(sheet, [(70, 690, 120), (-10, 590, 110), (110, 560, 90), (180, 660, 90), (30, 470, 70), (250, 720, 70)])
    cloud(sheet, [(850, 700, 110), (760, 725, 80), (900, 610, 100), (820, 620, 66), (690, 740, 50)])
    cloud(sheet, [(700, 150, 46), (756, 140, 60), (818, 158, 42), (648, 168, 26)])
    sheet.gradient(["#2b78b8", "#2f9cc4", "#58c3cf"], 752, 1080)
    for row in range(9):
        y = 775 + row * row * 3.6
        for column in range(7):
            x = (column * 163 + row * row * 57) % 980 - 60
            length = 26 + 9 * row
            bow = 2 + row * 0.6
            sheet.line(f"M {x} {y} Q {x + length / 2} {y - bow} {x + length} {y}", 2 + row * 0.5, "#d9f4f4", taper=True)


BACK_HAIR = (
    "M 450 250 C 250 250 205 430 212 590 C 216 690 196 760 160 820 Q 226 812 256 782 Q 250 826 226 862 "
    "Q 300 850 340 846 L 560 846 Q 600 850 674 862 Q 650 826 644 782 Q 674 812 740 820 "
    "C 704 760 684 690 688 590 C 695 430 650 250 450 250 Z"
)
NECK = "M 398 690 L 398 822 Q 450 880 502 822 L 502 690 Z"
FACE = (
    "M 450 752 C 424 750 396 734 366 706 C 318 664 284 606 280 520 C 276 420 330 330 450 330 "
    "C 570 330 624 420 620 520 C 616 606 582 664 534 706 C 504 734 476 750 450 752 Z"
)
BODY = (
    "M 398 800 C 372 832 300 846 236 872 C 168 900 136 980 120 1084 L 780 1084 C 764 980 732 900 664 872 "
    "C 600 846 528 832 502 800 Q 450 868 398 800 Z"
)
EYE_WHITE = (
    "M 318 574 C 322 536 348 520 376 522 C 404 526 414 552 412 590 "
    "C 408 622 386 634 364 634 C 338 632 322 610 318 574 Z"
)
IRIS = (
    "M 336 576 C 338 540 352 528 370 528 C 390 530 402 548 402 582 "
    "C 400 616 386 630 368 630 C 350 630 338 612 336 576 Z"
)
LASHES = (
    "M 304 588 Q 306 570 296 566 Q 312 560 316 548 C 334 512 372 500 404 520 Q 420 534 420 552 "
    "C 396 524 352 522 326 560 Q 318 574 318 588 Q 310 584 304 588 Z"
)
MOUTH = "M 416 688 Q 450 700 484 686 Q 478 724 448 724 Q 422 722 416 688 Z"
LEFT_COLLAR = "M 398 796 C 356 826 318 838 282 850 C 300 910 340 956 396 994 L 450 930 C 428 896 404 850 398 796 Z"
BANGS = (
    "M 252 372 C 236 430 236 500 246 556 Q 264 602 262 652 Q 290 612 296 552 Q 312 512 330 476 Q 330 520 316 566 "
    "Q 366 532 388 462 Q 396 500 388 548 Q 430 512 446 452 Q 462 516 500 552 Q 494 506 502 466 "
    "Q 530 530 586 566 Q 570 520 570 478 Q 590 512 604 552 Q 610 612 638 652 Q 636 602 654 556 "
    "C 664 500 664 430 648 372 Z"
)
FRINGE_SHADE = (
    "M 240 372 L 262 540 Q 300 620 312 590 Q 340 530 344 500 Q 350 560 330 596 Q 392 560 400 496 Q 410 550 402 580 "
    "Q 446 540 456 484 Q 470 552 512 586 Q 508 540 514 500 Q 540 566 600 600 Q 582 550 582 510 Q 600 560 612 590 "
    "L 660 540 L 660 372 Z"
)
CROWN = "M 270 330 C 268 190 316 92 450 90 C 584 92 632 190 630 330 Q 450 390 270 330 Z"
BAND = "M 269 268 Q 450 326 631 268 L 632 326 Q 450 392 268 326 Z"
BRIM = (
    "M 92 392 C 150 300 300 268 450 268 C 600 268 750 300 808 392 C 720 420 590 436 450 436 C 310 436 180 420 92 392 Z"
)
BRIM_OPENING = "M 262 306 Q 450 372 638 306 Q 640 270 450 262 Q 260 270 262 306 Z"


def body(sheet: Sheet) -> None:
    sheet.fill(BODY, CLOTH, 5)
    sheet.fill_inside("M 120 1084 C 150 960 190 900 262 872 C 220 950 214 1020 216 1084 Z", BODY, CLOTH_SHADE)
    sheet.fill_inside("M 450 930 L 396 994 Q 420 1040 420 1084 L 520 1084 Q 500 1010 504 994 Z", BODY, CLOTH_SHADE)
    sheet.line("M 214 1084 Q 216 1000 246 940", 4, taper=True)
    sheet.line("M 686 1084 Q 684 1000 654 940", 4, taper=True)
    sheet.fill(NECK, SKIN, 5)
    sheet.fill_inside("M 390 690 L 390 772 Q 450 822 510 760 L 510 690 Z", NECK, SKIN_SHADE)
    sheet.line("M 398 690 L 398 806", 5)
    sheet.line("M 502 690 L 502 806", 5)
    for collar in (LEFT_COLLAR, mirrored(LEFT_COLLAR)):
        sheet.fill(collar, COLLAR, 5)
    fold = "M 398 796 C 404 850 428 896 450 930 L 436 946 C 408 908 388 860 384 808 Z"
    sheet.fill_inside(fold, LEFT_COLLAR, COLLAR_SHADE)
    stripe = "M 300 860 C 318 908 350 944 400 976"
    sheet.line(stripe, 5, "#eef2f8")
    sheet.line(mirrored(stripe), 5, "#eef2f8")
    left = "M 450 940 C 400 924 350 940 336 976 C 340 1012 392 1012 450 962 Z"
    tail = "M 444 956 C 420 1000 404 1036 400 1084 L 442 1084 C 446 1036 452 1000 456 960 Z"
    for tie in (tail, mirrored(tail), left, mirrored(left)):
        sheet.fill(tie, RIBBON, 5)
    shade = "M 336 976 C 370 980 410 974 450 956 L 450 1000 L 340 1020 Z"
    sheet.fill_inside(shade, left, RIBBON_SHADE)
    sheet.fill_inside(mirrored(shade), mirrored(left), RIBBON_SHADE)
    sheet.fill("M 430 934 Q 450 926 470 934 Q 478 952 468 970 Q 450 978 432 970 Q 422 952 430 934 Z", RIBBON, 5)


def eye(sheet: Sheet, turn: bool) -> None:
    """One eye, on the left of the sheet or, turned, on the right; its lights lie on the same side in both."""

    def side(path: str) -> str:
        return mirrored(path) if turn else path

    x = WIDTH - 366 if turn else 366
    white, iris = side(EYE_WHITE), side(IRIS)
    sheet.fill(white, "#ffffff")
    sheet.fill(iris, "#3f7f8f")
    sheet.fill_inside(f"M {x - 60} 510 L {x + 60} 510 L {x + 60} 574 Q {x} 590 {x - 60} 574 Z", iris, "#1f3d58")
    sheet.oval(x + (-3 if turn else 3), 582, 15, 24, "#122136")
    sheet.fill_inside(f"M {x - 40} 612 Q {x} 592 {x + 40} 612 L {x + 40} 640 L {x - 40} 640 Z", iris, "#8fd6cf")
    sheet.line(iris, 3)
    sheet.fill_inside(side("M 310 520 L 420 520 L 416 552 Q 366 528 318 566 Z"), white, "#cbbccb")
    sheet.fill_inside(side("M 310 520 L 420 520 L 404 548 Q 366 530 336 562 Z"), iris, "#14233c")
    sheet.oval(x - 12, 556, 11, 14, "#ffffff")
    sheet.oval(x + 15, 608, 6, 7, "#ffffff")
    sheet.fill(side(LASHES), INK)
    sheet.line(side("M 344 636 Q 366 644 392 632"), 4, taper=True)
    sheet.line(side("M 326 512 Q 362 484 404 502"), 3, "#9a5f55", taper=True)
    sheet.line(side("M 312 470 Q 352 440 402 456"), 8, HAIR_SHADE, taper=True)


def face(sheet: Sheet) -> None:
    sheet.fill(FACE, SKIN, 5)
    sheet.fill_inside(FRINGE_SHADE, FACE, SKIN_SHADE)
    sheet.line(FACE, 5)
    for x in (364, WIDTH - 364):
        sheet.oval(x, 666, 30, 14, "#f9c3b8")
        for offset in (-14, 0, 14):
            sheet.line(f"M {x + offset + 5} 659 L {x + offset - 5} 673", 3, "#e08d84", taper=True)
    for turn in (False, True):
        eye(sheet, turn)
    sheet.line("M 446 640 Q 452 648 458 644", 5, "#b06a5c", taper=True)
    sheet.fill(MOUTH, "#a83a45", 3.5)
    sheet.fill_inside("M 424 712 Q 450 700 476 712 L 470 730 L 430 730 Z", MOUTH, "#ec8b83")
    sheet.line("M 408 684 Q 450 704 492 682", 4, taper=True)


def hair(sheet: Sheet) -> None:
    sheet.fill(BANGS, HAIR, 5)
    for lock in (
        "M 262 652 Q 250 600 250 540 Q 262 480 286 430 Q 270 520 290 560 Q 284 612 262 652 Z",
        "M 316 566 Q 340 520 338 440 Q 356 500 340 546 Z",
        "M 388 548 Q 402 500 398 440 Q 420 490 408 528 Z",
    ):
        sheet.fill_inside(lock, BANGS, HAIR_SHADE)
        sheet.fill_inside(mirrored(lock), BANGS, HAIR_SHADE)
    shine = (
        "M 282 480 Q 300 462 320 458 L 318 474 Q 336 456 370 452 L 372 470 Q 400 448 446 448 Q 492 448 520 464 "
        "L 524 450 Q 560 456 580 472 L 582 458 Q 604 466 620 482 Q 590 480 580 492 L 572 480 Q 548 474 528 484 "
        "L 520 474 Q 480 464 446 466 Q 404 468 376 488 L 370 476 Q 340 480 326 494 L 316 480 Q 300 482 282 480 Z"
    )
    sheet.fill_inside(shine, BANGS, HAIR_LIGHT)
    sheet.fill_inside("M 230 372 L 670 372 L 670 440 Q 450 466 230 440 Z", BANGS, HAIR_SHADE)
    for strand in ("M 296 552 Q 300 490 318 430", "M 446 452 Q 444 436 446 420", "M 262 640 Q 262 560 278 470"):
        sheet.line(strand, 3, taper=True)
        sheet.line(mirrored(strand), 3, taper=True)


def hat(sheet: Sheet) -> None:
    sheet.fill(BRIM, STRAW, 5)
    sheet.fill_inside(
        "M 92 392 C 200 400 330 402 450 402 C 570 402 700 400 808 392 L 808 450 L 92 450 Z", BRIM, STRAW_SHADE
    )
    for row in range(3):
        y = 312 + 26 * row
        sheet.line(f"M {236 - 44 * row} {y + 18} Q 450 {y + 70} {664 + 44 * row} {y + 18}", 2.5, "#c2934a", taper=True)
    sheet.fill(CROWN, STRAW, 5)
    sheet.fill_inside("M 270 330 C 268 190 316 92 420 92 C 330 130 312 240 322 350 Z", CROWN, STRAW_SHADE)
    for row in range(3):
        y = 142 + 40 * row
        sheet.line(f"M {326 - 14 * row} {y} Q 450 {y + 44} {574 + 14 * row} {y}", 2.5, "#c2934a", taper=True)
    sheet.fill(BAND, RIBBON, 5)
    sheet.fill_inside("M 269 268 Q 300 280 324 284 L 330 345 Q 296 338 268 326 Z", BAND, RIBBON_SHADE)
    sheet.fill("M 612 296 Q 664 262 700 286 Q 690 322 640 330 Q 700 340 712 392 Q 668 392 622 334 Z", RIBBON, 5)
    sheet.line("M 622 312 Q 660 300 684 292", 3.5, taper=True)


def draw() -> Image.Image:
    """The drawing, ``SUPERSAMPLING`` times the size of the sheet."""
    sheet = Sheet()
    background(sheet)
    sheet.fill(BACK_HAIR, HAIR_SHADE, 5)
    body(sheet)
    face(sheet)
    hair(sheet)
    hat(sheet)
    return sheet.picture
