"""The example shop: its files over HTTP, and what a shopper sees of it in a real browser."""

import functools
import json
import re
import shutil
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from predictor_client import PAGES

from shoploop.errors import SpecInvalid
from shoploop.events.log import BEGINNING
from shoploop.events.messages import from_json
from shoploop.events.sqlite_log import SqliteLog
from shoploop.packaging.local_setup import storefront_settings
from shoploop.predictor.feedback_settings import FeedbackSettings
from shoploop.predictor.storefront import Storefront
from shoploop.predictor.storefront_settings import ENVIRONMENT

pytestmark = pytest.mark.filterwarnings("ignore:Accessing the 'model_fields'")  # BentoML does, at every request
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
WIDTHS = (390, 820, 1280)


def told(place, user):
    """What lies in the log of a user's doings."""
    with SqliteLog(place / "events.sqlite") as log:
        messages = [from_json(record.body) for record in log.read(BEGINNING, limit=100_000)]
    return [message for message in messages if message.type == "event" and message.user == user]


@pytest.mark.parametrize("file", ["", "index.html", "shop.js", "style.css"])
def test_the_page_is_served_and_may_load_nothing_from_elsewhere(client, file):
    answer = client.get(f"/storefront/{file}")
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"].startswith("default-src 'self'")
    assert not set(re.findall(r"https?://(?!localhost)[^\s\"'<]+", answer.text))


def test_the_address_without_a_slash_leads_to_the_page(client):
    answer = client.get("/storefront", follow_redirects=True)
    assert (answer.status_code, answer.url.path) == (200, "/storefront/")


def test_the_page_is_told_the_publishable_key(client):
    assert client.get("/storefront/config.json").json() == {"name": "grocery", "key": "pk_storefront"}


@pytest.mark.parametrize("path", ["nothing.html", "..%2f..%2fpyproject.toml", "%2e%2e/clients/curl.sh", "shop.js/x"])
def test_nothing_but_its_own_files_is_served(client, path):
    answer = client.get(f"/storefront/{path}")
    assert answer.status_code == 404
    assert "shoploop" not in answer.text and "curl" not in answer.text.replace(path, "").replace("/clients/curl.sh", "")


def test_the_key_stays_and_gets_the_origins_of_the_ports_that_are_served(tmp_path):
    events = FeedbackSettings(recommender="shop", folder=tmp_path, keys=tmp_path)
    first, second = storefront_settings(events, 3000), storefront_settings(events, 3001)
    assert first.key == second.key and first.key.startswith("pk_")
    kept = (tmp_path / "publishable" / "storefront.json").read_text()
    assert "http://localhost:3000" in kept and "http://127.0.0.1:3001" in kept


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: make install")
    if CHROMIUM is None:
        pytest.skip("no chromium is installed: apt-get install chromium")
    with playwright.sync_playwright() as started:
        # without a sandbox, since tests in a container run as root; it opens nothing but our own page
        found = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def open_page(browser):
    """Opens an address; at the end, that nothing went wrong in the page."""
    pages, wrong = [], []

    def opened(url, width=1280, *, may_fail=False):
        page = browser.new_page(viewport={"width": width, "height": 900})
        pages.append(page)
        if not may_fail:
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("console", lambda line: wrong.append(line.text) if line.type in ("error", "warning") else None)
        page.goto(url)
        return page

    yield opened
    for page in pages:
        page.close()
    assert wrong == []


def for_you(page):
    page.wait_for_selector("#for-you .card")
    return page.eval_on_selector_all("#for-you li", "lines => lines.map(line => line.dataset.item)")


def look_at(page, item):
    page.locator(f"#products li[data-item={item}] button").click()
    page.wait_for_selector("dialog[open]")


def until_first_is(page, item):
    page.wait_for_function("item => document.querySelector('#for-you li')?.dataset.item === item", arg=item)


def test_for_you_changes_after_a_few_clicks_and_the_shop_hears_of_them(client, place, open_page):
    page = open_page(f"{client.base_url}/storefront/?user=visitor-1")
    assert for_you(page)[0] == "apples"  # what sells
    assert page.inner_text("#method") == "what sells: we do not know you yet"

    look_at(page, "tea")
    page.click("#close")
    until_first_is(page, "tea")
    assert page.inner_text("#method") == "picked by what you do"
    look_at(page, "soap")
    page.click("#buy")

    page.wait_for_selector("#sent li:nth-child(3)")
    assert [(event.kind, event.item, event.source) for event in told(place, "visitor-1")] == [
        ("click", "tea", "attributed"),
        ("click", "soap", "attributed"),
        ("purchase", "soap", "attributed"),
    ]
    assert page.inner_text("#cart") == "1"


def test_what_is_in_the_cart_is_not_recommended(client, open_page):
    page = open_page(f"{client.base_url}/storefront/?user=visitor-2")
    assert "apples" in for_you(page)
    look_at(page, "apples")
    page.click("#add")
    page.wait_for_selector("#for-you li[data-item=apples]", state="detached")
    assert "apples" not in for_you(page)


