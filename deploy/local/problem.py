"""What `up`, `down` and the others say when they cannot go on."""


class LocalProblem(Exception):
    """A sentence for the user: what is wrong, where, and what to do."""
