"""What the server answers, as frozen objects; fields that are not named here are kept as they came."""

from condarium.client.models.access import NewToken, Permission, Readiness, TokenRow, UserRow, Version
from condarium.client.models.builds import Artifact, Build, BuildPackage, BuildRow, Image
from condarium.client.models.environments import Environment, Namespace, NamespaceRole, NamespaceRow, RoleMapping
from condarium.client.models.garbage import Chain, Sweep, SweepPart, Why
from condarium.client.models.packages import Channel, Package, PackageRecord
from condarium.client.models.publishing import Publication, PublishRule
from condarium.client.models.settings import AuditRow, BaseImage, Change, Credential, Origin, Quota, Usage
from condarium.client.models.shown import Shown
from condarium.client.models.signing import SigningKey
from condarium.client.models.solves import Changes, PinnedPackage, SolveAnswer, SolvedPackage

__all__ = [
    "Artifact",
    "AuditRow",
    "BaseImage",
    "Build",
    "BuildPackage",
    "BuildRow",
    "Chain",
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
    "Publication",
    "PublishRule",
    "Quota",
    "Readiness",
    "RoleMapping",
    "Shown",
    "SigningKey",
    "SolveAnswer",
    "SolvedPackage",
    "Sweep",
    "SweepPart",
    "TokenRow",
    "Usage",
    "UserRow",
    "Version",
    "Why",
]
