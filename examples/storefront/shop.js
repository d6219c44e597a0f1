// A shop's front end in one file: it asks /recommend and /search, tells /events what the shopper does, and asks again.
// No framework and no build: read it from top to bottom.

const FOR_YOU = 6;
const PRODUCTS = 48;
const FOUND = 24;
const TYPING_MS = 150; // a pause this long between two letters is worth a question
const AGAIN_MS = [400, 1500]; // an event counts within a second: look, and where nothing has changed look once more

const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);

// Where the predictor is, and the publishable key: from the predictor itself where it serves this page, else from the
// address, e.g. index.html?api=http://localhost:3000&key=pk_...
const settings = { api: query.get("api") ?? "..", key: query.get("key") ?? "" };

let user = "";
let cart = [];
let products = []; // what the page shows below, each with the impression of the answer that brought it
let open = null; // the product that is looked at
let asked = 0; // the newest question to /recommend: an older answer that comes late is not shown
let searched = 0; // the same of /search
let entered = 0; // the newest shopper: the products of one before are not shown
let searches = true; // false once a predictor has said that it knows no /search

const stored = {
  get: (name) => { try { return localStorage.getItem(name); } catch { return null; } },
  set: (name, value) => { try { localStorage.setItem(name, value); } catch { /* a private window */ } },
};

const someone = () => `visitor-${Math.random().toString(36).slice(2, 10)}`;