def products(page):
    return page.eval_on_selector_all("#products li", "lines => lines.map(line => line.dataset.item)")


def search(page, words):
    """Types all at once, and waits for what is found."""
    with page.expect_response("**/search"):
        page.fill("#search", words)
    page.wait_for_function("words => document.querySelector('#search').value === words", arg=words)


def until_found_says(page, words):
    page.wait_for_function("words => document.querySelector('#found').textContent.includes(words)", arg=words)


def test_the_search_box_asks_the_shop_and_an_empty_one_shows_the_products_again(client, open_page):
    page = open_page(f"{client.base_url}/storefront/?user=visitor-3")
    for_you(page)
    before = products(page)
    search(page, "olives")
    until_found_says(page, "1 found")
    assert products(page) == ["olives"]
    page.fill("#search", "")
    until_found_says(page, "12 shown")
    assert products(page) == before


def test_what_was_searched_for_is_told_and_what_was_found_is_bought_as_found(client, place, open_page):
    page = open_page(f"{client.base_url}/storefront/?user=visitor-7")
    for_you(page)
    search(page, "olives")
    until_found_says(page, "1 found")
    page.press("#search", "Enter")
    page.wait_for_selector("#sent .kind")
    look_at(page, "olives")
    assert page.inner_text("#product-reason").endswith("what you searched for")
    page.click("#why summary")
    page.wait_for_selector("#why-text p")
    assert "named by name" in page.inner_text("#why-text p >> nth=0")
    page.click("#buy")
    page.wait_for_selector("#sent li:nth-child(3)")
    query, *done = told(place, "visitor-7")
    assert (query.kind, query.query, query.source) == ("query", "olives", "organic")
    assert [(event.kind, event.item, event.source) for event in done] == [
        ("click", "olives", "attributed"),
        ("purchase", "olives", "attributed"),
    ]


def test_words_that_are_not_spelt_as_the_shop_spells_them_are_told_as_they_were_understood(client, open_page):
    page = open_page(f"{client.base_url}/storefront/?user=visitor-8")
    for_you(page)
    search(page, "olivse")
    until_found_says(page, "Showing results for “olives”")
    assert products(page)[0] == "olives"


def test_where_nothing_is_called_so_the_page_says_that_and_shows_what_sells(client, open_page):
    page = open_page(f"{client.base_url}/storefront/?user=visitor-9")
    for_you(page)
    search(page, "zzz")
    until_found_says(page, "Nothing is called “zzz”. This is what sells.")
    assert products(page)[:2] == ["apples", "nuts"]


def test_letters_typed_in_one_go_are_one_question(client, open_page):
    page = open_page(f"{client.base_url}/storefront/?user=visitor-10")
    for_you(page)
    questions = []
    page.on("request", lambda request: questions.append(request.post_data_json) if "/search" in request.url else None)
    page.evaluate(
        """() => {
            const box = document.querySelector("#search");
            for (const words of ["ho", "hon", "honey"]) {
                box.value = words;
                box.dispatchEvent(new Event("input"));
            }
        }"""
    )
    until_found_says(page, "1 found")
    assert questions == [{"user": "visitor-10", "query": "honey", "k": 24}]


def test_an_answer_that_comes_late_does_not_replace_that_of_newer_words(client, open_page):
    page = open_page(f"{client.base_url}/storefront/?user=visitor-11")
    for_you(page)
    late = []

    def hold_back_the_first(route):
        late.append(route) if not late else route.continue_()

    page.route("**/search", hold_back_the_first)
    page.fill("#search", "rice")
    while not late:
        page.wait_for_timeout(10)
    search(page, "honey")
    until_found_says(page, "1 found")
    with page.expect_response("**/search"):
        late[0].continue_()
    page.wait_for_timeout(100)
    assert products(page) == ["honey"]


def test_of_an_older_predictor_the_products_shown_are_filtered_by_their_titles(client, open_page):
    page = open_page(f"{client.base_url}/storefront/?user=visitor-12", may_fail=True)  # a browser tells of any 404
    for_you(page)
    questions = []

    def unknown(route):
        questions.append(route)
        route.fulfill(status=404, json={"detail": "Not Found"})

    page.route("**/search", unknown)
    page.fill("#search", "oliv")
    until_found_says(page, "1 of 12 match")
    assert products(page) == ["olives"]
    page.fill("#search", "a")
    page.fill("#search", "rice ")
    until_found_says(page, "1 of 12 match")
    assert products(page) == ["rice"]
    assert len(questions) == 1 and page.is_hidden("#trouble")


def test_somebody_else_is_shown_what_they_would_find(client, open_page):
    page = open_page(f"{client.base_url}/storefront/?user=visitor-13")
    for_you(page)
    search(page, "honey")
    until_found_says(page, "1 found")
    page.fill("#user", "ann")
    with page.expect_response("**/search") as answer:
        page.press("#user", "Enter")
    assert answer.value.request.post_data_json["user"] == "ann"
    until_first_is(page, "milk")
    assert products(page) == ["honey"]


