"""What a step would refuse only when those before it are done, refused before any begins, by the steps' own functions.

For whoever has what the steps need installed. The operator has not, and leaves it to the pod that plans a run.
"""

from shoploop.api.v1alpha1 import RecommenderSpec


def refuse_early(spec: RecommenderSpec) -> None:
    """Makes sure that the settings of all steps can be carried out, as far as no data are needed to know.

    Raises:
        SpecInvalid: an expectation is not known, or an online store has no address.
    """
    from shoploop.features.feast_store import check_online_store
    from shoploop.validation.expectations import configured

    configured(spec.validation.expectations)
    check_online_store(spec.features.online_store)
