"""Mark and sweep in the database: what keeps things, what is condemned, what goes when (docs/adr/0022)."""
