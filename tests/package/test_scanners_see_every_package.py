"""What scanners look for lies in the layers: a record of each conda package, dist-info of each Python one."""

import gzip
import io
import json
import tarfile
from pathlib import Path

from condarium.database import images
from condarium.domain.image import OCI_MANIFEST
from condarium.storage import blob_key
from tests.fixtures.packager import RunningPackager
from tests.fixtures.packages import Put, lock_of, make_package, make_wheel, python_record


def test_records_and_dist_info_are_where_an_installer_puts_them(packager: RunningPackager, tmp_path: Path) -> None:
    metadata = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n"
    python = make_package(
        tmp_path,
        "python",
        [Put("bin/python3.11", b"not run here", 0o755)],
        version="3.11.7",
        raw={"python_site_packages_path": "lib/python3.11/site-packages"},
    )
    assert python.version == python_record().version
    records = [
        python,
        make_package(tmp_path, "zlib", [Put("lib/libz.so", b"\x7fELF")]),
        make_package(
            tmp_path,
            "demo",
            [Put("site-packages/demo.py", b""), Put("site-packages/demo-1.0.dist-info/METADATA", metadata)],
            noarch="python",
        ),
    ]
    wheel = make_wheel(tmp_path, "wheeled", {"wheeled.py": b"x = 1\n"})
    build_id = packager.build("env", lock_of(records, [wheel]), eager=["DOCKER_MANIFEST"])
    row = packager.wait(build_id, "DOCKER_MANIFEST")
    assert row.digest is not None
    with packager.content.database.transaction() as session:
        body = {item.media_type: item.body for item in images.encodings(session, row.digest)}[OCI_MANIFEST]
    found: dict[str, bytes] = {}
    for layer in json.loads(body)["layers"]:
        raw = gzip.decompress(packager.read(blob_key(layer["digest"].removeprefix("sha256:"))))
        with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
            found |= {item.name: tar.extractfile(item).read() for item in tar if item.isreg()}  # type: ignore[union-attr]
    for record in records:
        seen = json.loads(found[f"opt/env/conda-meta/{record.name}-{record.version}-0.json"])
        assert (seen["name"], seen["version"], seen["sha256"]) == (record.name, record.version, record.sha256)
        assert set(seen["files"]) <= {name.removeprefix("opt/env/") for name in found}
    site = "opt/env/lib/python3.11/site-packages"
    assert found[f"{site}/demo-1.0.dist-info/METADATA"] == metadata
    assert b"Name: wheeled" in found[f"{site}/wheeled-1.0.dist-info/METADATA"]
    assert f"{site}/wheeled-1.0.dist-info/RECORD" in found
