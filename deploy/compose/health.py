"""The health check of a container: asks the /readyz of the one service that runs in it, exit status 0 when it is ready.

Run as a file, without our library and with as few imports as can be: it starts every few seconds in every container.
"""

import os
import socket
import sys

SECONDS = 9.0
MOST_BYTES = 8192
# Where services listen: those without HTTP of their own, the gateway, the registry; with the defaults of the register.
PORTS = (("CONDARIUM_HEALTH_PORT", "8081"), ("CONDARIUM_API_PORT", "8080"), ("CONDARIUM_REGISTRY_PORT", "5000"))


def main() -> int:
    for name, default in PORTS:
        address = ("127.0.0.1", int(os.environ.get(name) or default))
        try:
            connection = socket.create_connection(address, timeout=SECONDS)
        except OSError:
            continue
        with connection:
            return judge(connection)
    print("nothing listens yet")
    return 1


def judge(connection: socket.socket) -> int:
    """Prints what /readyz says, for `docker inspect`; 0 when it says 200."""
    reply = b""
    try:
        connection.sendall(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n")
        while len(reply) < MOST_BYTES and (chunk := connection.recv(MOST_BYTES)):
            reply += chunk
    except OSError as error:
        print(f"no answer: {error}")
        return 1
    head, _, body = reply.partition(b"\r\n\r\n")
    print(body.decode(errors="replace").strip())
    return 0 if head.split()[1:2] == [b"200"] else 1


if __name__ == "__main__":
    sys.exit(main())
