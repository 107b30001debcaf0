"""Commands of fer-zoo in forked processes, which start at once and can be killed."""

import os
import signal
import sys
import traceback
import warnings

from fer_zoo.cli import main


def start(argv, errors=os.devnull):
    """Forks a process that runs a command; only what it says on standard error is kept.

    Args:
        argv: The command's arguments.
        errors: The file for standard error.

    Returns:
        The process's number.
    """
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        warnings.simplefilter("ignore")
        code = main(argv)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)
