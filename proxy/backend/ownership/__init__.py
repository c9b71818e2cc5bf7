"""Who owns which fields of an object: managedFields, and what server-side apply makes of them.

The rules are those of sigs.k8s.io/structured-merge-diff and k8s.io/apimachinery/pkg/util/managedfields::

    managers (managedFields, update, apply) -> merging -> schema, fieldset
"""
