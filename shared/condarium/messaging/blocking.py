"""Calls that block the operating system's thread, for processes whose threads are greenthreads."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from condarium.messaging import bootstrap

P = ParamSpec("P")
T = TypeVar("T")


def call(function: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Runs `function` where it holds up nobody: in a real thread under eventlet, right here elsewhere.

    For what eventlet cannot make cooperative: file systems that may hang, and libraries in C or Rust.
    """
    if not bootstrap.patched():
        return function(*arguments, **options)
    from eventlet import tpool

    result: T = tpool.execute(function, *arguments, **options)
    return result
