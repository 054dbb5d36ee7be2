"""A dashboard without any package: Python's standard library, on the plain wire (docs/PROTOCOL.md).

    python3 examples/plain_client.py ws://127.0.0.1:3001/

Prints the messages of the gateway, one JSON object a line, until it closes the connection.
"""

import base64
import hashlib
import os
import socket
import struct
import sys
from urllib.parse import urlsplit

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, section 1.3
TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA


def connect(url):
    """The upgraded connection, as a socket and a buffered reader."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port or 80))
    key = base64.b64encode(os.urandom(16)).decode()
    target = (parts.path or "/") + ("?" + parts.query if parts.query else "")
    connection.sendall(
        f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    reader = connection.makefile("rb")
    status = reader.readline().decode().strip()
    headers = {}
    while line := reader.readline().decode().strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
    if " 101 " not in status + " " or headers.get("sec-websocket-accept") != accept:
        body = reader.read(int(headers.get("content-length", 0))).decode()
        raise SystemExit(f"refused: {status} {body}")
    return connection, reader


def send(connection, opcode, payload):
    """One frame; a client masks what it sends."""
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
    connection.sendall(struct.pack("!BB", 0x80 | opcode, 0x80 | len(payload)) + mask + masked)


def frames(reader):
    """Opcode and payload of each frame; a gateway sends them whole and unmasked."""
    while head := reader.read(2):
        opcode, length = head[0] & 0x0F, head[1]
        if length == 126:
            (length,) = struct.unpack("!H", reader.read(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", reader.read(8))
        yield opcode, reader.read(length)


def main(url):
    connection, reader = connect(url)
    for opcode, payload in frames(reader):
        if opcode == TEXT:
            print(payload.decode(), flush=True)
        elif opcode == PING:
            send(connection, PONG, payload)
        elif opcode == CLOSE:
            send(connection, CLOSE, payload[:2])
            print(f"closed: {struct.unpack('!H', payload[:2])[0]} {payload[2:].decode()}", file=sys.stderr)
            return


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "ws://127.0.0.1:3001/")
