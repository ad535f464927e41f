"""Run a command that never outlives the process that asked for it.

    python -IS leash.py PARENT_PID SIGNAL UID GID -- command arguments…

UID and GID are numbers, or "-" to stay who we are. On Linux the kernel sends SIGNAL to the command as soon as its
parent is gone, however the parent ended (PR_SET_PDEATHSIG, prctl(2)); elsewhere the command is merely started.

This is a program and not a `preexec_fn`, because Python 3.12 and later warn of those in processes with threads.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Become the command: the process id stays the same."""
    parent, signal_number, uid, gid, _, *command = arguments
    if uid != "-":
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    if sys.platform == "linux":
        # After the change of user, which clears the setting; exec keeps it.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal_number))
        if os.getppid() != int(parent):
            sys.exit(1)  # the parent ended before the kernel knew what to do then
    try:
        os.execvp(command[0], command)  # noqa: S606 - the command is ours; no shell is wanted
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


main(sys.argv[1:])
