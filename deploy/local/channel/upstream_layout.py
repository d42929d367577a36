"""Undoes what Debian changes in CPython's library, so that a linked environment behaves like upstream's.

Debian's interpreter looks for packages in dist-packages, installs below /usr/local, and sends pip away
(EXTERNALLY-MANAGED). All that is in a handful of Python files, which are edited here by their syntax tree: the same
functions are found in 3.11 to 3.13 of Debian 12, Debian 13 and Ubuntu 24.04, but not at the same lines.
"""

import ast
import re
from collections.abc import Callable
from pathlib import Path

from deploy.local.channel.archive import PLACEHOLDER, File, Link
from deploy.local.channel.problem import ChannelError

Files = dict[str, File | Link]

_GONE = ("EXTERNALLY-MANAGED", "sitecustomize.py", "_distutils_system_mod.py")
_DEBIAN_SCHEMES = ("deb_system", "posix_local")

_GET_SITE_PACKAGES = '''
def getsitepackages(prefixes=None):
    """Returns a list containing all global site-packages directories."""
    found = []
    for prefix in dict.fromkeys(PREFIXES if prefixes is None else prefixes):
        if prefix:
            for libdir in dict.fromkeys((sys.platlibdir, "lib")):
                found.append(os.path.join(prefix, libdir, "python%d.%d" % sys.version_info[:2], "site-packages"))
    return found
'''

# site is one of the modules that are frozen into the program, so that site.py alone changes nothing: this module is
# imported at the end of every start. One that the user has in site-packages still gets its turn.
_SITE_CUSTOMIZE = f"""\
import os
import site
import sys
from site import PREFIXES
{_GET_SITE_PACKAGES}

site.getsitepackages = getsitepackages
site.addsitepackages(None)

_others = [path for path in sys.path if path and path != os.path.dirname(__file__)]
for _finder in sys.meta_path:
    if getattr(_finder, "__name__", "") == "PathFinder":
        _spec = _finder.find_spec("sitecustomize", _others)
        if _spec is not None and _spec.loader is not None:
            exec(_spec.loader.get_code("sitecustomize"), {{"__name__": "sitecustomize", "__file__": _spec.origin}})
"""

_GET_PREFERRED_SCHEMES = """
def _get_preferred_schemes():
    return {'prefix': 'posix_prefix', 'home': 'posix_home', 'user': 'posix_user'}
"""

_GET_PYTHON_LIB = '''
def get_python_lib(plat_specific=0, standard_lib=0, prefix=None):
    """Return the directory containing the Python library (standard or site additions)."""
    if prefix is None:
        if standard_lib:
            prefix = plat_specific and BASE_EXEC_PREFIX or BASE_PREFIX
        else:
            prefix = plat_specific and EXEC_PREFIX or PREFIX
    libdir = sys.platlibdir if plat_specific or standard_lib else "lib"
    library = os.path.join(prefix, libdir, "python" + get_python_version())
    return library if standard_lib else os.path.join(library, "site-packages")
'''

_ENSUREPIP_ALLOWED = """
def _ensurepip_is_disabled_in_debian_for_system():
    return
"""

# The configuration variables that are directories of the installation; others (/usr/bin/install) are the machine's.
_DIRECTORIES = re.compile(
    "BINDIR|BINLIBDEST|CONFINCLUDEDIR|CONFINCLUDEPY|DESTDIRS|DESTLIB|DESTSHARED|INCLDIRSTOMAKE|INCLUDEDIR|INCLUDEPY|"
    "LIBDEST|LIBDIR|LIBP|LIBPC|LIBPL|MACHDESTLIB|MANDIR|SCRIPTDIR|datarootdir|(host_)?(exec_)?prefix"
)
_ZONES = f"{PLACEHOLDER}/share/zoneinfo"


def restore(files: Files, stdlib: str, multiarch: str) -> Files:
    """The files of a Debian CPython, with `stdlib` ("lib/python3.11") as upstream has it.

    Raises: ChannelError when a file is not as Debian is known to patch it.
    """
    kept = {path: content for path, content in files.items() if path not in {f"{stdlib}/{name}" for name in _GONE}}
    _edit(kept, f"{stdlib}/site.py", lambda text: replace_function(text, _GET_SITE_PACKAGES))
    kept[f"{stdlib}/sitecustomize.py"] = File(_SITE_CUSTOMIZE.encode())
    schemes = f"{stdlib}/sysconfig.py" if f"{stdlib}/sysconfig.py" in kept else f"{stdlib}/sysconfig/__init__.py"
    _edit(kept, schemes, _without_debian_schemes)
    if f"{stdlib}/distutils/sysconfig.py" in kept:  # in 3.11 alone, and a package of its own there
        _edit(kept, f"{stdlib}/distutils/sysconfig.py", lambda text: replace_function(text, _GET_PYTHON_LIB))
        _edit(
            kept, f"{stdlib}/distutils/command/install.py", lambda text: text.replace('"unix_local"', '"unix_prefix"')
        )
    data = re.compile(rf"{re.escape(stdlib)}/_sysconfigdata_[^/]*\.py")
    for path in [path for path, content in kept.items() if data.fullmatch(path) and isinstance(content, File)]:
        _edit(kept, path, lambda text: _relocatable_variables(text, stdlib, multiarch))
    return _with_ensurepip(kept, stdlib)


