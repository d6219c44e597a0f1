"""The benchmark of the operator counts what the operator may write, by the API server's own metrics."""

from shoploop.bench.operator import _writes

METRICS = """
# TYPE apiserver_request_total counter
apiserver_request_total{code="200",group="shoploop.io",resource="recommenders",subresource="status",verb="PATCH"} 7
apiserver_request_total{code="409",group="shoploop.io",resource="recommenders",subresource="status",verb="PATCH"} 1
apiserver_request_total{code="201",group="",resource="events",subresource="",verb="POST"} 3
apiserver_request_total{code="200",group="",resource="events",subresource="",verb="PATCH"} 2
apiserver_request_total{code="200",group="coordination.k8s.io",resource="leases",subresource="",verb="PUT"} 90
apiserver_request_total{code="200",group="shoploop.io",resource="recommenders",subresource="",verb="LIST"} 50
"""


def test_writes_are_summed_over_answers_and_reads_are_none():
    assert _writes(METRICS)["PATCH recommenders/status"] == 8
    assert not [what for what in _writes(METRICS) if what.startswith("LIST")]


def test_what_the_operator_has_no_right_to_was_written_by_another():
    assert set(_writes(METRICS)) == {"PATCH recommenders/status", "POST events"}
