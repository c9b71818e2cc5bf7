"""What the backend knows of Kubernetes' types: their fields in Go's order, numbered as in protobuf, and how they merge.

The tables hold facts of the published API: names and numbers from `generated.proto`, order, `omitempty`, list types
and patch strategies from the tags and markers in `types.go` (k8s.io/api and k8s.io/apimachinery, 1.34, Apache-2.0).
How they are written says ``notation``; all else in here follows from them:

* ``canonical`` brings a value into the form in which Go prints it, and finds what doesn't fit or isn't known;
* ``protobuf`` reads what client-go sends by default;
* strategic merge patches, server-side apply and OpenAPI ask ``notation`` for fields and merge keys.
"""
