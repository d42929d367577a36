"""Locks as the lockfiles that other tools read. Pure renderings: the same locks give the same text, byte for byte.

explicit           one platform, `conda create --file`, micromamba, rattler; wheels as comments
requirements       the wheels of one platform, for pip with --require-hashes
conda-lock         several platforms, conda-lock v1 in YAML and JSON
rattler-lock       several platforms, pixi and rattler
environment.yml    one platform, everything pinned, for people who want to go on from there
"""

from condarium.conda.lockfiles.conda_lock import conda_lock_json, conda_lock_yaml
from condarium.conda.lockfiles.environment import environment_yml
from condarium.conda.lockfiles.explicit import explicit, requirements
from condarium.conda.lockfiles.rattler import rattler_lock

__all__ = ["conda_lock_json", "conda_lock_yaml", "environment_yml", "explicit", "rattler_lock", "requirements"]
