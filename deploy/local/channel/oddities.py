"""Tiny packages that each do one thing that conda packages may do and most do not; tests and the curious use them."""

from collections.abc import Sequence

from deploy.local.channel.archive import PLACEHOLDER, File, Link, Package

_POST_LINK = """\
#!/bin/sh
# Runs after the package is linked, where link scripts are allowed.
mkdir -p "$PREFIX/share/sample-link-script"
printf '%s %s\\n' "$PKG_NAME" "$PKG_VERSION" > "$PREFIX/share/sample-link-script/ran"
"""
_PRE_UNLINK = """\
#!/bin/sh
rm -f "$PREFIX/share/sample-link-script/ran"
"""


def packages(pins: Sequence[str]) -> list[Package]:
    """All of them; their names begin with `sample-`. Where typing-extensions is in the channel, its other name too."""
    own = [_link_script(), _activation(), _clobber("a"), _clobber("b"), _prefix()]
    versions = [pin.partition("==")[2] for pin in pins if pin.startswith("typing-extensions==")]
    return own + [_metapackage(version) for version in versions]


def _link_script() -> Package:
    return Package(
        name="sample-link-script",
        version="1.0",
        build_pattern="h{hash}_0",
        files={
            "bin/.sample-link-script-post-link.sh": File(_POST_LINK.encode(), True),
            "bin/.sample-link-script-pre-unlink.sh": File(_PRE_UNLINK.encode(), True),
            "share/sample-link-script/README": File(b"A post-link script writes the file `ran` beside this one.\n"),
        },
        noarch="generic",
        licence="BSD-3-Clause",
        summary="Has a post-link and a pre-unlink script",
    )


def _activation() -> Package:
    return Package(
        name="sample-activate",
        version="1.0",
        build_pattern="h{hash}_0",
        files={
            "etc/conda/activate.d/sample-activate.sh": File(b"export SAMPLE_ACTIVATE=on\n"),
            "etc/conda/deactivate.d/sample-activate.sh": File(b"unset SAMPLE_ACTIVATE\n"),
            "etc/conda/env_vars.d/sample-activate.json": File(b'{"SAMPLE_VARIABLE": "of a package"}\n'),
        },
        noarch="generic",
        licence="BSD-3-Clause",
        summary="Sets a variable when its environment is activated",
    )


def _clobber(letter: str) -> Package:
    """Two packages that both bring share/sample-clobber/contested, with different bytes."""
    return Package(
        name=f"sample-clobber-{letter}",
        version="1.0",
        build_pattern="h{hash}_0",
        files={
            "share/sample-clobber/contested": File(f"from sample-clobber-{letter}\n".encode()),
            f"share/sample-clobber/own-{letter}": File(f"only in sample-clobber-{letter}\n".encode()),
        },
        noarch="generic",
        licence="BSD-3-Clause",
        summary="Brings a path that its sibling brings too",
    )


def _prefix() -> Package:
    """The prefix in a text file and, padded with zeros, in a binary one; a link, an empty file, a name with spaces."""
    binary = b"\x00\x01prefix=" + PLACEHOLDER.encode() + b"/share\x00\xffafter\x00"
    script = f"#!{PLACEHOLDER}/bin/python\nprint({PLACEHOLDER!r})\n"
    return Package(
        name="sample-prefix",
        version="1.0",
        build_pattern="h{hash}_0",
        files={
            "bin/sample-prefix": File(script.encode(), True, "text"),
            "share/sample-prefix/binary": File(binary, False, "binary"),
            "share/sample-prefix/text": File(f"prefix={PLACEHOLDER}\n".encode(), False, "text"),
            "share/sample-prefix/link": Link("text"),
            "share/sample-prefix/empty": File(b""),
            "share/sample-prefix/a name with späces": File(b"and bytes beyond ASCII in its path\n"),
        },
        depends=("python",),
        licence="BSD-3-Clause",
        summary="Has the prefix in a text and in a binary file",
    )


def _metapackage(version: str) -> Package:
    """Without files, as conda-forge has it: the name with a dash for the one with an underscore."""
    return Package(
        name="typing-extensions",
        version=version,
        build_pattern="h{hash}_0",
        depends=(f"typing_extensions =={version}",),
        noarch="generic",
        licence="PSF-2.0",
        summary="Backported and Experimental Type Hints for Python",
    )
