"""What a server, a network or a person gets wrong between us and Kubeflow Pipelines is named, and nothing is done twice."""

import json
import ssl
import threading
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest
from fake_kubeflow import FakeKubeflow
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from kubeflow_specs import TRAINED

from shoploop.errors import KeyUnusable, ShoploopError, SpecInvalid
from shoploop.runs import pod_verbs
from shoploop.runs.kubeflow import errors
from shoploop.runs.kubeflow.client import KubeflowClient
from shoploop.runs.kubeflow.handing_over import HandedOver
from shoploop.runs.kubeflow.submission import begin, experiment_of, find, publish, version_name


class Clock:
    """Time that passes while somebody sleeps."""

    def __init__(self):
        self.now, self.slept = 0.0, []

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds

    def __call__(self):
        return self.now


@pytest.fixture
def fake():
    return FakeKubeflow()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def client(fake, clock):
    return KubeflowClient(
        "http://kubeflow:8888/", transport=httpx.MockTransport(fake.answer), sleep=clock.sleep, clock=clock
    )


DOWN = httpx.ConnectError("[Errno 111] Connection refused")
SLOW = httpx.ReadTimeout("timed out")


@pytest.mark.parametrize(
    ("fault", "kind", "says"),
    [
        (DOWN, errors.KubeflowUnreachable, "cannot be reached: .*Connection refused"),
        (SLOW, errors.KubeflowUnreachable, "does not answer in time"),
        (401, errors.KubeflowLogin, "--token-file"),
        (302, errors.KubeflowLogin, "sends GET /healthz on to https://dex.example/auth"),
        (403, errors.KubeflowForbidden, "--namespace"),
        (404, errors.KubeflowMissing, "was deleted, or the address leads elsewhere"),
        (409, errors.KubeflowConflict, "one of that name"),
        (418, errors.KubeflowRefused, "refuses GET /healthz"),
        (429, errors.KubeflowBusy, "Try again later"),
        (500, errors.KubeflowFailed, "log of ml-pipeline"),
        (503, errors.KubeflowBusy, "Try again later"),
        ("html", errors.KubeflowUnreadable, "a page for people"),
        ("half", errors.KubeflowUnreadable, "broke off in the middle"),
    ],
)
def test_a_bad_answer_is_named_and_says_what_to_do(fake, client, clock, fault, kind, says):
    fake.break_next(*[fault] * 100)
    with pytest.raises(kind, match=says) as told:
        client.health()
    assert "kubeflow:8888" in str(told.value)
    assert clock.now < 60
    assert bool(clock.slept) == told.value.passes


def test_an_answer_of_another_api_is_named(fake, client):
    fake.break_next("other")
    with pytest.raises(errors.KubeflowUnreadable, match=r"other fields than Kubeflow Pipelines 2 has \(pipeline_id"):
        client.pipeline_named("shop")


def test_what_passes_is_waited_for_as_long_as_the_server_asks(fake, client, clock):
    fake.break_next(429, DOWN, 503)
    client.health()
    assert len(fake.asked) == 4
    assert clock.slept == [1.0, 1.0, 2.0]


def test_a_question_that_does_harm_twice_is_not_asked_twice_when_its_answer_is_lost(fake, client):
    for fault in ("lost", "half", "html", 502):
        fake.break_next(fault)
        asked = len(fake.asked)
        with pytest.raises(errors.KubeflowError) as told:
            client.create_experiment("shop")
        assert told.value.perhaps_done and len(fake.asked) == asked + 1
        fake.experiments.clear()
    fake.break_next(DOWN)
    assert client.create_experiment("shop").display_name == "shop"


@pytest.mark.parametrize(
    "endpoint", ["", "kubeflow", "ftp://kubeflow", "http://", "http://user:secret@kubeflow", "http://k?x=1", "http://k:0", "http://k:x"]
)  # fmt: skip
def test_an_address_that_is_none_is_refused(endpoint):
    with pytest.raises(SpecInvalid, match="is no address of Kubeflow Pipelines"):
        KubeflowClient(endpoint)


def test_the_token_is_read_for_every_question_because_it_is_replaced(fake, tmp_path):
    file, transport = tmp_path / "token", httpx.MockTransport(fake.answer)
    client = KubeflowClient("http://kubeflow", token_file=file, transport=transport)
    fake.tokens = {"first", "second"}
    for token in ("first", "second\n"):
        file.write_text(token)
        client.health()
    file.write_text("expired")
    with pytest.raises(errors.KubeflowLogin, match="there is no user identity"):
        client.health()


