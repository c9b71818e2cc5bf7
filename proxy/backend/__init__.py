"""The embedded backend: a Kubernetes-style apiserver to try the proxy on, without a cluster.

A request's way through it::

    server -> requestpath, verbs -> listoptions (selectors), negotiation
           -> store (collection over objects, history, tokens)
           -> encoding (cells, columns, metadata, gojson) -> reply, framing

``command`` is its command line, ``heap`` what it tells malloc. ``objects`` renders generated objects when they are
asked for (``shapes`` and ``podspec`` say what they look like), so that a cluster of any size fits into little memory;
``store`` lays what has been written over them. ``watch``, ``writes`` and ``churn`` are the verbs that change or follow
the state; ``status``, ``discovery`` and ``openapi`` are the fixed answers; ``streams`` is what a kubelet does behind a
real one. Nothing in here imports the rest of ``proxy``.
"""
