"""The truth: Postgres. The only home of SQLAlchemy, psycopg and alembic.

`tables/` says what is kept; one module per subject holds the questions asked of it, plain functions that take a
session. `leases` claims rows of any table, `outbox` and `inbox` tie events to the transactions that cause them.
"""

from condarium.database.connection import Database
from condarium.database.migrate import check_schema, migrate

__all__ = ["Database", "check_schema", "migrate"]
