"""Images into other registries, as the rules of their namespaces say.

`slots` claims and ends, `content` reads what is to be there, `pushing` sends what is missing.
"""
