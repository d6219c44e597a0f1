"""Builds run folders as the steps write them, for the report's tests; the numbers are made up, their shape is real."""

import json
import math
from pathlib import Path
from typing import Any

METHODS = {
    "popular": (0.071, 0.062, 0.31, 0.052, 0.71),
    "personal": (0.2004, 0.1701, 0.5809, 0.158, 0.842),
    "decay": (0.2045, 0.1744, 0.5741, 0.162, 0.851),
    "lambdamart": (0.2325, 0.1987, 0.6279, 0.184, 0.884),
    "dnn": (0.2304, 0.1997, 0.63, 0.185, 0.885),
    "transformer": (0.2188, 0.1893, 0.606, 0.176, 0.871),
    "fixed_alpha": (0.2331, 0.2004, 0.6312, 0.186, 0.887),
    "fused": (0.2362, 0.2031, 0.6367, 0.189, 0.889),
}

TITLES = [
    "Fluid milk, white only",
    "Bananas",
    "Shredded cheese",
    "Eggs, large",
    "Soft drinks 12/18 & 15pk can car",
    "Mainstream white bread",
    "Strawberries",
    "Toilet tissue",
    "Hot dog buns",
    "Yogurt, not multi-packs",
    "Potato chips",
    "Primal: ground beef",
    "Kids cereal",
    "Ice cream, family size",
]


def write(run: Path, file: str, document: dict[str, Any]) -> None:
    (run / file).parent.mkdir(parents=True, exist_ok=True)
    (run / file).write_text(json.dumps(document), encoding="utf-8")


def scores(name: str, lift: float = 1.0, spread: float = 0.008) -> dict[str, Any]:
    ndcg, recall, hit, precision, auc = METHODS[name]
    values = {"ndcg@10": ndcg * lift, "recall@10": recall * lift, "hit@10": min(hit * lift, 0.99)}
    values |= {
        "precision@10": precision * lift,
        "f1@10": 2 / (1 / (precision * lift) + 1 / (recall * lift)),
        "auc": auc,
    }
    return values | {"interval": {metric: [v - spread, v + spread] for metric, v in values.items()}}


