"""The options of all commands, and what becomes of an error."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

import restore
from restore.cli import FAILED, STOPPED, USAGE
from restore.cli.bars import Bars
from restore.cli.fetch import fetch
from restore.cli.mirror import mirror
from restore.cli.models import models
from restore.cli.probe import probe
from restore.cli.run import run
from restore.cli.signals import stoppable
from restore.cli.terminal import Lines, Unheard, logging_to, open_streams, put, say
from restore.errors import Cancelled, RestoreError, SettingsError
from restore.progress import Progress
from restore.settings import PRECISIONS

CODECS = ("h264", "hevc", "av1", "prores", "ffv1")

NUMBERED = "the input is numbered pictures, a folder of them or a name such as frames/%%05d.png"

RUN_HELP = """\
IN is a picture, a clip or a folder. A folder is worked through with its sub-folders and OUT is then a folder, made if
it is not there; files keep their format where it can be written (HEIC and GIF become PNG, AVI becomes MP4), and one
that fails does not stop the others. Times are seconds from the beginning of the clip, or such as 1:02:03.5.

examples:
  python -m restore run old.jpg new.png
  python -m restore run old.jpg new.png --model built-in --scale 2
  python -m restore run scans/ restored/ --report report.json
  python -m restore run old.jpg new.png --steps '[{"stage": "upscale", "model": "built-in", "scale": 4}]'
  python -m restore run old.jpg new.png --steps recipe.json
  python -m restore run old.jpg new.png --scale 2 --faces gfpgan-1.4
  python -m restore run old.avi new.mp4 --scale 2
  python -m restore run old.mkv new.mkv --codec hevc --crf 18 --start 10 --end 12.5
  python -m restore run old.mp4 smooth.mp4 --fps 60
  python -m restore run old.mp4 slow.mp4 --slow-motion 4
  python -m restore run frames/%05d.png new.mp4 --rate 24000/1001

exit code: 0 all is done, 1 something failed, 2 wrong options, 130 stopped by Ctrl-C
"""

MIRROR_HELP = """\
Each model is fetched and checked, written as safetensors and uploaded with where it comes from, its licence and its
sha256. HF_TOKEN has to be a token that may write there. Afterwards, RESTORE_HUB_MIRROR=OWNER/REPO makes the repository
the first place that models are fetched from. Mind the licences of what you make public: `models` lists them.

examples:
  python -m restore mirror --to me/restore-models
  python -m restore mirror --to me/restore-models basicvsr-pp pp-msvsr-l --private
