"""Packages of plain data, taken out of wheels: the time zones and the certificate authorities."""

import re

from deploy.local.channel.archive import File, Link, Package
from deploy.local.channel.problem import ChannelError
from deploy.local.channel.wheel import Wheel

_ACTIVATE = """\
# OpenSSL of a Debian machine looks into /usr/lib/ssl; an environment has its own certificates.
if [ -z "${SSL_CERT_FILE:-}" ]; then
    export SSL_CERT_FILE="${CONDA_PREFIX}/ssl/cacert.pem"
    export _CONDA_SET_SSL_CERT_FILE=1
fi
"""
_DEACTIVATE = """\
if [ "${_CONDA_SET_SSL_CERT_FILE:-}" = 1 ]; then
    unset SSL_CERT_FILE _CONDA_SET_SSL_CERT_FILE
fi
"""


def time_zones(wheel: Wheel) -> Package:
    """`tzdata`, the IANA time zones in share/zoneinfo, out of PyPI's wheel tzdata (2025.3 is IANA's 2025c)."""
    inside = "tzdata/zoneinfo/"
    files: dict[str, File | Link] = {
        f"share/zoneinfo/{name.removeprefix(inside)}": file
        for name, file in wheel.files.items()
        if name.startswith(inside) and not name.endswith(".py")
    }
    if "share/zoneinfo/UTC" not in files:
        raise ChannelError(f"the wheel tzdata {wheel.version} has no {inside}UTC")
    year, _, release = wheel.version.partition(".")
    return Package(
        name="tzdata",
        version=year + chr(ord("a") + int(re.sub(r"\D.*", "", release) or 1) - 1),
        build_pattern="h{hash}_0",
        files=files,
        noarch="generic",
        licence="LicenseRef-Public-Domain",
        summary="The Time Zone Database (called tz, tzdb or zoneinfo)",
        home="https://www.iana.org/time-zones",
        timestamp=wheel.date,
    )


def certificates(wheel: Wheel) -> Package:
    """`ca-certificates`, Mozilla's authorities in ssl/, out of PyPI's wheel certifi."""
    bundle = wheel.files.get("certifi/cacert.pem")
    if bundle is None:
        raise ChannelError(f"the wheel certifi {wheel.version} has no certifi/cacert.pem")
    return Package(
        name="ca-certificates",
        version=wheel.version,
        build_pattern="h{hash}_0",
        files={
            "ssl/cacert.pem": bundle,
            "ssl/cert.pem": Link("cacert.pem"),
            "etc/conda/activate.d/ca-certificates_activate.sh": File(_ACTIVATE.encode()),
            "etc/conda/deactivate.d/ca-certificates_deactivate.sh": File(_DEACTIVATE.encode()),
        },
        noarch="generic",
        licence="ISC",
        summary="Certificates for use with other packages",
        home="https://github.com/conda-forge/ca-certificates-feedstock",
        timestamp=wheel.date,
    )
