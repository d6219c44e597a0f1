"""Who may ask: keys and tokens that are believed, and the many that are not. Nothing is served but where it says so."""

import asyncio
import base64
import json
import os

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from shoploop.api.access import TokenRules
from shoploop.errors import KeyUnusable, SpecInvalid
from shoploop.events.keyring import add_key
from shoploop.events.messages import EventsRequest
from shoploop.packaging.local_setup import access_settings
from shoploop.predictor.access import Access, caller_of
from shoploop.predictor.access_settings import ENVIRONMENT, KEY_SET, RULES, AccessSettings
from shoploop.predictor.admin import metrics_reply
from shoploop.predictor.callers import EVENTS_SCOPE, Caller, Callers, read_key_set
from shoploop.predictor.feedback import Feedback
from shoploop.predictor.feedback_settings import FeedbackSettings
from shoploop.predictor.shop_keys import ShopKeys, Unauthorized

pytestmark = pytest.mark.filterwarnings("ignore:Accessing the 'model_fields'")  # BentoML does, at every request
NOW = 1_700_000_000
ISSUER, AUDIENCE = "https://id.shop.example", "shoploop"
TOKENS = TokenRules(issuer=ISSUER, audience=AUDIENCE, algorithms=["RS256", "ES256"])


@pytest.fixture(scope="module")
def pairs():
    """Private keys by the ids of their public ones."""
    return {
        "rsa-1": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "rsa-2": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "ec-1": ec.generate_private_key(ec.SECP256R1()),
    }


def public(kid, private, **more):
    algorithm = jwt.algorithms.RSAAlgorithm if kid.startswith("rsa") else jwt.algorithms.ECAlgorithm
    return {**algorithm.to_jwk(private.public_key(), as_dict=True), "kid": kid, "use": "sig", **more}


def write_set(folder, *documents):
    (folder / KEY_SET).write_text(json.dumps({"keys": list(documents)}))


@pytest.fixture
def folder(tmp_path, pairs):
    write_set(tmp_path, public("rsa-1", pairs["rsa-1"]), public("ec-1", pairs["ec-1"]))
    return tmp_path


@pytest.fixture
def callers(folder):
    return Callers(AccessSettings(folder=folder, tokens=TOKENS), clock=lambda: NOW)


@pytest.fixture
def make_token(pairs):
    def make(kid="rsa-1", *, by=None, algorithm=None, headers=None, **claims):
        claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "checkout", "exp": NOW + 300} | claims
        claims = {name: value for name, value in claims.items() if value is not None}
        algorithm = algorithm or ("ES256" if kid.startswith("ec") else "RS256")
        return jwt.encode(claims, by or pairs[kid], algorithm=algorithm, headers={"kid": kid} | (headers or {}))

    return make


def asks(callers, presented, **headers):
    return callers.check({"authorization": f"Bearer {presented}"} | headers)


def refused(callers, presented, **headers):
    with pytest.raises(Unauthorized) as error:
        asks(callers, presented, **headers)
    return error.value.status, error.value.code


def text_of(key):
    return base64.b64encode(key.secret).decode()


def test_where_nobody_has_to_say_who_they_are_everybody_may_ask():
    assert Callers(None).check({}) is None
    assert not Callers(None).are_asked


def test_an_api_key_is_let_in_and_goes_with_its_file(tmp_path, monkeypatch):
    from shoploop.events import watched

    monkeypatch.setattr(watched, "LOOK_SECONDS", 0.0)
    callers = Callers(AccessSettings(folder=tmp_path))
    key = add_key(tmp_path)
    assert asks(callers, text_of(key)) == Caller(name=key.id, by="key")
    (tmp_path / f"{key.id}.key").unlink()
    assert refused(callers, text_of(key)) == (401, "key_unknown")


def test_who_says_nothing_is_told_how_to(callers):
    with pytest.raises(Unauthorized, match="authorization: Bearer") as error:
        callers.check({})
    assert (error.value.status, error.value.code) == (401, "key_missing")
    with pytest.raises(Unauthorized, match="Bearer"):
        callers.check({"authorization": "Basic YTpi"})


