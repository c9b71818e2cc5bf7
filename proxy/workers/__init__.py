"""Several processes behind one address: ``workers`` above 1.

::

    client -> acceptor -> supervisor ==(channel: the socket itself)==> worker -> engine
                             |  ^                                        |
    admin: /metrics, ...  <--+  +--(channel: samples, problems, loads)---+

``supervisor`` keeps the workers and speaks for all of them, ``child`` is one worker as the supervisor sees it,
``acceptor`` accepts connections, ``choosing`` tells whose they become. ``worker`` is the other end of the channel: the
same engine as in a process of its own. ``channel`` carries ``messages`` and sockets, ``asking`` is for those that want
an answer, ``merging`` makes one exposition of many. ``choosing`` and ``merging`` are sans-IO.
"""
