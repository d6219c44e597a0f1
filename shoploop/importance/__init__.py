"""How much each training sample counts: estimators, one a file, and checks that what they say means something."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shoploop.importance.sample_importance import SampleImportance
    from shoploop.importance.weighed_classifier import WeighedClassifier

__all__ = ["SampleImportance", "WeighedClassifier"]


def __getattr__(name: str) -> Any:
    # scikit-learn is loaded by those who ask for its face, not by every step
    if name == "SampleImportance":
        from shoploop.importance.sample_importance import SampleImportance

        return SampleImportance
    if name == "WeighedClassifier":
        from shoploop.importance.weighed_classifier import WeighedClassifier

        return WeighedClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
