"""What a kubelet does for clients: exec, attach, logs, port-forward and proxy, without a container or a process.

A request's way through it::

    subresources -> handshakes
        -> remotecommand -> channels (WebSocket) or sessions (SPDY) -> commands, console
        -> portforward   -> links (socket or WebSocket tunnel) -> sessions -> services
        -> logs
        -> proxying      -> services

``frames`` is SPDY/3.1 without IO, over ``dictionary``; ``pipes`` and ``terminals`` are what commands read from,
``outcomes`` what they end with, ``files`` and ``archives`` what they read and write; ``pods`` is who they run in.
Nothing in here starts a process, opens a file or connects to anything.
"""
