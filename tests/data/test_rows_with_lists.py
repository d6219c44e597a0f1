"""Tables whose rows hold several things each, such as orders and their lines."""

import json

import polars as pl
import pytest
import yaml

from shoploop.cli.init import init_recommender
from shoploop.errors import SchemaMismatch

ORDERS = [
    {"email": f"u{n % 3}", "at": f"2024-05-0{1 + n}", "id": 900 + n, "total": 9.5,
     "lines": [{"sku": f"s{k}", "qty": 1 + k, "price": 2.5} for k in range(n % 3)]}
    for n in range(6)
]  # fmt: skip


def sold(loaded):
    return sorted(loaded["interactions"].select("user", "item").rows())


EXPECTED = [("u1", "s0"), ("u1", "s0"), ("u2", "s0"), ("u2", "s0"), ("u2", "s1"), ("u2", "s1")]
"""Of the six orders those of u0 hold nothing, those of u1 one line, those of u2 two."""


@pytest.fixture
def orders(tmp_path):
    def write(form):
        path = tmp_path / f"orders.{form}"
        skus = [[line["sku"] for line in order["lines"]] for order in ORDERS]
        plain = pl.DataFrame({name: [order[name] for order in ORDERS] for name in ("email", "at", "id", "total")})
        match form:
            case "jsonl":
                path.write_text("".join(json.dumps(order) + "\n" for order in ORDERS))
            case "parquet":
                plain.with_columns(skus=pl.Series(skus, dtype=pl.List(pl.String))).write_parquet(path)
            case "json-in.csv":
                plain.with_columns(skus=pl.Series(map(json.dumps, skus))).write_csv(path)
            case "csv":
                plain.with_columns(skus=pl.Series(map(", ".join, skus))).write_csv(path)
        return str(path)

    return write


@pytest.mark.parametrize(
    ("form", "spec"),
    [
        (
            "jsonl",
            {"explode": "lines", "columns": {"item": "lines.sku", "quantity": "lines.qty", "price": "lines.price"}},
        ),
        ("parquet", {"explode": "skus", "columns": {"item": "skus"}}),
        ("json-in.csv", {"explode": "skus", "columns": {"item": "skus"}}),
        ("csv", {"explode": "skus", "explodeSeparator": ",", "columns": {"item": "skus"}}),
    ],
    ids=["objects", "lists", "JSON in a text", "a text"],
)
def test_each_entry_of_a_list_is_a_row(form, spec, orders, tables):
    spec = spec | {"columns": spec["columns"] | {"user": "email", "time": "at"}}
    loaded = tables.load(interactions={"uri": orders(form)} | spec)
    assert sold(loaded) == EXPECTED
    if form == "jsonl":
        assert loaded["interactions"].sort("item")["quantity"].to_list() == [1, 1, 1, 1, 2, 2]
    if form != "csv":
        assert "2 rows dropped (rows_with_an_empty_list)" in tables.told()


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"explode": "line"}, "has no column 'line', which spec.data.tables.interactions.explode names"),
        ({"explode": "total"}, "holds texts that are no JSON lists: there are none in any row"),
        ({"explode": "skus"}, "holds texts that are no JSON lists"),
    ],
)
def test_what_is_no_list_is_refused(spec, says, orders, tables):
    columns = {"user": "email", "time": "at", "item": "skus"}
    with pytest.raises(SchemaMismatch, match=says):
        tables.load(interactions={"uri": orders("csv"), "columns": columns} | spec)


@pytest.mark.parametrize("form", ["jsonl", "csv", "json-in.csv", "parquet"])
def test_init_sees_the_lines_of_an_order(form, tmp_path, capsys):
    """The order's own number is no item, and its total no price of a line."""
    orders = [
        {"order_id": 9000 + n, "email": f"u{n % 7}@x.org", "created_at": f"2024-05-{1 + n % 28:02}T10:00:00",
         "total_price": 7.5, "skus": [{"sku": f"S-{(n * k) % 11}", "price": 2.5} for k in range(1, 2 + n % 3)]}
        for n in range(60)
    ]  # fmt: skip
    path, out = tmp_path / f"orders.{form}", tmp_path / "r.yaml"
    skus = [[line["sku"] for line in order["skus"]] for order in orders]
    if form == "jsonl":
        path.write_text("".join(json.dumps(order) + "\n" for order in orders))
    else:
        plain = pl.DataFrame([{name: order[name] for name in order if name != "skus"} for order in orders])
        write = {"csv": ",".join, "json-in.csv": json.dumps, "parquet": list}[form]
        table = plain.with_columns(skus=pl.Series([write(each) for each in skus]))
        table.write_parquet(path) if form == "parquet" else table.write_csv(path)
    init_recommender(str(path), items=None, out=out, columns=(), yes=True, force=False)
    found = yaml.safe_load(out.read_text())["spec"]["data"]["tables"]["interactions"]
    assert found["explode"] == "skus"
    assert found.get("explodeSeparator") == ("," if form == "csv" else None)
    assert found["columns"]["item"] == ("skus.sku" if form == "jsonl" else "skus")
    assert found["columns"].get("price") == ("skus.price" if form == "jsonl" else None)
    assert (
        f"skus holds a list in each: its entries become rows of their own, {sum(map(len, skus)):,}"
        in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    "item",
    [
        lambda n: f"[red {n % 11}]",
        lambda n: f"Soup, no. {n % 11}",
        lambda n: f"SHIRT|{'red blue'.split()[n % 2]}|{'SML'[n % 3]}|{n % 20}",
    ],
)
def test_names_with_commas_and_ids_of_several_parts_are_no_lists(item, tmp_path):
    path, out = tmp_path / "log.csv", tmp_path / "r.yaml"
    path.write_text(
        "user,product,date\n" + "".join(f'u{n % 7},"{item(n)}",2024-05-{1 + n % 28:02}\n' for n in range(60))
    )
    init_recommender(str(path), items=None, out=out, columns=(), yes=True, force=False)
    assert "explode" not in out.read_text()


def test_of_several_lists_that_of_the_items_is_taken_and_what_is_no_item_is_none(tmp_path):
    def written(**more):
        rows = [
            {"email": f"u{n % 7}", "at": f"2024-05-{1 + n % 28:02}", "ref": f"R{n % 11}",
             "params": [{"key": f"k{n % 5}", "value": "x"}, {"key": "page", "value": f"p{n % 3}"}]}
            | {name: [{"product_id": f"p{n % 11}"}] for name in more}
            for n in range(60)
        ]  # fmt: skip
        path, out = tmp_path / "log.jsonl", tmp_path / "r.yaml"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        init_recommender(str(path), items=None, out=out, columns=(), yes=True, force=True)
        return yaml.safe_load(out.read_text())["spec"]["data"]["tables"]["interactions"]

    assert written(lines=True)["explode"] == "lines"
    assert "explode" not in written()
