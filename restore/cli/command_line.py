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
from restore.cli.estimate import estimate
from restore.cli.fetch import fetch
from restore.cli.mirror import mirror
from restore.cli.models import models
from restore.cli.options import NUMBERED, add_chain, add_clip, add_device
from restore.cli.probe import probe
from restore.cli.recipes import recipes
from restore.cli.run import run
from restore.cli.signals import stoppable
from restore.cli.spelling import spelt_as_here
from restore.cli.terminal import Lines, Unheard, logging_to, open_streams, put, say
from restore.errors import Cancelled, RestoreError, SettingsError
from restore.progress import Progress

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
  python -m restore run old.mp4 coloured.mp4 --colorize --references 0=street.png 1:02.5=garden.jpg
  python -m restore run frames/%05d.png new.mp4 --rate 24000/1001
  python -m restore run old.mp4 new.mp4 --recipe silent-film --save-recipe my.json
  python -m restore run old.mp4 new.mp4 --process-order DAIN DeOldify PPMSVSR

exit code: 0 all is done, 1 something failed, 2 wrong options, 130 stopped by Ctrl-C
"""

ESTIMATE_HELP = """\
What the stages cost is measured on this machine the first time, which takes some seconds, and kept. Nothing is
downloaded. The time goes from a low to a high figure and is that of `run` with the same options.

examples:
  python -m restore estimate old.mp4 --recipe silent-film
  python -m restore estimate old.mp4 --steps recipe.json --codec hevc --json
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
    arguments = parser().parse_args(spelt_as_here(sys.argv[1:] if words is None else words))
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
    one.usage = f"{one.prog} IN OUT [options]"
    one.add_argument(
        "source",
        metavar="IN",
        help="a picture (PNG, JPEG, WebP, TIFF, BMP, AVIF, HEIC), a clip (MP4, MOV, MKV, WebM, AVI, MPEG and more) "
        "or a folder of them",
    )
    one.add_argument(
        "target", metavar="OUT", help="the result; its suffix says its format, for clips .mp4, .mov, .mkv or .webm"
    )
    add_chain(one)
    add_clip(one)
    add_device(one)
    kept = one.add_argument_group("what is kept beside the result")
    kept.add_argument("--report", metavar="FILE", help="write what was done, with which models and how long, as JSON")
    kept.add_argument("--save-recipe", metavar="FILE", help="write what is to be done as a recipe, for --recipe")
    kept.add_argument(
        "--crops",
        metavar="FOLDER",
        help="keep the faces in cropped_faces and restored_faces in this folder, as they were and restored",
    )
    going_on = one.add_argument_group(
        "going on with a clip that was interrupted, which is what happens when the same is run again"
    )
    going_on.add_argument(
        "--no-resume", action="store_true", help="keep nothing on the way, and begin anew; always so with --crops"
    )
    going_on.add_argument(
        "--partial", action="store_true", help="compute nothing, and put what is done so far into OUT, sound and all"
    )
    going_on.add_argument(
        "--keep-master",
        action="store_true",
        help="keep lossless frames as well, if the disk has room, for another codec or quality later on",
    )
    one.add_argument("--quiet", action="store_true", help="say nothing but errors")

    before = command("estimate", estimate, "say what will come out of a clip and how long it takes", ESTIMATE_HELP)
    before.usage = f"{before.prog} IN [OUT] [options]"
    before.add_argument("source", metavar="IN", help="a clip")
    before.add_argument("target", metavar="OUT", nargs="?", help="where the result would be put (an MP4 file)")
    add_chain(before)
    add_clip(before)
    add_device(before)
    before.add_argument("--measure-again", action="store_true", help="forget what stages cost, and measure it anew")
    before.add_argument("--json", action="store_true", help="as JSON, with more about it")

    offering = command("recipes", recipes, "list the recipes that come with the program, by the kind of material")
    offering.add_argument("--json", action="store_true", help="as JSON, with their steps")

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
