"""What the server answers, as frozen objects; fields that are not named here are kept as they came."""

from condarium.client.models.access import NewToken, Permission, Readiness, TokenRow, UserRow, Version
from condarium.client.models.builds import Artifact, Build, BuildPackage, BuildRow, Image
from condarium.client.models.environments import Environment, Namespace, NamespaceRole, NamespaceRow, RoleMapping
from condarium.client.models.packages import Channel, Package, PackageRecord
from condarium.client.models.settings import AuditRow, Change, Credential, Origin, Quota, Usage
from condarium.client.models.shown import Shown
from condarium.client.models.solves import Changes, PinnedPackage, SolveAnswer, SolvedPackage
from condarium.client.models.signing import SigningKey

__all__ = [
    "Artifact",
    "AuditRow",
    "Build",
    "BuildPackage",
    "BuildRow",
    "Change",
    "Changes",
    "Channel",
    "Credential",
    "Environment",
    "Image",
    "Namespace",
    "NamespaceRole",
    "NamespaceRow",
    "NewToken",
    "Origin",
    "Package",
    "PackageRecord",
    "Permission",
    "PinnedPackage",
    "Quota",
    "Readiness",
    "RoleMapping",
    "Shown",
    "SolveAnswer",
    "SolvedPackage",
    "TokenRow",
    "SigningKey",
    "Usage",
    "UserRow",
    "Version",
]