@pytest.mark.parametrize("kid", ["rsa-1", "ec-1"])
def test_a_token_of_the_issuer_is_let_in(callers, make_token, kid):
    assert asks(callers, make_token(kid)) == Caller(name="checkout", by="token")
    assert asks(callers, make_token(kid, aud=["other", AUDIENCE]))


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"exp": NOW - 61}, "token_expired"),
        ({"exp": None}, "token_invalid"),
        ({"exp": "soon"}, "token_invalid"),
        ({"exp": 10**309}, "token_invalid"),
        ({"nbf": 10**309}, "token_invalid"),
        ({"nbf": NOW + 61}, "token_not_yet_valid"),
        ({"iss": "https://elsewhere.example"}, "token_foreign"),
        ({"iss": None}, "token_invalid"),
        ({"aud": "another"}, "token_foreign"),
        ({"aud": None}, "token_invalid"),
    ],
    ids=str,
)
def test_a_token_that_does_not_hold_is_refused_by_a_code(callers, make_token, claims, code):
    assert refused(callers, make_token(**claims)) == (401, code)


def test_clocks_may_differ_by_the_skew(callers, make_token):
    assert asks(callers, make_token(exp=NOW - 59, nbf=NOW - 600))
    assert asks(callers, make_token(nbf=NOW + 60))