@pytest.mark.parametrize("content", [None, b"", b"two words", b"a\nb", b"\xff\xfe"])
def test_a_token_file_without_a_token_is_named(tmp_path, content):
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(KeyUnusable, match=str(file)):
        KubeflowClient(
            "http://kubeflow", token_file=file, transport=httpx.MockTransport(FakeKubeflow().answer)
        ).health()


def test_what_is_there_already_is_used_again(fake, client):
    first = publish(client, "shop", TRAINED)
    assert publish(client, "shop", TRAINED) == first
    other = publish(client, "shop", TRAINED + "---\nother: 1\n")
    assert other.pipeline_version_id != first.pipeline_version_id and other.pipeline_id == first.pipeline_id
    assert experiment_of(client, "shop") == experiment_of(client, "shop")
    assert len(fake.pipelines) == len(fake.experiments) == 1


def test_a_run_whose_answer_was_lost_is_found_and_not_begun_again(fake, client):
    version, experiment = publish(client, "shop", TRAINED), experiment_of(client, "shop")
    fake.break_next("lost")
    run = begin(client, version, experiment, name="20261127-000000-aaaa", parameters={"rows": 3})
    assert list(fake.runs) == [run.run_id]
    assert find(client, experiment, "20261127-000000-aaaa").run_id == run.run_id