def evaluation() -> dict[str, Any]:
    def part(users: int, lift: float) -> dict[str, Any]:
        spread = 0.4 / math.sqrt(users)
        return {"users": users, "methods": {name: scores(name, lift, spread) for name in METHODS}}

    ours = METHODS["fused"]
    gains = [
        (name, metric, ours[i] - values[i])
        for name, values in METHODS.items()
        for i, metric in enumerate(("ndcg@10", "recall@10", "hit@10"))
        if name != "fused"
    ]
    return {
        "users": 2226,
        "requests": 2226,
        "days": ["2017-12-18", "2017-12-31"],
        "methods": {name: scores(name) for name in METHODS},
        "comparisons": [
            {"better": "fused", "than": name, "metric": m, "difference": d, "interval": [d - 0.004, d + 0.004]}
            for name, m, d in gains
        ],
        "slices": {
            "short histories": part(410, 0.8),
            "long histories": part(1816, 1.05),
            "repeated items": part(2190, 1.3),
            "new items": part(1310, 0.12),
        },
        "alpha": {"items": 0.6172},
        "candidates": {
            "recall": 0.612,
            "by_source": {"history": 0.484, "popular": 0.201, "neighbours": 0.243},
            "mean_count": 463.2,
        },
        "calibration": [
            {"predicted": p, "observed": p * (0.9 + i * 0.02), "count": 200_000 // (i + 1) ** 2}
            for i, p in enumerate((0.002, 0.01, 0.03, 0.08, 0.14, 0.22, 0.31, 0.45))
        ],
        "coverage@10": {name: 0.001 if name == "popular" else 0.31 for name in METHODS},
        "feature_importance": [
            {"feature": name, "ndcg@10_drop": 0.041 / (i + 1) - 0.002}
            for i, name in enumerate(
                ["decay_by_basket_95", "due", "frequency_over_basket_size", "days_since_last", "popularity_7",
                 "ease_score", "popularity_28", "promotion", "price_rank", "shop_share", "weekday_share",
                 "category_share", "brand_share", "income", "household_size", "age", "shop_age", "item_age"]
            )
        ],
        "examples": [example(user, shift) for shift, user in enumerate(("1", "718", "1364", "2002"))],
    }  # fmt: skip


def example(user: str, shift: int, **changes: Any) -> dict[str, Any]:
    titles = TITLES[shift:] + TITLES[:shift]
    reasons = ["bought in 9 of the last 12 visits", "due: every 8 days, last 9 days ago", "often bought with bananas",
               "many buy it this week"]  # fmt: skip
    return {
        "user": user,
        "recent": titles[:6],
        "truth": titles[2:9],
        "recommended": [
            {"item": str(i), "title": t, "score": 3 - i / 5, "reason": reasons[i % 4], "bought": 2 <= i < 6 and i != 4}
            for i, t in enumerate(titles[:10])
        ],
    } | changes


def expectation(name: str, rule: str, unexpected: int = 0, **changes: Any) -> dict[str, Any]:
    table, _, column = name.partition(".")
    return {
        "name": name,
        "table": table,
        "column": column.split("_")[0],
        "rule": rule,
        "severity": "Warn",
        "tolerance": 0.01,
        "rows": 1_469_307,
        "unexpected": unexpected,
        "share": unexpected / 1_469_307,
        "passed": unexpected / 1_469_307 <= 0.01,
        "examples": [],
    } | changes


def steps() -> list[dict[str, Any]]:
    seconds = {"load_data": 9.1, "validate_data": 14.2, "materialize_features": 48.0, "build_samples": 61.5,
               "train_fused": 142.7, "evaluate_model": 38.4, "gate": 0.4, "build_bento": 6.2}  # fmt: skip
    return [
        {"name": name, "state": "done", "seconds": took, "peak_rss_bytes": int((0.7 + took / 60) * 2**30)}
        for name, took in seconds.items()
    ]


def run_record(**changes: Any) -> dict[str, Any]:
    return {
        "name": "grocery",
        "run": "20261123-091500-3fa2",
        "started": "2026-11-23T09:15:00+00:00",
        "shoploop": "0.1.0",
        "python": "3.11.9",
        "spec": {
            "apiVersion": "shoploop.io/v1alpha1",
            "kind": "Recommender",
            "metadata": {"name": "grocery"},
            "spec": {"data": {"dataset": "completejourney"}, "gate": {"metric": "ndcg@10", "confidence": 0.95}},
        },
        "steps": steps(),
        "wall_seconds": 352.8,
        "step_seconds": 320.5,
        "peak_rss_bytes": 3_489_660_928,
    } | changes


def complete_run(run: Path) -> Path:
    """A run in which everything went well: the first version of Complete Journey."""
    write(run, "run.json", run_record())
    digest = "9f2c4e1ab07d5566" * 4
    write(
        run,
        "data/load.json",
        {
            "dataset": "completejourney",
            "tables": {
                "interactions": {"rows": 1_469_307, "columns": ["user", "item", "time", "kind"], "sha256": digest},
                "items": {"rows": 68_509, "columns": ["item", "title", "category"], "sha256": digest[::-1]},
                "users": {"rows": 2_469, "columns": ["user", "age", "income"], "sha256": digest[3:] + "abc"},
                "shops": {"rows": 457, "columns": ["shop", "title"], "sha256": digest[5:] + "abcde"},
            },
            "kinds": [
                {"word": "order", "kind": "purchase", "rows": 1_400_001}, {"word": "", "kind": "unknown", "rows": 69_306},
            ],
            "remarks": ["spec.data.tables.interactions.kinds names 'sale', which no row has."],
            "rules": [
                {"name": "unknown_products", "table": "items", "rows": 4836, "action": "kept",
                 "why": "Purchases of products that the product table lacks; each got a row without title."},
                {"name": "no_quantity", "table": "interactions", "rows": 8869, "action": "dropped",
                 "why": "A quantity of 0 is a return or a coupon, not a purchase."},
                {"name": "times_without_zone", "table": "interactions", "rows": 1_469_307, "action": "changed",
                 "why": "The source names no time zone; its times are taken as UTC."},
            ],
        },
    )  # fmt: skip
    write(
        run,
        "validation/validation.json",
        {
            "verdict": "warned",
            "seconds": 6.4,
            "expectations": [
                expectation("interactions.user_filled", "every row names a user", severity="Stop", tolerance=0.0),
                expectation("interactions.quantity_positive", "quantities are above 0", 8869),
                expectation(
                    "interactions.quantity_range",
                    "quantities are at most 100",
                    16_034,
                    examples=[{"user": "1", "item": "6534178", "quantity": 89638.0, "time": None}],
                ),
            ],
        },
    )
    write(run, "features/features.json", {"contract": "77aa", "features": 58, "seconds": 44.0})
    found = {"history": 0.484, "popular": 0.201}
    split = {"requests": 2226, "rows": 1_030_638, "candidate_recall": 0.598, "candidate_recall_by_source": found}
    write(run, "samples/samples.json", {"splits": {"evaluation": split}, "features": 58})
    networks = {"dnn": 3.0, "transformer": 3.4, "fused": 2.9}
    epochs = [
        {
            "epoch": e,
            "phase": "alone" if e < 5 else "together",
            "alpha": {"items": 0.5 + e / 40},
            "train_loss": {name: loss / e**0.2 for name, loss in networks.items()},
            "validation_loss": {name: loss / e**0.15 for name, loss in networks.items()},
            "seconds": 28.5,
        }
        for e in range(1, 6)
    ]
    write(
        run,
        "model/training.json",
        {"epochs": epochs, "parameters": 1_204_112, "requests": {"train": 38_735, "validation": 2_472}},
    )
    write(
        run,
        "model/manifest.json",
        {
            "format": "shoploop.version",
            "contract_hash": digest,
            "files": {"weights.safetensors": {"sha256": digest, "bytes": 8_112_004}},
            "lineage": {"code": "0.1.0", "parent": None, "last_day": 17531, "tables": {"interactions": digest}},
        },
    )
    write(run, "evaluation/evaluation.json", evaluation())
    write(
        run,
        "gate/gate.json",
        {
            "passed": True,
            "rule": "Better",
            "metric": "ndcg@10",
            "against": "decay",
            "difference": 0.0317,
            "interval": [0.0262, 0.0371],
            "confidence": 0.95,
            "margin": -0.0,
            "reason": "ndcg@10 differs from the baseline decay by +0.0317, and with 95% confidence by more than "
            "+0.0262; above 0 was needed.",
        },
    )
    write(run, "bento/bento.json", {"tag": "shoploop:v3fa2c1", "bytes": 12_400_112})
    return run


if __name__ == "__main__":
    import sys

    from shoploop.report import build

    print(build(complete_run(Path(sys.argv[1]))))


def augmentation() -> dict[str, Any]:
    """A run in which one variant of three pays, and the generator's leaks."""

    def tried(gain: float, overall: float, admitted: bool, reason: str) -> dict[str, Any]:
        return {
            "ndcg@10_gain": gain,
            "interval": [gain - 0.02, gain + 0.02],
            "overall": {"gain": overall, "interval": [overall - 0.004, overall + 0.004]},
            "admitted": admitted,
            "reason": reason,
            "samples": 1000,
            "what": "histories that begin later",
        }

    return {
        "mode": "Auto",
        "variant": "crop",
        "reason": "crop enters training: it gains +4.1% on the cold slice.",
        "samples_added": 5200,
        "variants": {
            "crop": tried(0.041, 0.001, True, "it gains +4.1% on the cold slice"),
            "substitute": tried(-0.003, 0.0, False, "no gain is shown"),
            "gan": tried(0.012, 0.002, False, "refused for privacy: membership can be inferred"),
        },
        "generator": {
            "digest": "a1b2c3" * 10,
            "steps": 200,
            "shoppers": 1200,
            "curve": [
                {"step": 100, "distance": 0.9, "generator": 0.1},
                {"step": 200, "distance": 0.4, "generator": 0.1},
            ],
        },
        "fidelity": {
            "two_sample_auc": 0.861,
            "control_auc": 0.984,
            "real_auc": 0.507,
            "telling": [["basket_size", 0.31]],
            "marginals": {
                "popularity": {"distance": 0.12, "floor": 0.05, "passed": True},
                "hour": {"distance": 0.2, "floor": 0.05, "passed": False},
            },
            "coverage": 0.87,
            "novelty": 0.93,
            "passed": False,
        },
        "privacy": {
            "membership_auc": 0.612,
            "membership_auc_interval": [0.58, 0.644],
            "attacks": {"closest record": [0.612, 0.58, 0.644], "discriminator": [0.52, 0.49, 0.55]},
            "closest_record_share": 0.505,
            "neighbour_ratio": 0.95,
            "neighbour_ratio_real": 0.95,
            "copies": 0.0,
            "copies_real": 0.0004,
            "copies_allowed": 0.0005,
            "k": 5,
            "k_asked": 5,
            "unique_pairs": 0.02,
            "unique_pairs_real": 0.03,
            "allowed": {"membership_auc": 0.55, "membership_auc_upper": 0.6, "closest_record_share": 0.55},
            "reasons": ["membership can be inferred: AUC 0.612 [0.580, 0.644]"],
            "passed": False,
        },
        "effort": {"shoppers": 1200, "generator_steps": 1200, "labels": 2000, "judged": 1000, "epochs": 2},
    }
