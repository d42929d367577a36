"""The REST client: what the command line and other programs use.

from condarium.client import Client
with Client("http://127.0.0.1:8080", token="...") as client:
    build = client.wait(client.submit(open("environment.yml").read()))
"""

from condarium.client.client import Client
from condarium.client.faults import ApiError, NotThere, Refused, ServerAway

__all__ = ["ApiError", "Client", "NotThere", "Refused", "ServerAway"]
