"""The list of namespaces."""

from functools import lru_cache

from sqlalchemy import select

from condarium.database import counts, pages
from condarium.database.json_text import Shape
from condarium.database.listing import Paging, visible
from condarium.database.pages import Cut, Depth, TextPage
from condarium.database.reads import Prepared, Reads, prepare
from condarium.database.tables import Namespace, RowCount
from condarium.domain.access import Visible


async def page(reads: Reads, *, shown: Visible, paging: Paging, shape: Shape) -> TextPage:
    """In the order of their names. `shape` may have the columns id and name. Raises Unavailable."""
    cut = Cut.of(paging)
    return await pages.read(reads, _prepared(shown, paging.descending, cut.depth, shape), {}, cut)


@lru_cache(pages.KINDS)
def _prepared(shown: Visible, descending: bool, depth: Depth, shape: Shape) -> Prepared:
    query = select(Namespace.id, Namespace.name).where(Namespace.deleted_on.is_(None), visible(shown, environment=None))
    ordered = query.order_by(*pages.ordered_by([Namespace.name], descending=descending))
    count = counts.everywhere(RowCount.namespaces) if shown.everything else pages.counted(query, depth)
    return prepare(pages.text_page(depth.cut(ordered).subquery("page"), shape, count=count))
