"""What shows that streaming is worth it: ``kube-restream demo`` and ``kube-restream bench``.

Backend, proxy and peers are child processes, so that what one of them takes in memory and CPU is its own.

* `children`: processes that live no longer than we do; `servers`: the embedded backend and the proxy among them
* `load`: the client, cheap enough to share the machine with what it measures; `sampling`: memory and CPU from /proc
* `demo`, with `paths`, `screen`, `plot` and `kubectl`: the comparison of the two paths, here and now
* `command`, with `peers`, `rounds`, `report` and `gigabyte`: the benchmark; with `paging`, `pagingreport` and
  `pagingplot`: what paging spares a backend
"""
