"""status, logs and open, against a kubectl that answers from files."""

import json
import sys

import pytest

from shoploop.cli import cluster
from shoploop.cli.kubectl import ClusterUnavailable
from shoploop.errors import NotFound

PROGRAM = """#!{python}
import json, sys
words = [word for word in sys.argv[1:] if not word.startswith("--request-timeout")]
print(" ".join(words), file=open({log!r}, "a"))
answers = json.load(open({answers!r}))
for question, answer in answers.items():
    if all(word in words for word in question.split()):
        if isinstance(answer, str):
            sys.exit(answer)
        print(json.dumps(answer))
        break
else:
    sys.exit('Error from server (NotFound): nothing of that kind')
"""
GROCERY = {
    "metadata": {"namespace": "shop", "name": "grocery"},
    "status": {
        "version": "v0123456789ab",
        "replicas": 2,
        "run": {"id": "20261123-0900", "phase": "Succeeded"},
        "release": {"name": "grocery", "revision": 3},
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "Serving",
                "message": "Two pods serve.",
                "lastTransitionTime": "t",
            }
        ],
    },
}


@pytest.fixture
def kubectl(tmp_path, monkeypatch):
    """Gives answers by the words of the question, and returns the commands that were asked."""
    log, answers, program = tmp_path / "log", tmp_path / "answers.json", tmp_path / "kubectl"
    program.write_text(PROGRAM.format(python=sys.executable, log=str(log), answers=str(answers)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    log.touch()

    def give(found):
        answers.write_text(json.dumps(found))
        return lambda: log.read_text().splitlines()

    return give


def test_status_tells_the_story_of_a_recommender(kubectl, capsys):
    event = {"lastTimestamp": "2026-11-23T09:00:00Z", "reason": "Released", "message": "v0123456789ab serves."}
    kubectl({"get recommenders.shoploop.io": {"items": [GROCERY]}, "get events": {"items": [event]}})
    assert cluster.status("grocery") == 0
    told = capsys.readouterr().out
    for part in ("v0123456789ab", "20261123-0900 Succeeded", "grocery, revision 3", "Two pods serve.", "Released"):
        assert part in told


def test_status_tells_a_message_once_whoever_repeats_it(kubectl, capsys):
    why = "Run r1 failed: No bucket has that name."
    condition = GROCERY["status"]["conditions"][0]
    conditions = [
        condition | {"type": type_, "status": "False", "reason": "RunFailed", "message": why}
        for type_ in ("Ready", "RunSucceeded", "Degraded")
    ]
    run = {"id": "r1", "phase": "Failed", "message": "No bucket has that name."}
    event = {"lastTimestamp": "2026-11-23T09:00:00Z", "reason": "RunFailed", "message": why}
    failed = GROCERY | {"status": {"run": run, "conditions": conditions}}
    kubectl({"get recommenders.shoploop.io": {"items": [failed]}, "get events": {"items": [event, event]}})
    assert cluster.status("grocery") == 1
    told = " ".join(capsys.readouterr().out.split())
    assert told.count("No bucket has that name.") == 1
    assert told.count("RunFailed: see Ready") == 4


def test_status_is_not_zero_while_a_recommender_is_not_ready(kubectl):
    kubectl({"get recommenders.shoploop.io": {"items": [GROCERY | {"status": {}}]}, "get events": {"items": []}})
    assert cluster.status("grocery") == 1


def test_a_name_in_two_namespaces_has_to_be_told_apart(kubectl):
    other = GROCERY | {"metadata": {"namespace": "lab", "name": "grocery"}}
    kubectl({"get recommenders.shoploop.io": {"items": [GROCERY, other]}})
    with pytest.raises(NotFound, match="several namespaces: shop, lab"):
        cluster.status("grocery")


def test_an_unknown_name_says_how_to_list_all(kubectl):
    kubectl({"get recommenders.shoploop.io": {"items": []}})
    with pytest.raises(NotFound, match="no Recommender grocery in any namespace"):
        cluster.status("grocery")


def test_logs_are_those_of_the_recommenders_own_pods(kubectl):
    asked = kubectl(
        {
            "get recommenders.shoploop.io": {"items": [GROCERY]},
            "get pods": {"items": [{"metadata": {"namespace": "shop"}}]},
            "logs": {},
        }
    )
    assert cluster.logs("grocery", part="run") == 0
    assert "app.kubernetes.io/component=run,shoploop.io/recommender=grocery" in asked()[-1]


def test_logs_of_pods_that_are_not_there_yet_say_so(kubectl):
    kubectl({"get recommenders.shoploop.io": {"items": [GROCERY]}, "get pods": {"items": []}})
    with pytest.raises(NotFound, match="No pod of predictor grocery is there"):
        cluster.logs("grocery")


def test_open_forwards_to_the_recommenders_service(kubectl, capsys):
    service = {"metadata": {"name": "grocery-predictor"}, "spec": {"ports": [{"port": 80}]}}
    asked = kubectl(
        {
            "get recommenders.shoploop.io": {"items": [GROCERY]},
            "get services": {"items": [service]},
            "port-forward": {},
        }
    )
    assert cluster.open_recommender("grocery", port=3210) == 0
    assert asked()[-1] == "port-forward --namespace=shop service/grocery-predictor 3210:80"
    assert "http://127.0.0.1:3210 is grocery" in capsys.readouterr().out


def test_a_cluster_that_does_not_answer_is_named_with_what_to_check(kubectl):
    kubectl({"get recommenders.shoploop.io": "The connection to the server was refused"})
    with pytest.raises(ClusterUnavailable, match="Check `kubectl cluster-info`") as refused:
        cluster.status("grocery")
    assert refused.value.exit_code == 2