"""


def main(words: Sequence[str] | None = None) -> int:
    """Run the command in ``words`` (those of the process by default); the exit code."""
    open_streams()
    arguments = parser().parse_args(words)
    bars = Bars()
    progress = Progress(bars if sys.stderr.isatty() and not arguments.quiet else None)
    lines = Lines(logging.ERROR if arguments.quiet else logging.WARNING)
    with stoppable(progress) as stop, logging_to(lines):
        try:
            code: int = arguments.run(arguments, progress, bars)
            return code
        except BrokenPipeError:  # whoever read our output has gone, as `head` does; nobody is left to be told
            return FAILED
        except KeyboardInterrupt:
            say("Stopped at once.")
            return STOPPED + (stop.signal or signal.SIGINT)
        except Exception as error:
            if arguments.debug:
                raise
            if isinstance(error, Cancelled):
                say(str(error))
                return STOPPED + (stop.signal or signal.SIGINT)
            if isinstance(error, RestoreError):
                say(str(error))
                return USAGE if isinstance(error, SettingsError) else FAILED
            say(f"a fault in this program, please report it: {type(error).__name__}: {error} (--debug tells more)")
            return FAILED


def parser() -> Parser:
    """The options of all commands."""
    top = Parser(prog="python -m restore", description="Restore old photos and film.", allow_abbrev=False)
    top.add_argument("--version", action="version", version=f"restore {restore.__version__}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(name: str, run: Callable[..., int], text: str, epilog: str = "") -> Parser:
        made = commands.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        made.set_defaults(run=run, quiet=False)
        made.add_argument("--debug", action="store_true", help="show where in the program an error came from")
        return made

    one = command("run", run, "restore a picture, a clip, or all of them in a folder", RUN_HELP)
    one.add_argument(
        "source",
        metavar="IN",
        help="a picture (PNG, JPEG, WebP, TIFF, BMP, AVIF, HEIC), a clip (MP4, MOV, MKV, WebM, AVI, MPEG and more) "
        "or a folder of them",
    )
    one.add_argument(
        "target", metavar="OUT", help="the result; its suffix says its format, for clips .mp4, .mov, .mkv or .webm"
    )
    one.add_argument(
        "--steps",
        metavar="JSON|FILE",
        help="what to do: a list of steps or a recipe, as JSON or as a file with it (one upscale with the best model)",
    )
    one.add_argument("--model", metavar="NAME", help="short for one upscale with this model; see `models` (auto)")
    one.add_argument(
        "--material",
        metavar="KIND",
        help="what the picture is, for the choice of the best model: photo, scan, illustration or faithful (photo)",
    )
    one.add_argument("--scale", type=float, metavar="N", help="short for one upscale, N times as large, 1 to 8 (4)")
    one.add_argument(
        "--faces",
        nargs="?",
        const="auto",
        metavar="NAME",
        help="restore the faces as well, with this model (auto); they go in at the resolution of the result",
    )
    one.add_argument(
        "--crops",
        metavar="FOLDER",
        help="keep the faces in cropped_faces and restored_faces in this folder, as they were and restored",
    )
    clips = one.add_argument_group("clips")
    clips.add_argument("--rate", metavar="N", help=f"{NUMBERED}, N of them a second: the result is one clip")
    clips.add_argument("--start", metavar="TIME", help="restore the part of a clip from here on")
    clips.add_argument("--end", metavar="TIME", help="restore the part of a clip up to here")
    clips.add_argument(
        "--fps",
        metavar="N",
        help="short for one interpolation to N frames a second, such as 60 or 60000/1001, with no upscale unless one "
        "is asked for",
    )
    clips.add_argument(
        "--slow-motion", type=float, metavar="N", help="the same, so that the clip lasts N times as long, sound and all"
    )
    clips.add_argument("--codec", choices=CODECS, help="how the pictures are encoded (h264)")
    clips.add_argument("--crf", type=float, metavar="N", help="constant quality, smaller is better (17 for h264)")
    clips.add_argument(
        "--preset", metavar="NAME", help="speed against size: veryfast, slow …; 0 to 13 for av1 (medium)"
    )
    clips.add_argument(
        "--deinterlace",
        choices=("auto", "fields", "off"),
        help="interlaced frames become one picture each, one for each of their fields, or stay as they are (auto)",
    )
    clips.add_argument(
        "--keep-aspect", action="store_true", default=None, help="keep pixels that are not square as they are"
    )
    clips.add_argument(
        "--cuts", metavar="TIMES", help="when new shots begin: auto, none, or times such as 12.5,1:02.04 (auto)"
    )
    clips.add_argument(
        "--cut-threshold", type=float, metavar="N", help="how much a frame changes where shots do, of 255 (27)"
    )
    one.add_argument("--report", metavar="FILE", help="write what was done, with which models and how long, as JSON")
    one.add_argument("--device", type=str.lower, metavar="NAME", help="auto, cpu, cuda, cuda:N or mps (auto)")
    one.add_argument("--precision", choices=PRECISIONS, help="arithmetic of the networks (auto)")
    one.add_argument("--quiet", action="store_true", help="say nothing but errors")

    listing = command("models", models, "list the models, their licences, and which of them are on this machine")
    listing.add_argument("--json", action="store_true", help="as JSON, with more about each")

    asking = command("probe", probe, "say what a clip is: its pictures, its sound, its times, what is odd about it")
    asking.add_argument("file", metavar="FILE", help="a clip")
    asking.add_argument("--rate", metavar="N", help=f"{NUMBERED}, N of them a second")
    asking.add_argument("--json", action="store_true", help="as JSON, with more about it")

    getting = command("fetch", fetch, "download models, so that they are there when they are needed")
    getting.add_argument("models", metavar="MODEL", nargs="*", help="a name that `models` lists")
    getting.add_argument("--all", action="store_true", help="every model")
    getting.add_argument("--quiet", action="store_true", help="say nothing but errors")

    copying = command("mirror", mirror, "copy models to a repository of your own on the Hugging Face Hub", MIRROR_HELP)
    copying.add_argument(
        "models", metavar="MODEL", nargs="*", help="a name that `models` lists (all that have no home on the Hub)"
    )
    copying.add_argument("--to", metavar="OWNER/REPO", required=True, help="the repository; it is made if need be")
    copying.add_argument("--all", action="store_true", help="every model")
    copying.add_argument("--private", action="store_true", help="make the repository private, if it is made now")
    copying.add_argument("--quiet", action="store_true", help="say nothing but errors")
    return top


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        say(f"{message}; see {self.prog} --help")
        sys.exit(USAGE)

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """End after --help or --version, whose text is still in the buffer."""
        try:
            put(end="")
        except Unheard as error:
            say(str(error))
            status = FAILED
        except BrokenPipeError:
            status = FAILED
        super().exit(status, message)
