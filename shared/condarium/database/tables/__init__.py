"""What is kept. Every column has a sentence; times are `timestamptz` on the database's clock."""

from condarium.database.tables.artifacts import Archive, BaseImage, BuildArtifact, Image, ImageBlob, Interpreter, Piece
from condarium.database.tables.audit import Audit
from condarium.database.tables.builds import Build, LockPlatform, LogChunk, Prefix, Store
from condarium.database.tables.counts import RowCount
from condarium.database.tables.credentials import Credential, PackageAccess
from condarium.database.tables.digests import BlobDigest
from condarium.database.tables.environments import Environment, Namespace, Specification
from condarium.database.tables.garbage import Condemned, LiveKey, Pin, Sweep, SweepPart
from condarium.database.tables.labels import BuildLabel
from condarium.database.tables.locks import LockPackage, LockRow
from condarium.database.tables.messages import Inbox, Outbox
from condarium.database.tables.on_demand import OnDemandPull, OnDemandStart
from condarium.database.tables.packages import (
    Channel,
    ChannelSync,
    Package,
    PackageName,
    PackageRecord,
    PackageShard,
    PackageSummary,
)
from condarium.database.tables.publishing import ChannelIndex, PackageCopy, Publication, PublishRule, PushedBlob
from condarium.database.tables.referrers import Referrer, ReferrerBlob, ReferrerManifest, ReferrerSet, SigningKey
from condarium.database.tables.roles import NamespaceRole, RoleMapping
from condarium.database.tables.schema import Leased, Table
from condarium.database.tables.settings import SettingChange, SettingRow
from condarium.database.tables.solves import Solve
from condarium.database.tables.tokens import LoginAttempt, Token, User
from condarium.database.tables.usage import LockLink, NamespaceHolding, NamespaceUsage, UsageChange
from condarium.database.tables.watched import WatchedFile

metadata = Table.metadata

__all__ = [
    "Archive",
    "Audit",
    "BaseImage",
    "BlobDigest",
    "Build",
    "BuildArtifact",
    "BuildLabel",
    "Channel",
    "ChannelIndex",
    "ChannelSync",
    "Condemned",
    "Credential",
    "Environment",
    "Image",
    "ImageBlob",
    "Inbox",
    "Interpreter",
    "Leased",
    "LiveKey",
    "LockLink",
    "LockPackage",
    "LockPlatform",
    "LockRow",
    "LogChunk",
    "LoginAttempt",
    "Namespace",
    "NamespaceHolding",
    "NamespaceRole",
    "NamespaceUsage",
    "OnDemandPull",
    "OnDemandStart",
    "Outbox",
    "Package",
    "PackageAccess",
    "PackageCopy",
    "PackageName",
    "PackageRecord",
    "PackageShard",
    "PackageSummary",
    "Piece",
    "Pin",
    "Prefix",
    "Publication",
    "PublishRule",
    "PushedBlob",
    "Referrer",
    "ReferrerBlob",
    "ReferrerManifest",
    "ReferrerSet",
    "RoleMapping",
    "RowCount",
    "SettingChange",
    "SettingRow",
    "SigningKey",
    "Solve",
    "Specification",
    "Store",
    "Sweep",
    "SweepPart",
    "Table",
    "Token",
    "UsageChange",
    "User",
    "WatchedFile",
    "metadata",
]
