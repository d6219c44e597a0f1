"""Passwords and certificates of a log's server, read from a folder as a Secret is mounted."""

import datetime
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from event_logs import RedisServer

from shoploop.api.online import EventLogSpec
from shoploop.events.access import Access
from shoploop.events.log import BEGINNING, Entry, LogUnavailable
from shoploop.events.opening import kafka_settings, open_log

ONE = [Entry("one", b"1")]
NOW = datetime.datetime.now(datetime.UTC)


def certificate(subject, *, of=None, is_authority=False):
    """A key and its certificate, signed by the key and certificate ``of``, or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)])
    signer, issuer = (of[0], of[1].subject) if of else (key, name)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - datetime.timedelta(days=1))
        .not_valid_after(NOW + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    )
    return key, builder.sign(signer, hashes.SHA256())


def pem(thing):
    if isinstance(thing, x509.Certificate):
        return thing.public_bytes(Encoding.PEM)
    return thing.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, redis_place):
    """A Redis with a password and with TLS by a private authority, and the folder with both."""
    folder, access = tmp_path_factory.mktemp("guarded"), tmp_path_factory.mktemp("access")
    authority = certificate("an authority", is_authority=True)
    key, own = certificate("redis", of=authority)
    (folder / "redis.key").write_bytes(pem(key))
    (folder / "redis.crt").write_bytes(pem(own))
    (access / "ca.crt").write_bytes(pem(authority[1]))
    (access / "password").write_text("secret\n")
    server = RedisServer(folder)
    tls = {
        "tls-port": server.port,
        "port": 0,
        "tls-cert-file": folder / "redis.crt",
        "tls-key-file": folder / "redis.key",
    }
    tls |= {"tls-ca-cert-file": access / "ca.crt", "tls-auth-clients": "no", "requirepass": "secret"}
    server.settings = tuple(str(part) for name, value in tls.items() for part in (f"--{name}", value))
    server.url = f"rediss://:secret@127.0.0.1:{server.port}/0?ssl_ca_certs={access / 'ca.crt'}"
    server.start()
    yield server, access
    server.kill()


def spec_of(server, **log):
    tls = {"caRef": {"name": "ca"}}
    return EventLogSpec(
        type="Redis", connection=f"127.0.0.1:{server.port}", **({"secret_ref": {"name": "redis"}, "tls": tls} | log)
    )


def test_a_redis_with_a_password_and_a_private_authority_is_a_log(guarded):
    server, access = guarded
    with open_log(spec_of(server), name="shop", folder=access, access=access) as log:
        log.append(ONE)
        assert [record.id for record in log.read(BEGINNING)] == ["one"]


def test_a_redis_whose_authority_is_not_known_is_not_trusted(guarded, tmp_path):
    server, access = guarded
    (tmp_path / "ca.crt").write_bytes(pem(certificate("another", is_authority=True)[1]))
    (tmp_path / "password").write_text("secret")
    with pytest.raises(LogUnavailable, match="certificate verify failed"):
        open_log(spec_of(server), name="shop", folder=access, access=tmp_path)
    with pytest.raises(LogUnavailable, match="certificate verify failed"):
        open_log(spec_of(server, tls={}), name="shop", folder=access, access=access)


def test_a_wrong_password_is_named_and_not_told(guarded, tmp_path):
    server, access = guarded
    (tmp_path / "ca.crt").write_bytes((access / "ca.crt").read_bytes())
    (tmp_path / "password").write_text("guessed")
    with pytest.raises(LogUnavailable, match="invalid username-password") as refused:
        open_log(spec_of(server), name="shop", folder=access, access=tmp_path)
    assert "guessed" not in str(refused.value)


def test_a_password_that_is_exchanged_counts_at_the_next_connection(guarded):
    server, access = guarded
    with open_log(spec_of(server), name="exchanged", folder=access, access=access) as log:
        log.append(ONE)
        log._client.config_set("requirepass", "newer")
        (access / "password").write_text("newer")
        try:
            log._client.connection_pool.disconnect()
            assert [record.id for record in log.read(BEGINNING)] == ["one"]
        finally:
            log._client.config_set("requirepass", "secret")
            (access / "password").write_text("secret")


@pytest.mark.parametrize(("gone", "why"), [("password", "needs the key password"), ("ca.crt", "authority")])
def test_what_is_not_mounted_is_named(guarded, tmp_path, gone, why):
    server, access = guarded
    for file in access.iterdir():
        if file.name != gone:
            (tmp_path / file.name).write_bytes(file.read_bytes())
    with pytest.raises(LogUnavailable, match=why):
        open_log(spec_of(server), name="shop", folder=access, access=tmp_path)


@pytest.mark.parametrize(
    ("log", "wanted"),
    [
        ({}, {}),
        ({"tls": {}}, {"security.protocol": "SSL"}),
        (
            {"secret_ref": {"name": "kafka"}},
            {
                "security.protocol": "SASL_PLAINTEXT",
                "sasl.mechanism": "SCRAM-SHA-512",
                "sasl.username": "shop",
                "sasl.password": "secret",
            },
        ),
        (
            {"secret_ref": {"name": "kafka"}, "tls": {"caRef": {"name": "ca"}}, "sasl_mechanism": "Plain"},
            {
                "security.protocol": "SASL_SSL",
                "sasl.mechanism": "PLAIN",
                "sasl.username": "shop",
                "sasl.password": "secret",
                "ssl.ca.location": "ca.crt",
            },
        ),
    ],
    ids=["open", "tls", "password", "both"],
)
def test_kafka_is_told_the_same_in_its_own_words(tmp_path, log, wanted):
    from confluent_kafka import Producer

    authority = tmp_path / "ca.crt"
    authority.write_bytes(pem(certificate("an authority", is_authority=True)[1]))
    (tmp_path / "username").write_text("shop\n")
    (tmp_path / "password").write_text("secret\n")
    found = kafka_settings(Access(EventLogSpec(type="Kafka", connection="k:9092", **log), tmp_path))
    assert found == {key: str(authority) if value == "ca.crt" else value for key, value in wanted.items()}
    Producer({"bootstrap.servers": "127.0.0.1:1", "log_level": 0} | found)  # librdkafka knows every one of them
