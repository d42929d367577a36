"""`make demo`: everything started, the examples built, each of them used in every way it is served."""

import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.panel import Panel

from condarium.cli.following import follow
from condarium.cli.output import phases
from condarium.client import ApiError, Client
from deploy.local import sample, servings, stack, state
from deploy.local.problem import LocalProblem
from deploy.local.servings import ServingFailed, Subject
from deploy.local.settings import Settings

EXAMPLES = Path(__file__).parent / "examples"
NAMESPACE = "default"
# What each example is for; one that is not named here only has to start its Python.
IMPORTS = {
    "science.yml": "numpy, pandas, scipy",
    "small.yml": "click, rich",
    "web.yml": "flask, requests, cowsay",
}


def demo(settings: Settings, environ: Mapping[str, str], console: Console, files: Sequence[Path] = ()) -> int:
    """Run it all with `files` (default: the examples); returns 0 when each was served in every way.

    Raises:
        LocalProblem: something could not be started or submitted.
    """
    begun = time.monotonic()
    texts = _read(files or sorted(EXAMPLES.glob("*.yml")))
    channel = _choose_channel(settings, environ, console)
    console.rule("starting")
    plan = stack.up(settings, environ)
    if channel == sample.SAMPLE:
        console.print(Panel(sample.banner(settings.layout.channel), title="sample channel"))
    elif channel:
        console.print("conda-forge is reachable and is used itself")
    try:
        with Client(plan.values["CONDARIUM_API_URL"], token=plan.values["CONDARIUM_TOKEN"]) as client:
            subjects, failed = _build(client, texts, plan.values, console)
            failed += _serve(subjects, console)
    except ApiError as error:
        raise LocalProblem(str(error)) from error
    _next_steps(settings, plan.values, subjects, console)
    console.print(f"{'done' if not failed else f'{failed} checks failed'} after {time.monotonic() - begun:.0f} s")
    return 1 if failed else 0


def _choose_channel(settings: Settings, environ: Mapping[str, str], console: Console) -> str | None:
    channel = sample.choose(settings, environ)
    if channel is None:
        console.print("CONDARIUM_CHANNEL_MIRRORS is set: the channels are yours")
        return None
    if channel == sample.SAMPLE:
        console.rule("sample channel")
        sample.make(settings.layout)
    state.remember_channel(settings.layout, channel)
    return channel


def _read(files: Sequence[Path]) -> dict[Path, str]:
    try:
        return {file: file.read_text() for file in files}
    except (OSError, ValueError) as error:
        raise LocalProblem(f"an environment.yml cannot be read: {error}") from error


def _build(
    client: Client, texts: Mapping[Path, str], values: Mapping[str, str], console: Console
) -> tuple[list[Subject], int]:
    console.rule("building")
    submitted = []
    for file, text in texts.items():
        number = client.submit(text, namespace=NAMESPACE)
        console.print(f"submitted {os.path.relpath(file)} as build {number}", highlight=False)
        submitted.append((file, number))
    subjects, failed = [], 0
    for file, number in submitted:
        build = follow(client, number, quiet=not console.is_terminal)
        ours = build.condarium
        if build.status != "COMPLETED":
            failed += 1
            console.print(f"build {number} is {build.status}: {build.status_info}", style="red", markup=False)
            continue
        took = phases(ours.seconds or {})
        said = f"build {number} of {ours.environment} is COMPLETED (seconds: {took})"
        console.print(said, highlight=False, soft_wrap=True)
        name = ours.environment
        imports = IMPORTS.get(file.name, "sys")
        prefix = Path(ours.prefix or "")
        subjects.append(Subject(client, number, NAMESPACE, name, prefix, imports, values["CONDARIUM_REGISTRY"]))
    return subjects, failed


def _serve(subjects: list[Subject], console: Console) -> int:
    failed = 0
    for subject in subjects:
        console.rule(f"serving {subject.name}")
        for kind in servings.SERVINGS:
            begun = time.monotonic()
            try:
                with console.status(f"{kind} ..."):
                    said = servings.attempt(kind, subject)
            except ServingFailed as error:
                failed += 1
                console.print(f"  {kind:<10} FAILED: {error}", style="red", markup=False, highlight=False)
            else:
                took = time.monotonic() - begun
                console.print(f"  {kind:<10} {said}  ({took:.1f} s)", markup=False, highlight=False, soft_wrap=True)
    return failed


def _next_steps(settings: Settings, values: Mapping[str, str], subjects: list[Subject], console: Console) -> None:
    console.rule("what to try next")
    url = values["CONDARIUM_API_URL"]
    file = os.path.relpath(settings.layout.environment_file)
    lines = []
    if subjects:
        one = subjects[0]
        login = (
            f"first: docker login -u admin -p $CONDARIUM_TOKEN {one.registry}"
            if servings.needs_login(one.registry, one.namespace, one.name)
            else "no docker login needed: everybody may pull from the namespace default"
        )
        lines = [
            "the environment as a directory:",
            f"  {one.prefix.parent}/envs/{one.name}/bin/python -c 'import {one.imports}'",
            "as files:",
            f"  curl -L -o {one.name}.tar.gz '{url}/api/v1/build/{one.build}/archive/'",
            f"  curl -L '{url}/api/v1/build/{one.build}/lockfile/?format=conda-lock'  # or explicit, pixi",
            f"as an image ({login}):",
            f"  docker pull {one.image}",
            f"  docker run --rm {one.image} python -c 'import {one.imports}'",
            f"  skopeo copy --src-tls-verify=false docker://{one.image} dir:/tmp/{one.name}  # without a docker daemon",
        ]
    lines += [
        "what happens, as it happens:",
        f"  curl -N '{url}/api/v1/events/?after=0'",
        "an environment of your own:",
        f"  . {file} && .venv/bin/condarium env create environment.yml",
        f"  examples to start from: {os.path.relpath(EXAMPLES)}/",
        f"in a browser: {url}/ (log in as admin; the password is CONDARIUM_ADMIN_TOKEN of {file})",
        "stop it with `make down`; see it with `make status` and `make logs`",
    ]
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
