"""Entry point of the page, here and on a Hugging Face Space: ``python app.py``."""

import contextlib
import signal

# On ZeroGPU this has to come before anything that imports torch; elsewhere it does nothing and may be missing.
with contextlib.suppress(ImportError):
    import spaces  # noqa: F401

from restore.errors import SettingsError
from restore.inference.allocator import one_heap
from restore.ui.page import build_page, launch_page

# Before there are other threads, one of which will do the work.
one_heap()
try:
    demo = build_page()
except SettingsError as error:
    raise SystemExit(f"restore: {error}") from None

if __name__ == "__main__":
    # Whoever ends a service asks with SIGTERM: as Ctrl-C, so that the jobs stop and leave nothing behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    launch_page(demo)
