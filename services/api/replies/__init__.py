"""The shapes of replies, as pydantic models: what is promised in `/openapi.json`. Nobody validates with them but tests.

`envelopes` are the forms around all replies and errors; the others stand by subject.
"""
