"""The command line: ``python -m restore run``, ``models`` and ``fetch``.

Nothing heavy is imported before it is needed, so that help comes at once.
"""

OK, FAILED, USAGE = 0, 1, 2
STOPPED = 128  # plus the number of the signal, as a shell has it: 130 after Ctrl-C
