"""What shows that streaming is worth it: ``kube-restream demo`` and ``kube-restream bench``.

Backend, proxy and peers are child processes, so that what one of them takes in memory and CPU is its own.

* `children`: processes that live no longer than we do; `servers`: the embedded backend and the proxy among them
* `load`: the client, cheap enough to share the machine with what it measures; `sampling`: memory and CPU from /proc
* `demo`, with `paths`, `screen`, `plot` and `kubectl`: the comparison of the two paths, here and now
* `workloads` names what is measured, `lists`, `gets` and `watches` measure it; `arms` are the ways to the backend
* `stack` is what one measurement runs on, `meters` what it took, `rounds` lets arms take turns
* `command` says one of these: `speed`, `gigabyte`, `paging` (with `pagingreport`), `growth`, `check`, or `cluster` for
  `--upstream`; `repeat` says one again
* `bounds` holds every figure that must not be exceeded; `report` makes tables and JSON; `pictures` draws, with
  `panelplot` and `growthplot`
"""
