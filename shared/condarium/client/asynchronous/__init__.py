"""The client as it is written; `condarium.client.synchronous` is made of this by `make client`.

`connection` sends and tries again, the subjects are what REST has, `client` puts them together.
"""
