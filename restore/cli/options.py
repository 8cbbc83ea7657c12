"""The options that say what is to be done, and how, in groups that ``--help`` shows one after the other."""

from __future__ import annotations

import argparse

from restore.paddlegan_names import NAMES
from restore.settings import PRECISIONS

CODECS = ("h264", "hevc", "av1", "prores", "ffv1")

NUMBERED = "the input is numbered pictures, a folder of them or a name such as frames/%%05d.png"

PADDLEGAN = """\
Underscores in place of hyphens, --input and --output in place of IN and OUT and --cpu are understood as well, and
--DAIN-weight FILE (and so on) is the file of a model.
"""


def add_chain(parser: argparse.ArgumentParser) -> None:
    """What is to be done."""
    group = parser.add_argument_group("what to do (without any of these: one upscale with the best model)")
    group.add_argument("--steps", metavar="JSON|FILE", help="a list of steps or a recipe, as JSON or as a file with it")
    group.add_argument(
        "--recipe",
        metavar="NAME|FILE",
        help="a recipe by its name (see `recipes`), such as silent-film, or a JSON file",
    )
    group.add_argument("--model", metavar="NAME", help="short for one upscale with this model; see `models` (auto)")
    group.add_argument(
        "--material",
        metavar="KIND",
        help="what the picture is, for the choice of the best model: photo, scan, illustration or faithful (photo)",
    )
    group.add_argument("--scale", type=float, metavar="N", help="short for one upscale, N times as large, 1 to 8 (4)")
    group.add_argument(
        "--faces",
        nargs="?",
        const="auto",
        metavar="NAME",
        help="restore the faces as well, with this model (auto); they go in at the resolution of the result",
    )
    group.add_argument(
        "--colorize",
        nargs="?",
        const="auto",
        metavar="NAME",
        help="give colours, with this model (auto), and no upscale unless one is asked for",
    )
    group.add_argument(
        "--references",
        nargs="+",
        metavar="PICTURE|FOLDER",
        help="pictures with the colours that are wanted: 3=a.png is for shot number 3, counted from 0, 12.5s=a.png and "
        "1:02=a.png for the shot at that time, a.png alone for all others; names in a folder say it (3.png, 12.5.png)",
    )
    group.add_argument(
        "--fps",
        metavar="N",
        help="short for one interpolation of a clip to N frames a second, such as 60 or 60000/1001, with no upscale "
        "unless one is asked for",
    )
    group.add_argument(
        "--slow-motion", type=float, metavar="N", help="the same, so that the clip lasts N times as long, sound and all"
    )
    _add_paddlegan(parser)


def _add_paddlegan(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what to do, in the words of PaddleGAN's video-enhance", PADDLEGAN)
    group.add_argument(
        "--process-order", nargs="+", metavar="NAME", help=f"the models of the chain, in order: {', '.join(NAMES)}"
    )
    group.add_argument(
        "--time-step", type=float, metavar="N", help="DAIN: one divided by the times as many frames (0.5)"
    )
    for name, text in (
        ("--remove-duplicates", "DAIN: leave out frames that repeat the one before"),
        ("--artistic", "DeOldify: the bolder model"),
    ):
        group.add_argument(name, action="store_true", default=None, help=text)
    group.add_argument("--render-factor", type=int, metavar="N", help="DeOldify: 7 to 45, more for finer colours (32)")
    group.add_argument(
        "--colorization", action="store_true", default=None, help="DeepRemaster: give colours, not only clean"
    )
    group.add_argument(
        "--reference-dir",
        metavar="FOLDER",
        help="DeepRemaster, and --colorize: pictures whose colours are wanted, all of them for every shot",
    )
    group.add_argument("--mindim", type=int, metavar="N", help="DeepRemaster: shorter side that it looks at (360)")
    group.add_argument(
        "--num-frames",
        type=int,
        metavar="N",
        help="frames that go through a model that uses time at once, and with --model too (what fits)",
    )
    for name in NAMES:
        group.add_argument(f"--{name}-weight", metavar="FILE", help=argparse.SUPPRESS)


def add_clip(parser: argparse.ArgumentParser) -> None:
    """What is for clips alone."""
    group = parser.add_argument_group("clips")
    group.add_argument("--rate", metavar="N", help=f"{NUMBERED}, N of them a second: the result is one clip")
    group.add_argument("--start", metavar="TIME", help="restore the part of a clip from here on")
    group.add_argument("--end", metavar="TIME", help="restore the part of a clip up to here")
    group.add_argument(
        "--deinterlace",
        choices=("auto", "fields", "off"),
        help="interlaced frames become one picture each, one for each of their fields, or stay as they are (auto)",
    )
    group.add_argument(
        "--keep-aspect", action="store_true", default=None, help="keep pixels that are not square as they are"
    )
    group.add_argument(
        "--cuts", metavar="TIMES", help="when new shots begin: auto, none, or times such as 12.5,1:02.04 (auto)"
    )
    group.add_argument(
        "--cut-threshold", type=float, metavar="N", help="how much a frame changes where shots do, of 255 (27)"
    )
    group = parser.add_argument_group("what is left alone")
    group.add_argument(
        "--untouched",
        action="append",
        metavar="X,Y,W,H",
        help="a part of the picture in which nothing is invented, such as burnt-in subtitles: left and upper edge, "
        "width and height, each a share of the frame (0.85 or 85%%) or in pixels (864px); may be given several times",
    )
    group = parser.add_argument_group("how clips are encoded")
    group.add_argument("--codec", choices=CODECS, help="how the pictures are encoded (h264)")
    group.add_argument("--crf", type=float, metavar="N", help="constant quality, smaller is better (17 for h264)")
    group.add_argument(
        "--preset", metavar="NAME", help="speed against size: veryfast, slow …; 0 to 13 for av1 (medium)"
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """On what it runs."""
    group = parser.add_argument_group("on what it runs")
    group.add_argument("--device", type=str.lower, metavar="NAME", help="auto, cpu, cuda, cuda:N or mps (auto)")
    group.add_argument("--precision", choices=PRECISIONS, help="arithmetic of the networks (auto)")
