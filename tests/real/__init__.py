"""The proxy in front of a real kube-apiserver, where there is one: docs/real-apiserver.md says how to get it."""
