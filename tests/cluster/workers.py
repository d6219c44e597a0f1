"""The pods of a TrainJob: who they are, and the end of one."""

from conftest import Object, Shop

SELECTOR = "jobset.sigs.k8s.io/jobset-name,batch.kubernetes.io/job-completion-index"


def workers(shop: Shop) -> dict[str, Object]:
    """The pods of the shop's namespace that train together, by their number."""
    found = shop.cluster.items("pods", "-n", shop.namespace, "-l", SELECTOR)
    return {pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"]: pod for pod in found}


def kill_second(shop: Shop) -> None:
    """Ends the second of two without a word, and waits until two have begun again."""
    victim = workers(shop)["1"]["metadata"]
    shop.cluster.kubectl("delete", "pod", victim["name"], "-n", shop.namespace, "--grace-period=0", "--force")

    def anew() -> bool:
        now = workers(shop)
        return len(now) == 2 and now["1"]["metadata"]["uid"] != victim["uid"]

    shop.wait("the workers begin again", anew, seconds=120)
