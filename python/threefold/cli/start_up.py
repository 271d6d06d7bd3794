"""Says how a new interpreter will learn of `threefold run`: by a file in site-packages, or by PYTHONPATH."""

from __future__ import annotations

import os
import site
import sys

import threefold

FILE_NAME = "threefold_run.pth"

START_UP_FOLDER = os.path.join(os.path.dirname(os.path.abspath(threefold.__file__)), "_site")
"""The folder whose `sitecustomize` starts threefold when it is on PYTHONPATH."""


def start_up_file(*, ignores_user_site: bool = False) -> str | None:
    """Return the path of the start-up file that an interpreter like this one will read, or None.

    Args:
        ignores_user_site: whether it will be started with -s or -I.
    """
    folders = site.getsitepackages()
    if site.ENABLE_USER_SITE and not ignores_user_site:
        folders.append(site.getusersitepackages())
    on_path = {os.path.realpath(entry) for entry in sys.path}
    for folder in folders:
        path = os.path.join(folder, FILE_NAME)
        if os.path.exists(path) and os.path.realpath(folder) in on_path:
            return path
    return None
