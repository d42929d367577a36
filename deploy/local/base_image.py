"""The base image of this run, made once out of this machine's Debian packages."""

import os
import shutil

from condarium.errors import CondariumError
from deploy.base_image.make import make_base
from deploy.base_image.packages import BaseProblem
from deploy.local.layout import Layout


def make(layout: Layout) -> str | None:
    """Make it where there is none; returns a sentence when that failed: all but images works without."""
    if layout.base_image.exists():
        return None
    unfinished = layout.base_image.with_name(f".base-image.{os.getpid()}")
    try:
        make_base(unfinished)
        unfinished.rename(layout.base_image)
    except (BaseProblem, CondariumError, OSError) as error:
        return f"images cannot be made yet: {error}"
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return None