// The key says who asks, where a predictor wants to know that.
async function post(path, body) {
  const key = settings.key ? { authorization: `Bearer ${settings.key}` } : {};
  const answer = await fetch(`${settings.api}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...key },
    body: JSON.stringify(body),
  });
  const said = await answer.json().catch(() => ({}));
  const { status } = answer;
  if (!answer.ok) throw Object.assign(new Error(said.detail ?? `HTTP ${status}`), { code: said.code, status });
  return said;
}

// Each item knows the answer that brought it, whatever becomes of the list.
async function ask(path, question) {
  const answer = await post(path, { user, ...question });
  const { request_id, impression, method } = answer;
  const request = { path, request_id, impression, method, user };
  return { ...answer, items: answer.items.map((item) => ({ ...item, ...request })) };
}

const recommend = async (k, more = {}) => (await ask("/recommend", { k, ...more })).items;

// What the shopper did. `impression` proves what was shown, so that nobody can claim another click; what was not shown by
// an answer, such as the words of a search, comes with the key.
async function tell(kind, about, label) {
  const event = { id: crypto.randomUUID?.() ?? someone(), kind, user, ...about };
  if (!event.impression) delete event.impression;
  try {
    await post("/events", { events: [event] });
    note(kind, label, "kept");
    return true;
  } catch (error) {
    note(kind, label, error.message, true);
    return false;
  }
}

function note(kind, label, outcome, bad = false) {
  const line = document.createElement("li");
  const name = document.createElement("span");
  name.className = "kind";
  name.textContent = kind;
  const about = document.createElement("span");
  const result = document.createElement("span");
  result.className = bad ? "bad" : "note";
  result.textContent = ` · ${outcome}`;
  about.append(label, result);
  line.append(name, about);
  $("sent").querySelector("li.note")?.remove();
  $("sent").prepend(line);
  while ($("sent").children.length > 6) $("sent").lastChild.remove();
}

// Titles in capitals shout; data from tills often has them.
function title(item) {
  const text = item.fields.title ?? `Item ${item.item}`;
  return text === text.toUpperCase() ? text.toLowerCase().replace(/(^|[\s/-])\p{L}/gu, (c) => c.toUpperCase()) : text;
}

const price = (item) => (typeof item.fields.price === "number" ? item.fields.price.toFixed(2) : "");

function picture(item, box = document.createElement("div")) {
  const text = title(item);
  let hue = 0;
  for (const c of text) hue = (hue * 31 + c.codePointAt(0)) % 360;
  box.className = "image";
  box.style.setProperty("--hue", hue);
  box.setAttribute("aria-hidden", "true");
  box.textContent = (text.match(/[\p{L}\p{N}]+/gu) ?? ["?"]).slice(0, 2).map((word) => [...word][0]).join("").toUpperCase();
  if (/^https?:/.test(item.fields.image ?? "")) {
    const image = new Image();
    image.alt = "";
    image.loading = "lazy";
    image.onload = () => box.replaceChildren(image);
    image.src = item.fields.image;
  }
  return box;
}

function card(item, { why = false, fresh = false } = {}) {
  const line = document.createElement("li");
  line.dataset.item = item.item;
  line.classList.toggle("fresh", fresh);
  const button = document.createElement("button");
  button.className = "card";
  const text = document.createElement("span");
  text.className = "text";
  for (const [name, words] of [["title", title(item)], ["price", price(item)], ["reason", why ? item.reason : ""]]) {
    if (!words) continue;
    const part = document.createElement("span");
    part.className = name;
    part.textContent = words;
    text.append(part);
  }
  button.append(picture(item), text);
  button.addEventListener("click", () => look(item));
  line.append(button);
  return line;
}

const HOW = {
  fused: "picked by what you do",
  dnn: "picked by what you do, in a hurry",
  frequency: "what you buy most",
  decay: "what you buy lately",
  followers: "what follows what you bought",
  ease: "what goes with what you bought",
  popularity: "what sells: we do not know you yet",
};

let shown = [];

async function refresh({ mark = true } = {}) {
  const number = ++asked;
  // a list this short has no room for white milk twice, nor for what is in the cart
  const items = await recommend(FOR_YOU, { exclude: cart, rules: { nearDuplicates: "SimilarTitle" } });
  if (number !== asked) return true;
  const before = new Set(shown);
  shown = items.map((item) => item.item);
  $("for-you").replaceChildren(...items.map((item) => card(item, { why: true, fresh: mark && !before.has(item.item) })));
  $("method").textContent = HOW[items[0]?.method] ?? "";
  return shown.some((item) => !before.has(item));
}

async function refreshAfter() {
  for (const wait of AGAIN_MS) {
    await new Promise((done) => setTimeout(done, wait));
    if (await refresh()) return;
  }
}

function showProducts(items, about) {
  $("products").replaceChildren(...items.map((item) => card(item)));
  $("found").textContent = about;
}

async function search({ wait = 0 } = {}) {
  const number = ++searched;
  const words = $("search").value.trim();
  if (!words) return showProducts(products, `${products.length} shown`);
  if (!searches) return filterProducts(words);
  await new Promise((done) => setTimeout(done, wait));
  if (number !== searched) return;
  try {
    const answer = await ask("/search", { query: words, k: FOUND });
    if (number === searched) showProducts(answer.items, aboutSearch(answer, words));
  } catch (error) {
    if (number !== searched) return;
    if (error.status !== 404) throw error;
    searches = false;
    filterProducts(words);
  }
}

function aboutSearch({ method, understood, items }, words) {
  if (method === "popularity") return `Nothing is called “${words}”. This is what sells.`;
  return understood ? `Showing results for “${understood}”` : `${items.length} found`;
}

// An older predictor knows no /search: of the products shown, those whose titles have all the words.
function filterProducts(text) {
  const words = text.toLowerCase().split(/\s+/);
  const found = products.filter((item) => words.every((word) => title(item).toLowerCase().includes(word)));
  showProducts(found, `${found.length} of ${products.length} match`);
}

async function look(item) {
  open = item;
  picture(item, $("product-image"));
  $("product-title").textContent = title(item);
  $("product-price").textContent = price(item);
  $("product-reason").textContent = item.reason ?? "";
  $("why").open = false;
  $("why-text").textContent = "";
  $("product").showModal();
  guarded(async () => {
    if (await tell("click", { item: item.item, impression: item.impression }, title(item))) await refreshAfter();
  });
}

async function take(kind) {
  const item = open;
  $("product").close();
  cart = [...new Set([...cart, item.item])];
  $("cart").textContent = cart.length;
  if (await tell(kind, { item: item.item, impression: item.impression }, title(item))) await refreshAfter();
}

async function explain() {
  const box = $("why-text");
  if (!$("why").open || box.childElementCount) return;
  const product = open;
  const { request_id, impression, item, user: shownTo } = product;
  const asked = { request_id, item };
  if (impression) Object.assign(asked, { impression, user: shownTo });
  const said = await post("/explain", asked);
  if (open !== product) return; // another product is looked at by now
  const lines = [`Place ${said.place} of its list; named by ${said.sources.join(", ").replaceAll("_", " ")}.`];
  if (said.parts) {
    const { dnn, transformer, alpha } = said.parts;
    lines.push(`Score ${said.score.toFixed(2)}: ${Math.round(alpha * 100)} % of what it knows of you and the item ` +
      `(${dnn.toFixed(2)}), the rest of the order of your baskets (${transformer?.toFixed(2) ?? "no time"}).`);
  }
  const list = document.createElement("ul");
  for (const feature of said.features.slice(0, 4)) {
    const line = document.createElement("li");
    const effect = document.createElement("b");
    effect.textContent = (feature.effect > 0 ? "+" : "−") + Math.abs(feature.effect).toFixed(2);
    const about = document.createElement("span");
    about.textContent = feature.about;
    line.append(effect, about);
    list.append(line);
  }
  box.replaceChildren(...lines.map((words) => Object.assign(document.createElement("p"), { textContent: words })), list);
}

async function guarded(work) {
  try {
    await work();
    $("trouble").hidden = true;
  } catch (error) {
    $("trouble").textContent = `The recommender does not answer as it should: ${error.message}`;
    $("trouble").hidden = false;
  }
}

async function enter(name) {
  user = name;
  stored.set("user", user);
  $("user").value = user;
  cart = [];
  $("cart").textContent = 0;
  shown = [];
  searched++; // what was found for somebody else is not shown any more
  const number = ++entered;
  const found = await recommend(PRODUCTS);
  if (number !== entered) return;
  products = found;
  await search();
  await refresh({ mark: false });
}

$("search").addEventListener("input", () => guarded(() => search({ wait: TYPING_MS })));
$("search").addEventListener("change", () => {
  const words = $("search").value.trim();
  if (words) guarded(() => tell("query", { query: words.slice(0, 500) }, words));
});
$("close").addEventListener("click", () => $("product").close());
$("product").addEventListener("click", (event) => { if (event.target === $("product")) $("product").close(); });
$("add").addEventListener("click", () => guarded(() => take("cart")));
$("buy").addEventListener("click", () => guarded(() => take("purchase")));
$("why").addEventListener("toggle", () => guarded(explain));
$("who").addEventListener("submit", (event) => {
  event.preventDefault();
  guarded(() => enter($("user").value.trim() || user));
});
$("stranger").addEventListener("click", () => guarded(() => enter(someone())));

guarded(async () => {
  if (!query.has("api")) {
    const told = await fetch("config.json").then((answer) => (answer.ok ? answer.json() : {}));
    settings.key ||= told.key ?? "";
    if (told.name) document.title = `${told.name} · storefront`;
  }
  await enter(query.get("user") || stored.get("user") || someone());
});