def with_time_zones(content: File) -> File:
    """A _sysconfigdata module whose TZPATH begins with the environment's own share/zoneinfo."""
    text, count = re.subn(r"('TZPATH': ')(?!/sample)", rf"\g<1>{_ZONES}:", content.data.decode())
    if not count and "'TZPATH'" not in text:
        raise ChannelError("the interpreter's _sysconfigdata has no TZPATH, which zoneinfo needs")
    return File(text.encode(), content.executable, "text")


def replace_function(text: str, source: str) -> str:
    """Put the one function of `source` in the place of the top-level function of the same name in `text`.

    Raises: ChannelError when `text` has no such function.
    """
    name = source.strip().removeprefix("def ").partition("(")[0]
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            lines = text.splitlines()
            lines[node.lineno - 1 : node.end_lineno] = source.strip().splitlines()
            return "\n".join(lines) + "\n"
    raise ChannelError(f"there is no function {name} to restore; this Debian's Python is patched in an unknown way")


def _edit(files: Files, path: str, change: Callable[[str], str]) -> None:
    content = files.get(path)
    if not isinstance(content, File):
        raise ChannelError(f"Debian's Python has no {path}; install its complete standard library")
    try:
        text = change(content.data.decode())
    except ChannelError as error:
        raise ChannelError(f"{path}: {error}") from error
    files[path] = File(text.encode(), content.executable, "text" if PLACEHOLDER in text else None)


def _without_debian_schemes(text: str) -> str:
    text = text.replace(", 'posix_local', 'deb_system')", ")")  # a loop of builds in the source tree
    text = replace_function(text, _GET_PREFERRED_SCHEMES)
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_INSTALL_SCHEMES":
            assert isinstance(node.value, ast.Dict)
            lines = text.splitlines()
            pairs = list(zip(node.value.keys, node.value.values, strict=True))
            for key, value in reversed(pairs):  # from the end, or the line numbers would move
                if isinstance(key, ast.Constant) and key.value in _DEBIAN_SCHEMES:
                    del lines[key.lineno - 1 : value.end_lineno]
            return "\n".join(lines) + "\n"
    raise ChannelError("there is no _INSTALL_SCHEMES in it")


def _relocatable_variables(text: str, stdlib: str, multiarch: str) -> str:
    """Rewrite build_time_vars with the placeholder instead of /usr, and without Debian's multiarch directories."""
    assignment = next((node for node in ast.parse(text).body if isinstance(node, ast.Assign)), None)
    if assignment is None:
        raise ChannelError("it does not assign build_time_vars")
    variables: dict[str, object] = ast.literal_eval(assignment.value)
    for name in filter(_DIRECTORIES.fullmatch, variables):
        value = str(variables[name]).replace(f"/usr/lib/{multiarch}", "/usr/lib")
        variables[name] = re.sub(r"(?<!\S)/usr(?=/|\s|$)", PLACEHOLDER, value)
    variables["WHEEL_PKG_DIR"] = f"{PLACEHOLDER}/{stdlib}/ensurepip/_bundled"
    lines = [f" {name!r}: {value!r},\n" for name, value in sorted(variables.items())]
    return "# system configuration of the interpreter, for sysconfig\nbuild_time_vars = {\n" + "".join(lines) + "}\n"


def _with_ensurepip(files: Files, stdlib: str) -> Files:
    """ensurepip with the wheels that Debian keeps apart; without them (python3-venv is not installed) it goes."""
    inside = f"{stdlib}/ensurepip/"
    wheels = sorted(Path("/usr/share/python-wheels").glob("*.whl"))
    wheels = [wheel for wheel in wheels if wheel.name.startswith(("pip-", "setuptools-"))]
    if f"{inside}__init__.py" not in files or not any(wheel.name.startswith("pip-") for wheel in wheels):
        return {path: content for path, content in files.items() if not path.startswith(inside)}
    _edit(files, f"{inside}__init__.py", lambda text: replace_function(text, _ENSUREPIP_ALLOWED))
    return files | {f"{inside}_bundled/{wheel.name}": File(wheel.read_bytes()) for wheel in wheels}
