"""The health check of a container: asks the /readyz of the one service that runs in it, exit status 0 when it is ready.

Run as a file, without our library: it starts every few seconds in every container.
"""

import http.client
import os
import sys

SECONDS = 4.0
# Where services listen: those without HTTP of their own, the gateway, the registry; with the defaults of the register.
PORTS = (("CONDARIUM_HEALTH_PORT", "8081"), ("CONDARIUM_API_PORT", "8080"), ("CONDARIUM_REGISTRY_PORT", "5000"))


def main() -> int:
    for name, default in PORTS:
        connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get(name) or default), timeout=SECONDS)
        try:
            connection.connect()
        except OSError:
            continue
        try:
            connection.request("GET", "/readyz")
            reply = connection.getresponse()
            print(reply.read(4000).decode(errors="replace").strip())
            return 0 if reply.status == 200 else 1
        except (OSError, http.client.HTTPException) as error:
            print(f"no answer from port {connection.port}: {error!r}")
            return 1
        finally:
            connection.close()
    print("nothing listens yet")
    return 1


if __name__ == "__main__":
    sys.exit(main())