@contextmanager
def served(answers, context=None):
    """A real server that answers each connection with raw bytes."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.wfile.write(left.pop(0) if len(left) > 1 else left[0])

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


WHOLE = b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{"multi_user": true}'


def test_half_an_answer_of_a_real_connection_is_asked_for_again():
    with (
        served([WHOLE[:-8], b"", b"nonsense\r\n\r\n", WHOLE]) as port,
        closing(KubeflowClient(f"http://127.0.0.1:{port}", sleep=lambda _: None)) as client,
    ):
        assert client.health().multi_user is True


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return vouching(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def everybodys(tmp_path_factory):
    """In the place of the authorities that everybody trusts."""
    return vouching(tmp_path_factory.mktemp("public"))


def vouching(folder):
    """A certificate that vouches for itself."""
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, folder.name)])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    certificate = (
        made.add_extension(address, False)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )  # fmt: skip
    return folder


def test_a_private_authority_is_trusted_where_it_is_named(authority, tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(authority / "ca.pem", authority / "key.pem")
    with served([WHOLE], context) as port:
        address = f"https://127.0.0.1:{port}"
        with closing(KubeflowClient(address, authority=authority / "ca.pem")) as client:
            assert client.health().multi_user is True
        with (
            closing(KubeflowClient(address)) as client,
            pytest.raises(errors.KubeflowRefused, match=r"no authority that is trusted here.*--ca-file"),
        ):
            client.health()
    for missing in (tmp_path / "none.pem", authority / "key.pem"):
        with pytest.raises(KeyUnusable, match="certificates in PEM"):
            KubeflowClient("https://kubeflow", authority=missing)


@pytest.mark.parametrize("known_by", ["authority", "everybodys"])
def test_who_hands_over_trusts_the_stores_authority_and_those_that_everybody_trusts(
    authority, everybodys, request, monkeypatch, tmp_path, known_by
):
    monkeypatch.setattr("certifi.where", lambda: str(everybodys / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(authority / "ca.pem"))  # as spec.store.caRef makes it in a pod
    monkeypatch.setenv(pod_verbs.TERMINATION_LOG, str(tmp_path / "said"))
    monkeypatch.setattr(HandedOver, "carry", lambda self: ready(self.launcher.client.health()))
    said = []

    def ready(health):
        said.append(health.multi_user)
        raise ShoploopError("No more is asked of it.")

    folder, context = request.getfixturevalue(known_by), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.pem", folder / "key.pem")
    with served([WHOLE], context) as port:
        runner = {"type": "KubeflowPipelines", "endpoint": f"https://127.0.0.1:{port}"}
        spec = {"data": {"dataset": "completejourney"}, "store": {"uri": f"file://{tmp_path}"}, "runner": runner}
        (tmp_path / "spec.json").write_text(json.dumps({"metadata": {"name": "shop"}, "spec": spec}))
        pod_verbs.main(["submit", "--spec", str(tmp_path / "spec.json"), "--run", "run-1"])
    assert said == [True], (tmp_path / "said").read_text()


def test_an_answer_of_another_api_is_not_taken_for_a_run_that_is_cancelled():
    fake, clock = FakeKubeflow(), Clock()
    client = KubeflowClient(
        "http://kubeflow", transport=httpx.MockTransport(fake.answer), sleep=clock.sleep, clock=clock
    )
    version = publish(client, "shop", TRAINED)
    run = begin(client, version, experiment_of(client, "shop"), name="one", parameters={"rows": 1})
    fake.break_next("other")
    with pytest.raises(errors.KubeflowError, match="other fields"):
        client.terminate(run.run_id)
    client.terminate(run.run_id)
    assert fake.runs[run.run_id]["state"] == "CANCELING"


class ClientAndFake(RuleBasedStateMachine):
    """Whatever goes wrong, a run that was asked for once is there at most once, and what the client says is so."""

    def __init__(self):
        super().__init__()
        self.fake, clock = FakeKubeflow(), Clock()
        self.client = KubeflowClient(
            "http://kubeflow", transport=httpx.MockTransport(self.fake.answer), sleep=clock.sleep, clock=clock
        )
        self.known: dict[str, str] = {}
        self.asked = 0

    @rule(faults=st.lists(st.sampled_from([DOWN, SLOW, 401, 403, 404, 429, 500, 502, 503, "html", "half", "lost", "other"]),
                          min_size=1, max_size=3))  # fmt: skip
    def break_next(self, faults):
        self.fake.break_next(*faults)

    @rule(text=st.sampled_from([TRAINED, TRAINED + "---\nmore: 2\n"]), rows=st.sampled_from([1, 2.0, "many"]))
    def submit(self, text, rows):
        self.asked += 1
        name = f"20261127-{self.asked:06}-aaaa"
        try:
            version = publish(self.client, "shop", text)
            run = begin(
                self.client, version, experiment_of(self.client, "shop"), name=name, parameters={"rows": rows}
            )  # fmt: skip
        except errors.KubeflowError as error:
            assert str(error).strip() and "Traceback" not in str(error)
            return
        assert rows != "many" and run.display_name == name
        self.known[name] = run.run_id

    @precondition(lambda self: self.known)
    @rule(data=st.data(), state=st.sampled_from(["RUNNING", "SUCCEEDED", "FAILED"]))
    def goes_on(self, data, state):
        run = data.draw(st.sampled_from(sorted(self.known.values())))
        self.fake.advance(run, state, done=1)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), verb=st.sampled_from(["terminate", "retry", "archive"]))
    def change(self, data, verb):
        run = data.draw(st.sampled_from(sorted(self.known.values())))
        try:
            getattr(self.client, verb)(run)
        except errors.KubeflowError:
            return
        assert self.fake.runs[run]["state"] in {"terminate": ("CANCELING",), "retry": ("RUNNING",)}.get(
            verb, ("PENDING", "RUNNING", "CANCELING", "FAILED", "SUCCEEDED")
        )

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def look(self, data):
        run = data.draw(st.sampled_from(sorted(self.known.values())))
        try:
            seen = self.client.run(run)
        except errors.KubeflowError:
            return
        assert (seen.run_id, seen.state) == (run, self.fake.runs[run]["state"])

    @invariant()
    def nothing_is_there_twice(self):
        for things, key in (
            (self.fake.runs, "display_name"), (self.fake.experiments, "display_name"), (self.fake.pipelines, "name"),
        ):  # fmt: skip
            names = [one[key] for one in things.values()]
            assert len(names) == len(set(names))
        for name, run in self.known.items():
            assert self.fake.runs[run]["display_name"] == name


ClientAndFake.TestCase.settings = settings(
    max_examples=25, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)
test_client_and_fake_agree_whatever_goes_wrong = ClientAndFake.TestCase


def test_a_version_has_the_name_of_what_its_text_says_whatever_its_comments_and_the_order_of_its_keys():
    one = "# Default: {'a': 1, 'b': 2}\nname: shop\nsteps: {load: 1, train: 2}\n---\nkind: platform\n"
    other = "# Default: {'b': 2, 'a': 1}\nsteps: {train: 2, load: 1}\nname: shop\n---\nkind: platform\n"
    assert version_name(one) == version_name(other) != version_name(one.replace("train: 2", "train: 3"))
