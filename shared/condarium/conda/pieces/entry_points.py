"""The scripts that start a Python function: rattler's for noarch packages, uv's for wheels."""

from condarium.conda.pieces.package_paths import EntryPoint
from condarium.conda.pieces.shebang import entry_point_shebang, wheel_shebang


def conda_script(point: EntryPoint, prefix: str, python_xy: str) -> bytes:
    """What rattler writes to `bin/<command>`."""
    imported = point.function.split(".", 1)[0]
    return (
        f"{entry_point_shebang(prefix, python_xy)}\n"
        "# -*- coding: utf-8 -*-\n"
        "import re\n"
        "import sys\n"
        "\n"
        f"from {point.module} import {imported}\n"
        "\n"
        "if __name__ == '__main__':\n"
        "\tsys.argv[0] = re.sub(r'(-script\\.pyw?|\\.exe)?$', '', sys.argv[0])\n"
        f"\tsys.exit({point.function}())\n"
    ).encode()


def wheel_script(point: EntryPoint, prefix: str) -> bytes:
    """What uv writes to `bin/<command>`."""
    imported = point.function.split(".", 1)[0]
    return (
        f"{wheel_shebang(prefix)}\n"
        "# -*- coding: utf-8 -*-\n"
        "import sys\n"
        f"from {point.module} import {imported}\n"
        'if __name__ == "__main__":\n'
        '    if sys.argv[0].endswith("-script.pyw"):\n'
        "        sys.argv[0] = sys.argv[0][:-11]\n"
        '    elif sys.argv[0].endswith(".exe"):\n'
        "        sys.argv[0] = sys.argv[0][:-4]\n"
        f"    sys.exit({point.function}())\n"
    ).encode()
