"""The only home of py-rattler: solving, fetching, linking, and the per-package pieces of every serving."""
