"""The operator: it makes a cluster look as its Recommenders ask.

Arrows point one way: handlers -> worker -> reconcile (pure), and worker -> cluster, helm (the only input and output).
"""
