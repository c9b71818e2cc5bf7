"""The embedded backend: a Kubernetes-style apiserver to try the proxy on, without a cluster.

A request's way through it::

    server -> requestpath, verbs -> listoptions (selectors), negotiation
           -> store (collection over objects, history, tokens)
           -> encoding (cells, summaries, columns, metadata, gojson) -> reply, framing

and what a write adds to it::

    verbs -> writeoptions, deletion, scales, patching (patches) -> writes
          -> manifest (kinds), defaults, ownership -> store, rollouts

``command`` is its command line, ``heap`` what it tells malloc. ``objects`` renders generated objects when they are
asked for (``shapes`` and ``podspec`` say what they look like), so that a cluster of any size fits into little memory;
``store`` lays what has been written over them. ``watch``, ``writes`` and ``churn`` are the verbs that change or follow
the state; ``kinds`` knows the built-in types, ``ownership`` who has set what, ``rollouts`` stands in for a controller;
``status``, ``discovery``, ``openapi`` and ``reviews`` are what is answered without a look at the store; ``streams`` is
what a kubelet does behind a real one. Nothing in here imports the rest of ``proxy``.
"""
