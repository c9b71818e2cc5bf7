"""kube-restream: a reverse proxy that re-streams Kubernetes List responses.

A request's way through the house::

    downstream -> handler -> core.request -> core.planning -> upstream
                                   |
    downstream <- relay <- core.joiner <- core.splitter <- upstream

``core`` is sans-IO: bytes in, events out. ``downstream`` and ``upstream`` own the sockets of the data path,
``handler`` tells one request's story, ``relay`` has one coroutine a plan, ``engine`` puts the data path together,
``app`` gives it its listeners, ``workers`` runs several behind one.
``backend`` is an embedded Kubernetes-style apiserver to try the proxy on, ``bench`` compares the paths.
"""

__version__ = "0.1.0"
