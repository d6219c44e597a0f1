"""``shoploop doctor``: looks at a cluster and says what is missing, and the command that mends it.

Every check is a function from a :class:`~shoploop.cli.doctor.facts.Cluster` to findings. A thing that only some
Recommenders need is missing only when one of them asks for it, and nothing is advised for the sake of a field that the
operator refuses.
"""

import json

from shoploop.cli.doctor.facts import Cluster
from shoploop.cli.doctor.finding import Finding
from shoploop.cli.doctor.installation import (
    check_definitions,
    check_operator,
    check_permissions,
    check_storage,
    check_version,
)
from shoploop.cli.doctor.parts import check_parts
from shoploop.cli.doctor.recommenders import check_recommenders, check_redis, check_specs, check_stores
from shoploop.cli.doctor.signing import check_signing
from shoploop.cli.kubectl import Kubectl

__all__ = ["Finding", "examine"]


def examine(kubectl: Kubectl) -> list[Finding]:
    """Everything that was looked at, in order.

    Raises:
        ClusterUnavailable: there is no cluster to look at.
    """
    version = json.loads(kubectl.run("get", "--raw", "/version"))
    cluster = Cluster(kubectl, kubectl.namespace or "default")
    checks = (
        check_definitions, check_operator, check_permissions, check_storage, check_parts, check_specs, check_stores,
        check_signing, check_redis, check_recommenders,
    )  # fmt: skip
    return [check_version(version), *(finding for check in checks for finding in check(cluster))]
