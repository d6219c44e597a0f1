"""One Kubeflow Pipelines component a file: each calls one step of the library and logs its report."""

import os

PIPELINE_IMAGE = os.environ.get("SHOPLOOP_PIPELINE_IMAGE", "shoploop-pipeline:latest-python3.11")
"""Image that the steps run in. Its tag must change with the library: Kubeflow's cache looks at the tag, not inside."""
