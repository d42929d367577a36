"""What queries and bodies may hold. Faults come out in FastAPI's form, which conda-store's clients know."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from condarium.database.build_pages import BuildFilter
from condarium.database.environment_pages import EnvironmentFilter
from condarium.database.listing import Paging
from condarium.database.listing_packages import PackageFilter
from condarium.database.packages import Wanted, WantedRecords
from condarium.domain.build import Status
from condarium.domain.labels import parse_selectors

MAX_PAGE_SIZE = 100
#: what fits a bigint, and any offset computed from it
MAX_NUMBER = 2**53
#: packages, artifacts or labels that a list may be filtered for at once
MOST_FILTERS = 10


def _without_nul(value: str) -> str:
    if "\0" in value:
        raise PydanticCustomError("string_nul", "String should not hold the character U+0000")
    return value


def _empty_is_none(value: Any) -> Any:
    return None if value == "" else value


WithoutNul = AfterValidator(_without_nul)
#: with a bound: Annotated[str, Field(max_length=9), WithoutNul], or pydantic's sentence speaks of items
Text = Annotated[str, WithoutNul]
#: of a filter; each value is a part of the statement, which takes ever longer to make and to plan
_Filters = Annotated[tuple[Text, ...], Field(max_length=MOST_FILTERS)]
_Natural = Annotated[int, Field(ge=0, le=MAX_NUMBER)]
#: `?key=` is the same as no key; the description says so, too
Number = Annotated[_Natural | None, BeforeValidator(_empty_is_none, _Natural | Literal[""] | None)]
StatusWord = Annotated[Status | None, BeforeValidator(_empty_is_none, Status | Literal[""] | None)]


class Model(BaseModel):
    """Names that it does not know are ignored, as conda-store does."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    #: whether what was sent is left out of the reply that says what is wrong with it
    secretive: ClassVar[bool] = False


class PagingQuery(Model):
    page: int = Field(1, ge=1, le=MAX_NUMBER // MAX_PAGE_SIZE)
    size: int | None = Field(None, ge=1)
    order: Text = "asc"
    sort_by: tuple[Text, ...] = ()

    def paging(self, *, all_by_default: bool = False) -> Paging:
        """`size` is capped. With `all_by_default` everything is one page unless page or size are named."""
        if all_by_default and not self.model_fields_set & {"page", "size"}:
            size = None
        else:
            size = min(self.size or MAX_PAGE_SIZE, MAX_PAGE_SIZE)
        return Paging(page=self.page, size=size, sort=self.sort_by, descending=self.order == "desc")


class _EnvironmentQuery(Model):
    search: Text = ""
    namespace: Text = ""
    name: Text = ""
    status: StatusWord = None
    artifact: _Filters = ()
    packages: _Filters = ()
    label: _Filters = ()
    jwt: Text = ""

    def wanted(self) -> EnvironmentFilter:
        """Raises InvalidInput for what is no label."""
        labels, label_keys = parse_selectors(filter(None, self.label))
        return EnvironmentFilter(
            search=self.search,
            namespace=self.namespace,
            name=self.name,
            status=self.status or "",
            artifacts=tuple(filter(None, self.artifact)),
            packages=tuple(filter(None, self.packages)),
            labels=labels,
            label_keys=label_keys,
        )


class EnvironmentsQuery(_EnvironmentQuery, PagingQuery):
    pass


class EnvironmentsV2Query(_EnvironmentQuery):
    limit: int = Field(MAX_PAGE_SIZE, ge=1, le=MAX_NUMBER)
    order: Annotated[str, Field(pattern="^(asc|desc)$")] = "asc"
    sort_by: tuple[Text, ...] = ()
    cursor: Text = ""

    @property
    def sort(self) -> tuple[str, ...]:
        """Repeated or one comma list."""
        names = (name.strip() for entry in self.sort_by for name in entry.split(","))
        return tuple(dict.fromkeys(name for name in names if name))


class BuildsQuery(PagingQuery):
    status: StatusWord = None
    environment_id: Number = None
    namespace: Text = ""
    name: Text = ""
    artifact: _Filters = ()
    packages: _Filters = ()
    label: _Filters = ()

    def wanted(self) -> BuildFilter:
        """Raises InvalidInput for what is no label."""
        labels, label_keys = parse_selectors(filter(None, self.label))
        return BuildFilter(
            status=self.status or "",
            environment_id=self.environment_id,
            namespace=self.namespace,
            name=self.name,
            artifacts=tuple(filter(None, self.artifact)),
            packages=tuple(filter(None, self.packages)),
            labels=labels,
            label_keys=label_keys,
        )


class PackagesQuery(PagingQuery):
    """Any value of `exact` but an empty one switches it on, as conda-store does."""

    search: Text = ""
    exact: Text = ""
    build: Text = ""
    platform: Text = ""

    def wanted(self) -> PackageFilter:
        exact = self.exact.lower() not in ("", "0", "false")
        return PackageFilter(search=self.search, exact=exact, build=self.build, platform=self.platform)


class CatalogueQuery(PagingQuery):
    """Packages of the indexed channels; `exact` as in PackagesQuery; `distinct_on` ignores what is no column."""

    search: Text = ""
    exact: Text = ""
    build: Text = ""
    channel: Text = ""
    distinct_on: tuple[Text, ...] = ()

    def wanted(self) -> Wanted:
        exact = self.exact.lower() not in ("", "0", "false")
        return Wanted(self.search, exact, self.build, self.channel.rstrip("/"), self.distinct_on)


class RecordsQuery(PagingQuery):
    name: Annotated[str, Field(min_length=1), WithoutNul]
    version: Text = ""
    build: Text = ""
    channel: Text = ""
    subdir: Text = ""

    def wanted(self) -> WantedRecords:
        return WantedRecords(self.name, self.version, self.build, self.channel.rstrip("/"), self.subdir)


class ArtifactQuery(Model):
    """`wait` is in seconds, `format` one of the forms of an artifact; `single` makes a tarball one object of S3."""

    wait: float = Field(0, ge=0, le=600, allow_inf_nan=False)
    format: Text = ""
    platform: Text = ""
    single: bool = False


class EventsQuery(Model):
    """`type` is an event name or a pattern with `*`, repeated or one comma list; `after` a position."""

    namespace: Text = ""
    environment: Text = ""
    build: Number = None
    type: tuple[Text, ...] = ()
    after: Number = None


class SolveQuery(Model):
    """`channels` is what conda-store's client says for `channel`; `format` is ignored, as conda-store does."""

    channel: tuple[Text, ...] = ()
    channels: tuple[Text, ...] = ()
    conda: tuple[Text, ...] = ()
    pip: tuple[Text, ...] = ()
    format: Text = ""
    namespace: Text = ""
    platform: Text = ""


class SolvePlaceQuery(Model):
    """Where the answer would be built; with an environment, the difference from what is there is told."""

    namespace: Text = ""
    environment: Text = ""


class SolveBody(Model):
    specification: Text = ""
    namespace: Text | None = None
    is_lockfile: bool | None = False
    environment_name: Text | None = ""


class SpecificationBody(Model):
    specification: Text = ""
    namespace: Text | None = None
    is_lockfile: bool | None = False
    environment_name: Text | None = ""
    environment_description: Text | None = ""
    labels: dict[Text, Text] | None = None


class LabelsBody(Model):
    """All labels of the build; those that are not here go."""

    labels: dict[Text, Text]


class EnvironmentBody(Model):
    build_id: int | None = None
    description: Text | None = None
