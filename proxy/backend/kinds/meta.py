"""k8s.io/apimachinery/pkg/apis/meta/v1."""

TABLE = """
OwnerReference~: apiVersion.5! kind.1! name.3! uid.4! controller.6?:bool blockOwnerDeletion.7?:bool
ManagedFieldsEntry: manager.1 operation.2 apiVersion.3 time.4?:Time fieldsType.6 fieldsV1.7?:Fields subresource.8
ObjectMeta: name.1 generateName.2 namespace.3 selfLink.4 uid.5 resourceVersion.6 generation.7:int
  creationTimestamp.8:Time deletionTimestamp.9?:Time deletionGracePeriodSeconds.10?:int labels.11{} annotations.12{}
  ownerReferences.13[OwnerReference/uid] finalizers.14[/] managedFields.17[ManagedFieldsEntry]
LabelSelectorRequirement: key.1! operator.2! values.3[]
LabelSelector~: matchLabels.1{} matchExpressions.2[LabelSelectorRequirement]
FieldSelectorRequirement: key.1! operator.2! values.3[]
Condition: type.1! status.2! observedGeneration.3:int lastTransitionTime.4!:Time reason.5! message.6!
CustomResource: metadata.1:ObjectMeta
Preconditions: uid.1? resourceVersion.2?
DeleteOptions: gracePeriodSeconds.1?:int preconditions.2?:Preconditions orphanDependents.3?:bool
  propagationPolicy.4? dryRun.5[] ignoreStoreReadErrorWithClusterBreakingPotential.6?:bool
"""