def test_a_token_by_another_key_or_algorithm_is_refused(callers, make_token, pairs):
    assert refused(callers, make_token("rsa-2")) == (401, "token_key_unknown")
    assert refused(callers, make_token("rsa-1", by=pairs["rsa-2"])) == (401, "token_invalid")
    assert refused(callers, make_token(algorithm="RS512")) == (401, "token_algorithm")
    assert refused(callers, make_token(algorithm="PS256")) == (401, "token_algorithm")
    unsigned = jwt.encode({"iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 9}, None, "none", headers={"kid": "rsa-1"})
    assert refused(callers, unsigned) == (401, "token_algorithm")


def test_the_public_key_is_no_shared_secret(callers, folder, pairs):
    """The best known attack: HS256, with the public key, which everybody has, as the secret."""
    import hmac

    def part(document):
        return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=")

    claims = {"iss": ISSUER, "aud": AUDIENCE, "exp": NOW + 300}
    body = part({"alg": "HS256", "kid": "rsa-1"}) + b"." + part(claims)
    secret = (folder / KEY_SET).read_bytes()
    forged = body + b"." + base64.urlsafe_b64encode(hmac.digest(secret, body, "sha256")).rstrip(b"=")
    assert refused(callers, forged.decode()) == (401, "token_algorithm")


def test_every_changed_letter_of_a_token_is_seen(callers, make_token):
    token = make_token()
    for place in range(0, len(token) - 1, 9):  # the last letter may hold bits that mean nothing
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert refused(callers, changed)[0] == 401, place


@pytest.mark.parametrize("token", ["a.b.c", "..", "é.é.é", "A" * 9000 + "..", "e30.e30.e30"])
def test_what_is_no_token_is_refused_without_a_traceback(callers, token):
    assert refused(callers, token)[1] in ("token_invalid", "token_key_unknown")


def test_the_issuers_keys_are_exchanged_without_a_restart(folder, callers, make_token, pairs, monkeypatch):
    from shoploop.events import watched

    monkeypatch.setattr(watched, "LOOK_SECONDS", 0.0)
    write_set(folder, public("rsa-2", pairs["rsa-2"]))
    assert asks(callers, make_token("rsa-2"))
    assert refused(callers, make_token("rsa-1")) == (401, "token_key_unknown")
    (folder / KEY_SET).write_text('{"keys": [')  # half written: what was read before goes on
    assert asks(callers, make_token("rsa-2"))


@pytest.mark.parametrize("algorithm", ["RS256", "RS512", "PS256"])
def test_a_key_that_names_no_algorithm_signs_by_each_of_the_rules_that_its_type_can(
    folder, make_token, pairs, algorithm
):
    """As those of Azure AD do, and RFC 7517 allows."""
    rules = TOKENS.model_copy(update={"algorithms": [algorithm]})
    callers = Callers(AccessSettings(folder=folder, tokens=rules), clock=lambda: NOW)
    assert asks(callers, make_token(algorithm=algorithm))
    both = TOKENS.model_copy(update={"algorithms": ["ES256", "RS384", algorithm]})
    callers = Callers(AccessSettings(folder=folder, tokens=both), clock=lambda: NOW)
    assert asks(callers, make_token(algorithm=algorithm)) and asks(callers, make_token("ec-1"))
    assert refused(callers, make_token(algorithm="PS512")) == (401, "token_algorithm")
    write_set(folder, public("rsa-1", pairs["rsa-1"], alg="RS384"))  # this one names it
    callers = Callers(AccessSettings(folder=folder, tokens=both), clock=lambda: NOW)
    assert asks(callers, make_token(algorithm="RS384"))
    assert refused(callers, make_token(algorithm=algorithm)) == (401, "token_algorithm")


@pytest.mark.parametrize("what", ["missing", "no json", "empty", "secret", "private", "small", "twice", "encryption"])
def test_a_key_set_that_nobody_can_rely_on_is_named(tmp_path, pairs, what):
    one = public("rsa-1", pairs["rsa-1"])
    private = {**jwt.algorithms.RSAAlgorithm.to_jwk(pairs["rsa-1"], as_dict=True), "kid": "rsa-1"}
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    sets = {
        "no json": "keys",
        "empty": {"keys": []},
        "secret": {"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "1", "alg": "HS256"}]},
        "private": {"keys": [private]},
        "small": {"keys": [public("rsa-1", small)]},
        "twice": {"keys": [one, one]},
        "encryption": {"keys": [one | {"use": "enc"}]},
    }
    if what in sets:
        (tmp_path / KEY_SET).write_text(sets[what] if isinstance(sets[what], str) else json.dumps(sets[what]))
    with pytest.raises(KeyUnusable, match="jwks_uri") as error:
        read_key_set(tmp_path / KEY_SET, TOKENS)
    assert str(tmp_path / KEY_SET) in str(error.value)


def test_the_shops_server_and_its_pages_may_ask_with_the_keys_that_they_have(tmp_path):
    server = add_key(tmp_path / "keys" / "server")
    (tmp_path / "keys" / "publishable").mkdir()
    page = {"key": "pk_1", "origins": ["https://shop.example"]}
    (tmp_path / "keys" / "publishable" / "page.json").write_text(json.dumps(page))
    callers = Callers(AccessSettings(folder=tmp_path / "access"))
    callers.shop_keys = ShopKeys(tmp_path / "keys")
    assert asks(callers, text_of(server)) == Caller(name=server.id, by="server", sends_events=True)
    assert asks(callers, "pk_1", origin="https://shop.example") == Caller(name="page", by="publishable")
    assert refused(callers, "pk_1", origin="https://evil.example") == (403, None)
    assert refused(callers, "pk_2", origin="https://shop.example") == (401, "key_unknown")


def test_a_page_key_whose_origins_are_no_list_is_told_by_name(tmp_path, caplog):
    (tmp_path / "publishable").mkdir()
    page = tmp_path / "publishable" / "page.json"
    page.write_text(json.dumps({"key": "pk_1", "origins": "https://shop.example"}))
    assert ShopKeys(tmp_path).holder("pk_1", "https://shop.example") is None
    assert f"{page} is no publishable key: it needs key and a list of origins" in caplog.text


def test_a_key_that_was_taken_away_is_refused_though_another_file_beside_it_is_no_key(tmp_path, monkeypatch, caplog):
    from shoploop.events import watched

    monkeypatch.setattr(watched, "LOOK_SECONDS", 0.0)
    server = add_key(tmp_path / "server")
    (tmp_path / "publishable").mkdir()
    page = {"key": "pk_1", "origins": ["https://shop.example"]}
    for name in ("old", "kept"):
        (tmp_path / "publishable" / f"{name}.json").write_text(json.dumps(page | {"key": f"pk_{name}"}))
    keys = ShopKeys(tmp_path)
    assert keys.holder(text_of(server), "") and keys.holder("pk_old", "https://shop.example")
    (tmp_path / "server" / f"{server.id}.key").unlink()
    (tmp_path / "server" / "new.key").write_text("c2hvcnQ=")
    (tmp_path / "publishable" / "old.json").unlink()
    (tmp_path / "publishable" / "new.json").write_text('{"key": "pk_new"')
    for found in (keys, ShopKeys(tmp_path)):  # also who starts now
        assert found.holder(text_of(server), "") is None
        assert found.holder("pk_old", "https://shop.example") is None
        assert found.holder("pk_kept", "https://shop.example")
    assert "new.key has 5 bytes" in caplog.text and "new.json is no publishable key" in caplog.text


def test_only_a_token_with_the_scope_sends_events_as_the_server_does(tmp_path, callers, make_token):
    add_key(tmp_path / "keys" / "impressions")
    feedback = Feedback(FeedbackSettings(recommender="grocery", folder=tmp_path, keys=tmp_path / "keys"))
    bought = EventsRequest.model_validate({"events": [{"id": "1", "kind": "purchase", "user": "ann", "item": "tea"}]})
    try:
        for scopes, accepted in (
            ({"scope": EVENTS_SCOPE}, 1),
            ({"scp": ["read", EVENTS_SCOPE]}, 1),
            ({"scope": "read"}, 0),
        ):
            caller = asks(callers, make_token(**scopes))
            assert caller.sends_events == bool(accepted)
            answer = feedback.take(bought, feedback.sender({}, "10.0.0.1", caller))
            assert answer.accepted == accepted
        assert answer.refused[0].code == "key_missing"
    finally:
        feedback.close()


def over_http(callers, path, headers=None, method="POST"):
    """Asks an app behind it, which says who asked."""

    async def app(scope, receive, send):
        caller = caller_of(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": (caller.by if caller else "anybody").encode()})

    transport = httpx.ASGITransport(app=Access(app, routes=("/recommend",), callers=callers))

    async def ask():
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.request(method, path, headers=headers)

    return asyncio.run(ask())


def test_who_is_refused_reads_why_as_problem_json(callers, make_token):
    answer = over_http(callers, "/recommend")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "key_missing"
    let_in = over_http(callers, "/recommend", {"authorization": f"Bearer {make_token()}"})
    assert (let_in.status_code, let_in.text) == (200, "token")
    assert over_http(callers, "/readyz", method="GET").text == "anybody"
    assert over_http(Callers(None), "/recommend").text == "anybody"


def test_the_service_asks_who_asks_and_counts_it(client, monkeypatch, tmp_path, server_key):
    from serving.service import CALLERS
    from shoploop.events.keyring import Keyring

    key = add_key(tmp_path)
    monkeypatch.setattr(CALLERS, "settings", AccessSettings(folder=tmp_path))
    monkeypatch.setattr(CALLERS, "_keys", Keyring(tmp_path))
    for path, body in (
        ("/recommend", {"user": "ann"}),
        ("/events", {"events": []}),
        ("/search", {"query": "tea"}),
        ("/shops", {"user": "ann"}),
    ):
        assert client.post(path, json=body).json()["code"] == "key_missing"
    bearer = {"authorization": f"Bearer {text_of(key)}"}
    answer = client.post("/recommend", json={"user": "ann", "k": 1}, headers=bearer)
    assert answer.status_code == 200
    item, impression = answer.json()["items"][0]["item"], answer.json()["impression"]
    click = {"id": "asked", "kind": "click", "user": "ann", "item": item, "impression": impression}
    bought = {"id": "asked", "kind": "purchase", "user": "ann", "item": item}
    assert client.post("/events", json={"events": [click]}, headers=bearer).status_code == 202
    assert client.post("/events", json={"events": [bought]}, headers=bearer).json()["code"] == "key_missing"
    server = {"authorization": f"Bearer {server_key}"}
    assert client.post("/events", json={"events": [bought]}, headers=server).status_code == 202
    assert client.get("/readyz").status_code == 200
    counted = metrics_reply()[2].decode()
    assert 'shoploop_callers_total{outcome="key"}' in counted
    assert 'shoploop_callers_total{outcome="key_missing"}' in counted
    described = client.get("/docs.json").json()
    assert described["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    asked = described["paths"]["/recommend"]["post"]
    assert asked["security"] == [{"bearer": []}] and {"200", "401", "403"} <= asked["responses"].keys()


def test_a_folder_that_is_not_there_is_made_with_a_key(tmp_path):
    settings = access_settings(tmp_path / "access")
    [key] = (tmp_path / "access").glob("*.key")
    assert settings == AccessSettings(folder=tmp_path / "access")
    assert asks(Callers(settings), key.read_text().strip()).name == key.stem
    assert os.stat(key).st_mode & 0o077 == 0


def test_a_folder_says_which_tokens_are_believed(folder, make_token, tmp_path):
    (folder / RULES).write_text(json.dumps({"issuer": ISSUER, "audience": AUDIENCE}))
    settings = access_settings(folder)
    again = AccessSettings.model_validate_json(settings.model_dump_json(by_alias=True))  # as the service reads it
    assert asks(Callers(again, clock=lambda: NOW), make_token()).by == "token"
    assert not list(folder.glob("*.key"))
    (folder / RULES).write_text('{"issuer": "x"}')
    with pytest.raises(SpecInvalid, match="audience"):
        access_settings(folder)


def test_an_environment_that_cannot_be_read_is_named(monkeypatch):
    monkeypatch.setenv(ENVIRONMENT, '{"folder": 7}')
    with pytest.raises(SpecInvalid, match=ENVIRONMENT):
        Callers.configured()
