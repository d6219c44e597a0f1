"""One Kubeflow Pipelines component a file: each calls one step of the library, or what stands around them.

Each shows what came of it, too.
"""

from shoploop.runs.kubeflow.placement import IMAGE as PIPELINE_IMAGE

__all__ = ["PIPELINE_IMAGE"]