def test_of_two_changes_of_the_shopper_the_later_one_is_shown_whichever_answers_first(client, open_page):
    page = open_page(f"{client.base_url}/storefront/?user=visitor-21")
    for_you(page)
    late = []

    def hold_back_the_earlier(route):
        late.append(route) if route.request.post_data_json["user"] == "visitor-22" else route.continue_()

    page.route("**/recommend", hold_back_the_earlier)
    page.fill("#user", "visitor-22")
    page.press("#user", "Enter")
    while not late:
        page.wait_for_timeout(10)
    with page.expect_response("**/recommend") as answer:  # the products come first
        page.fill("#user", "visitor-23")
        page.press("#user", "Enter")
    shown = answer.value.json()
    page.wait_for_timeout(100)
    with page.expect_response("**/recommend"):
        late[0].continue_()
    page.wait_for_timeout(100)
    with page.expect_request("**/events") as told:
        look_at(page, products(page)[0])
    event = told.value.post_data_json["events"][0]
    assert (event["user"], event["impression"]) == ("visitor-23", shown["impression"])


def test_a_name_of_blanks_is_nobody_and_is_not_kept(client, open_page):
    page = open_page(f"{client.base_url}/storefront/?user=visitor-24")
    for_you(page)
    page.fill("#user", "   ")
    page.press("#user", "Enter")
    page.wait_for_function("document.querySelector('#user').value === 'visitor-24'")
    assert page.is_hidden("#trouble") and page.evaluate("localStorage.getItem('user')") == "visitor-24"
    page.evaluate("localStorage.setItem('user', '')")
    page.goto(f"{client.base_url}/storefront/")
    for_you(page)
    assert page.is_hidden("#trouble")


def test_a_known_shopper_is_told_why(client, open_page):
    page = open_page(f"{client.base_url}/storefront/?user=visitor-4")
    for_you(page)
    page.fill("#user", "ann")
    page.press("#user", "Enter")
    until_first_is(page, "milk")
    page.locator("#for-you button").first.click()
    assert page.inner_text("#product-reason").startswith("you buy this about every 3 days")
    page.click("#why summary")
    page.wait_for_selector("#why-text li")
    assert "days on which the user bought the item" in page.inner_text("#why-text")


def test_why_of_one_product_is_not_told_of_the_next_though_its_answer_comes_late(client, open_page):
    page = open_page(f"{client.base_url}/storefront/?user=ann")
    for_you(page)
    late = []

    def hold_back_the_first(route):
        late.append(route) if not late else route.continue_()

    page.route("**/explain", hold_back_the_first)
    page.locator("#for-you button").nth(0).click()
    page.click("#why summary")
    while not late:
        page.wait_for_timeout(10)
    page.click("#close")
    page.locator("#for-you button").nth(1).click()
    page.click("#why summary")
    page.wait_for_selector("#why-text p")
    assert page.inner_text("#why-text p >> nth=0").startswith("Place 2 ")
    with page.expect_response("**/explain"):
        late[0].continue_()
    page.wait_for_timeout(100)
    assert page.inner_text("#why-text p >> nth=0").startswith("Place 2 ")


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_the_storefront_is_read_only_and_says_so_by_a_code(client, method):
    answer = client.request(method, "/storefront/index.html", json={})
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("told", "message"),
    [("{}", "folder: this field is required"), ("no JSON", "SHOPLOOP_STOREFRONT"), (None, "which is not there")],
)
def test_a_storefront_that_cannot_be_is_an_error_that_says_why(tmp_path, monkeypatch, told, message):
    gone = json.dumps({"name": "grocery", "folder": str(tmp_path / "gone"), "key": "pk"})
    monkeypatch.setenv(ENVIRONMENT, told or gone)
    with pytest.raises(SpecInvalid, match=message):
        Storefront(None)


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_runs_over_the_edge(client, open_page, width):
    page = open_page(f"{client.base_url}/storefront/?user=visitor-5", width)
    for_you(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    search(page, "olivse")
    until_found_says(page, "Showing")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.fill("#search", "")
    look_at(page, "tea")
    box = page.locator("dialog").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= width


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def elsewhere():
    """Another web server with the same files."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=PAGES)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_opened_from_elsewhere_it_works_where_the_origin_is_allowed(client, place, open_page, monkeypatch):
    from serving.service import ORIGINS

    with elsewhere() as origin:
        url = f"{origin}/index.html?api={str(client.base_url).rstrip('/')}&user=visitor-6"
        refused = open_page(url, may_fail=True)
        refused.wait_for_selector("#trouble:not([hidden])")
        assert "does not answer" in refused.inner_text("#trouble")

        monkeypatch.setattr(ORIGINS, "allowed", (origin,))
        page = open_page(url)
        for_you(page)
        look_at(page, "rice")
        page.click("#close")
        until_first_is(page, "rice")
    assert [event.item for event in told(place, "visitor-6")] == ["rice"]
