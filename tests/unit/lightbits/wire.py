# Licensed under the Apache License, Version 2.0 (the "License"); you may
# not use this file except in compliance with the License. You may obtain
# a copy of the License at
#
#      http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
# WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
# License for the specific language governing permissions and limitations
# under the License.

"""A TLS server that answers as a test scripts it, byte by byte if needed.

For what a cluster never does on purpose: odd framing, connections that
close at the wrong moment, certificates of all kinds. Everything else is
tested against the simulator.
"""

from __future__ import annotations

from collections.abc import Callable
import contextlib
import dataclasses
import datetime
import ipaddress
import json
import pathlib
import socket
import ssl
import threading
import time
from typing import BinaryIO
import uuid

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization
from cryptography import x509

CLUSTER = str(uuid.uuid5(uuid.NAMESPACE_DNS, 'cluster'))
PROOF = '/api/v2/clusterinfo'


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """What arrived; `connection` counts from zero."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


@dataclasses.dataclass(frozen=True, slots=True)
class Answer:
    """What is sent.

    :param raw: sent as it is, instead of a well-formed answer.
    :param close: close the connection after it.
    :param drip: seconds between two bytes of `raw`.
    """

    status: int = 200
    body: bytes = b'{}'
    content_type: str = 'application/json'
    raw: bytes | None = None
    close: bool = False
    drip: float = 0.0

    def wire(self) -> bytes:
        if self.raw is not None:
            return self.raw
        return (f'HTTP/1.1 {self.status} X\r\n'
                f'Content-Type: {self.content_type}\r\n'
                f'Content-Length: {len(self.body)}\r\n\r\n'
                ).encode() + self.body


def info(cluster: str = CLUSTER, **fields: object) -> Answer:
    """:returns: the cluster info of a cluster."""
    return Answer(body=json.dumps({
        'UUID': cluster, 'subsystemNQN': 'nqn.2016-01.com.x:uuid:1',
        **fields}).encode())


def refusal(status: int, code: int, text: str = 'no') -> Answer:
    """:returns: an error in the API's own form."""
    return Answer(status, json.dumps(
        {'error': text, 'code': code, 'message': text}).encode())


Script = Callable[[Request], Answer | None]


class Server:
    """Listens on loopback until `stop`.

    Counts `connections` that were opened, and those the client `closed`.

    :param script: makes the answers; None closes the connection without
        one. The cluster info is answered by the server unless the script
        takes over `PROOF`.
    """

    def __init__(self, certificate: Certificate, script: Script, *,
                 host: str = '127.0.0.1', port: int = 0) -> None:
        self.certificate = certificate
        self.script = script
        self.requests: list[Request] = []
        self.connections = 0
        self.closed = 0
        self._open: list[socket.socket] = []
        family = socket.AF_INET6 if ':' in host else socket.AF_INET
        self._stopping = False
        self._socket = socket.create_server((host, port), family=family)
        self._address = self._socket.getsockname()[:2]
        self.port: int = self._address[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def served(self) -> list[str]:
        """Method and target of what arrived, proofs left out."""
        return [f'{one.method} {one.target}' for one in self.requests
                if one.target != PROOF]

    @property
    def proofs(self) -> int:
        """How often the identity was asked for."""
        return sum(one.target == PROOF for one in self.requests)

    def stop(self) -> None:
        """Stop listening and cut every connection."""
        if self._stopping:
            return
        self._stopping = True
        # Wakes the thread; closing the socket alone does not everywhere.
        socket.create_connection(self._address).close()
        self._thread.join()
        self._socket.close()
        self.cut()

    def cut(self) -> None:
        """Cut every connection, as a restart does."""
        while self._open:
            victim = self._open.pop()
            with contextlib.suppress(OSError):
                victim.shutdown(socket.SHUT_RDWR)
            victim.close()

    def _accept(self) -> None:
        while True:
            client, _address = self._socket.accept()
            if self._stopping:
                client.close()
                return
            number, self.connections = self.connections, self.connections + 1
            threading.Thread(target=self._serve, args=(client, number),
                             daemon=True).start()

    def _serve(self, client: socket.socket, number: int) -> None:
        # A ValueError is how a TLS socket that was cut says so.
        with contextlib.suppress(OSError, ValueError):
            tls = self.certificate.context.wrap_socket(client,
                                                       server_side=True)
            self._open.append(tls)
            with tls, tls.makefile('rb') as stream:
                while self._answer(tls, stream, number):
                    pass

    def _answer(self, tls: ssl.SSLSocket, stream: BinaryIO,
                number: int) -> bool:
        request = _request(stream, number)
        if request is None:
            self.closed += 1
            return False
        self.requests.append(request)
        answer = self.script(request)
        if answer is None:
            return False
        if not answer.drip:
            tls.sendall(answer.wire())
        for byte in answer.wire() if answer.drip else b'':
            tls.sendall(bytes([byte]))
            time.sleep(answer.drip)
        return not answer.close


def _request(stream: BinaryIO, number: int) -> Request | None:
    line = stream.readline().decode()
    if not line:
        return None
    method, target, _version = line.split()
    headers = {}
    while (line := stream.readline().decode().strip()):
        name, _colon, value = line.partition(':')
        headers[name.lower()] = value.strip()
    body = stream.read(int(headers.get('content-length', 0)))
    return Request(method, target, headers, body, number)


class Authority:
    """A certificate authority; writes its files into `folder`."""

    def __init__(self, folder: pathlib.Path, name: str = 'ca') -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(
            x509.NameOID.COMMON_NAME, name)])
        builder = _builder(self._name, self._name, self._key).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), True)
        certificate = builder.sign(self._key, hashes.SHA256())
        self.file = folder / f'{name}.pem'
        self.file.write_bytes(certificate.public_bytes(
            serialization.Encoding.PEM))

    def certificate(self, common_name: str,
                    *addresses: str) -> Certificate:
        """Issue a certificate.

        :param addresses: alternative names; none makes it as clusters ship.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(x509.Name([x509.NameAttribute(
            x509.NameOID.COMMON_NAME, common_name)]), self._name, key)
        if addresses:
            builder = builder.add_extension(x509.SubjectAlternativeName([
                x509.IPAddress(ipaddress.ip_address(one))
                for one in addresses]), False)
        certificate = builder.sign(self._key, hashes.SHA256())
        file = self._folder / f'{certificate.serial_number}.pem'
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption())
            + certificate.public_bytes(serialization.Encoding.PEM))
        return Certificate(file, certificate.fingerprint(
            hashes.SHA256()).hex())


def _builder(subject: x509.Name, issuer: x509.Name,
             key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    return (x509.CertificateBuilder().subject_name(subject)
            .issuer_name(issuer).public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - day).not_valid_after(now + day))


class Certificate:
    """A server's certificate with its key.

    :ivar fingerprint: SHA-256, hexadecimal.
    """

    def __init__(self, file: pathlib.Path, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(file)
