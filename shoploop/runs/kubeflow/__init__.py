"""Runs on a server of Kubeflow Pipelines: its API, what is submitted, and what a task there does.

``errors``, ``answers`` and ``client`` are the API, ``submission`` what is made there so that a run begins, ``placement`` what
each task's pod is given, and ``task`` what a task does in its pod.
"""
